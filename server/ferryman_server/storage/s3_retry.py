"""Asking again: with growing pauses of random length, until it succeeds, cannot succeed, or patience is over."""

import random
import time
from collections.abc import Callable
from threading import Event
from typing import Final, TypeVar

from ferryman_server.storage.s3_errors import S3Error

T = TypeVar("T")

FIRST: Final = 0.1  # seconds: the longest first pause, doubled with each attempt …
LONGEST: Final = 5.0  # … up to this; each pause is anything up to its longest, so that many do not come back at once
PATIENCE: Final = 10.0  # seconds, for what somebody waits for
PATIENCE_WITH_PARTS: Final = 75.0  # seconds, for bytes that are in memory: a store may be away for a minute


def again(
    request: Callable[[], T], *, patience: float = PATIENCE, stop: Event | None = None, first: float = FIRST
) -> T:
    """What `request` returns. A passing S3Error of it is tried again until `patience` (seconds) is over or `stop` is
    set; raises the last one, and any other error at once."""
    over, longest = time.monotonic() + patience, first
    never = stop or Event()
    while True:
        try:
            return request()
        except S3Error as error:
            pause = random.uniform(longest / 2, longest)
            if not error.passing or time.monotonic() + pause > over or never.wait(pause):
                raise
            longest = min(2 * longest, LONGEST)
