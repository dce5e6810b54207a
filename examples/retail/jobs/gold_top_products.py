"""Online retail: the products that brought most."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
