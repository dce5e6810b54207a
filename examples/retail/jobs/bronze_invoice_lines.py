"""Online retail: every line of the files as it came, all columns text."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
