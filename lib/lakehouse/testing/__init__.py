"""What users test their jobs with: a lake of the test's own, frames from rows, tables held against rows, YAML tests."""

from lakehouse.testing.differences import Different, require_same
from lakehouse.testing.given_rows import frame_of
from lakehouse.testing.lakes import Lake

__all__ = ["Different", "Lake", "frame_of", "require_same"]
