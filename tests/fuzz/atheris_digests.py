"""The guided search in digest fields; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("digests")
