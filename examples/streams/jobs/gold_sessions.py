"""Streams: what a customer clicked on without a pause."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
