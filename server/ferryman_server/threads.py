"""The threads in which file work is done, so that nothing blocks the event loop.

One pool for the whole process, larger than asyncio's own: a thread that waits for a sync costs no CPU, and a handful
of slow syncs must not hold up every other upload. Bodies are written from a pool of their own
(:mod:`ferryman_server.pouring`), so that syncs on a slow disk never keep a socket from being read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

POOL: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="ferryman-io")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
    """Run a blocking function in the pool; await the result. Cancelling the awaiting task does not stop it."""
    loop = asyncio.get_running_loop()
    if kwargs:
        return loop.run_in_executor(POOL, lambda: function(*args, **kwargs))
    return loop.run_in_executor(POOL, function, *args)
