"""Silver clicks: one typed, valid, latest row per click."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
