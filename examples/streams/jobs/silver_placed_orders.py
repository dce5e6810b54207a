"""Streams: one row per order that was placed."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
