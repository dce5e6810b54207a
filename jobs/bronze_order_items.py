"""Bronze order items: every order line as it came, columns matched by each file's header."""

from lakehouse import main

if __name__ == "__main__":
    raise SystemExit(main(__file__))
