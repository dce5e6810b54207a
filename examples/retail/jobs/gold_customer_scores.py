"""Online retail: recency, frequency and monetary value of each customer."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
