"""The guided search in structured fields; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("structured")
