"""Bronze payments: every payment and refund as it came."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
