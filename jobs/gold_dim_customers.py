"""Gold dim customers: one row per version of a customer, and the unknown member."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
