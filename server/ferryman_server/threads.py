"""The threads in which file work is done, so that nothing blocks the event loop.

One pool for the whole process, larger than asyncio's own: a thread that waits for a sync costs no CPU, and a handful
of slow syncs must not hold up every other upload. Bodies are written from a pool of their own
(:mod:`ferryman_server.pouring`), so that syncs on a slow disk never keep a socket from being read.
"""

import asyncio
import threading
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


class Repeated:
    """Something that is done in the pool whenever it is asked for, by one thread at a time: what is asked for while it
    is under way is done once more when it is over."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work  # must not raise
        self._lock = threading.Lock()
        self._wanted = self._running = False

    def ask(self) -> None:
        """Have it done once more; may be called from any thread, and returns at once."""
        with self._lock:
            self._wanted = True
            if self._running:
                return
            self._running = True
        POOL.submit(self._run)

    def _run(self) -> None:
        while self._goes_on():
            self._work()

    def _goes_on(self) -> bool:
        with self._lock:
            self._running, self._wanted = self._wanted, False
            return self._running
