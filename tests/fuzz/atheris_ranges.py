"""The guided search in conditions and ranges of downloads; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("ranges")
