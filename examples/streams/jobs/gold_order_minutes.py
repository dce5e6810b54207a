"""Streams: events of orders by kind and minute."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
