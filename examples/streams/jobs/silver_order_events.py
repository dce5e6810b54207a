"""Streams: one row per event of an order."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
