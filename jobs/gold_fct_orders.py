"""Gold fct orders: one row per order, with its customer as it was then, its campaign and its lines."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
