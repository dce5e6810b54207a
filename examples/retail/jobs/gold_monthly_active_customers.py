"""Online retail: customers who bought, a month."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
