"""Silver customers history: every version of each customer, late changes in their place."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
