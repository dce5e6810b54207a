"""The words that a contract and the Open Data Contract Standard (v3.1) share, for both directions."""

from __future__ import annotations

API_VERSION, KIND = "v3.1.0", "DataContract"

ENGINE = "lakehouse"
"""The `engine` of the custom quality checks that are rules of ours."""

OF_FIELD = ("min", "max", "pattern", "pii", "mask", "references")
"""What a field says under `customProperties` where the standard has no word for it on its type."""

OF_CONTRACT = ("compatibility", "classification")

LOGICAL = {
    "tinyint": "integer", "smallint": "integer", "int": "integer", "bigint": "integer", "float": "number", "double": "number",
    "decimal": "number", "boolean": "boolean", "date": "date", "timestamp": "timestamp", "timestamp_ntz": "timestamp",
    "struct": "object", "map": "object", "array": "array",
}  # fmt: skip
"""The standard's logical type of each Spark type; text for all others."""

PHYSICAL = {
    "integer": "bigint", "number": "double", "boolean": "boolean", "date": "date", "timestamp": "timestamp", "string": "string",
}  # fmt: skip
"""The Spark type of a logical type that comes without a physical one."""
