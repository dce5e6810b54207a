"""Streams: one row per click of a known customer."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
