"""Online retail: revenue a day and country."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
