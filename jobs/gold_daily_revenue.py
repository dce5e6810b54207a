"""Gold daily revenue: revenue a day."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
