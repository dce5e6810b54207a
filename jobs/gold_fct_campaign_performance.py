"""Gold fct campaign performance: clicks, cost, orders and revenue per campaign and day."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
