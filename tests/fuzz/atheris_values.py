"""The guided search in numbers, media types, codings and file names in header fields; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("values")
