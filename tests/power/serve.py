"""`ferryman serve`, as the power-cut model runs it.

Small uploads gather for a moment only before their files are made, so that this happens many times in a run of some
seconds, beside everything else.
"""

from ferryman_cli import main
from ferryman_server import settling

GATHER = 0.2  # seconds

if __name__ == "__main__":
    vars(settling)["GATHER"] = GATHER
    raise SystemExit(main())
