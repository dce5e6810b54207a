"""Gold dim products: one row per version of a product, and the unknown member."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
