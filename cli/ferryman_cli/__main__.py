"""`python -m ferryman_cli`."""

import sys

from ferryman_cli import main

if __name__ == "__main__":
    sys.exit(main())
