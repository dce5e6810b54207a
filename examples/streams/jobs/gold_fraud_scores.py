"""Streams: what a customer did in the hour and the day before each order."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
