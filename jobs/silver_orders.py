"""Silver orders: one typed, valid, latest row per order_id."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
