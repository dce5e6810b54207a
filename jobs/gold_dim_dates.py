"""Gold dim dates: one row per calendar day."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
