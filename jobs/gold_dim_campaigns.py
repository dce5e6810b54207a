"""Gold dim campaigns: one row per campaign, and the unknown member."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
