"""Silver order items: one typed, valid, latest row per order line."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
