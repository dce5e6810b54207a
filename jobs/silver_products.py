"""Silver products: the latest listing of each product, from the daily snapshots."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
