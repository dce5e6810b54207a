"""Silver payments from PostgreSQL: one typed, valid, latest row per payment."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
