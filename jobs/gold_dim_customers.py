"""Gold dim customers: one row per customer, and the unknown member."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
