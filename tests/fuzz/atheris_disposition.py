"""The guided search in file names and media types for answers; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("disposition")
