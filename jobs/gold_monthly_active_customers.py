"""Gold monthly active customers: active customers a month."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
