"""Silver customers: the current row of each customer, from the change feed, right in any order of arrival."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
