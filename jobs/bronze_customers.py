"""Bronze customers: every change of a customer as the shop sent it: out of order, some twice."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
