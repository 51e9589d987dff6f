"""The guided search for a fault that is there on purpose; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("planted")
