"""Online retail: sales and cancellations, typed, one row per line."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
