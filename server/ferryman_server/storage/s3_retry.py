"""Asking again: with growing pauses of random length, until it succeeds, cannot succeed, or patience is over."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_stop import Stop

T = TypeVar("T")

FIRST: Final = 0.1  # seconds: the longest first pause, doubled with each attempt …
LONGEST: Final = 5.0  # … up to this; each pause is anything up to its longest, so that many do not come back at once
PATIENCE: Final = 10.0  # seconds, for what somebody waits for who holds no bytes


def again(request: Callable[[], T], *, patience: float = PATIENCE, stop: Stop | None = None, first: float = FIRST) -> T:
    """What `request` returns. A passing S3Error of it is tried again until `patience` (seconds) is over or `stop` is
    set, which also breaks a request that is under way; raises the last one, and any other error at once."""
    over, longest = time.monotonic() + patience, first
    stop = stop or Stop()
    while True:
        try:
            with stop.guarding():
                return request()
        except S3Error as error:
            left = over - time.monotonic()
            pause = min(random.uniform(longest / 2, longest), left)  # the last attempt is made when patience ends
            if not error.passing or left <= 0 or stop.wait(pause):
                raise
            longest = min(2 * longest, LONGEST)
