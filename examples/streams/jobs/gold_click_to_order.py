"""Streams: clicks with the orders within an hour."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
