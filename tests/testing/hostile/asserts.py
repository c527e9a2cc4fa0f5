"""Asserts at import what does not hold."""

assert __name__ == "__main__", "run me as a script"
