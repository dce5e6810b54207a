"""`make bench`: every figure, each file in a process of its own so that none warms or fills another's JVM."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = (
    "rules", "set_rules", "many_rules", "great_expectations_routing", "merge", "profiles", "change_data", "kafka", "streams", "many_files", "warm", "cold",
)  # fmt: skip


def main() -> int:
    """Runs the figures asked for; 0 unless one broke: a limit that is missed is printed, no failure."""
    parser = argparse.ArgumentParser(description="Speed, as ratios in one run on generated data.")
    parser.add_argument("--quick", action="store_true", help="fewer pairs and less data: shows that it works")
    parser.add_argument("--only", choices=NAMES, action="append", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    options = parser.parse_args()
    broken = []
    started = time.monotonic()
    for name in options.only or NAMES:
        command = [sys.executable, str(FOLDER / f"{name}.py"), *(["--quick"] if options.quick else [])]
        if subprocess.run(command).returncode:
            broken.append(name)
    print(f"{time.monotonic() - started:.0f} s; results in {FOLDER / 'results'}", file=sys.stderr)
    if broken:
        print(f"broke: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
