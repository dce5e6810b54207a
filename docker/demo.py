"""`lakehouse` as a script that spark-submit can start: `demo.py` is the next day of the shop, other words are its commands."""

import sys
from pathlib import Path

# the package that spark-submit.sh sends to the executors comes first otherwise, and the shop's jobs lie beside this one
sys.path.insert(0, str(Path(__file__).parents[1] / "lib"))

from lakehouse.cli import console

if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or ["demo"]
    console()
