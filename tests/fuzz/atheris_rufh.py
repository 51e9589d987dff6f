"""The guided search in whole requests of the IETF protocol; see :mod:`tests.fuzz.driver`."""

from tests.fuzz.driver import main

if __name__ == "__main__":
    main("rufh")
