"""Gold payment reconciliation: orders against payments, with tolerance."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
