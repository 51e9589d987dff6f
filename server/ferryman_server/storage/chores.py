"""Small things that a store does beside its writers, in the order they were asked for, by one thread.

Telling the kernel to begin with what was written, or to give its cache back, costs a writer a tenth of its time; where
no sync waits for that it is done here.
"""

import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import TypeAlias

Chore: TypeAlias = Callable[[], None]


def do_later(chore: Chore) -> None:
    """Have it done soon. It must not raise, and whatever it needs must stay there until it is done."""
    _chores().put(chore)


@cache
def _chores() -> "SimpleQueue[Chore]":
    waiting: SimpleQueue[Chore] = SimpleQueue()

    def work() -> None:
        while True:
            waiting.get()()

    threading.Thread(target=work, name="ferryman-chores", daemon=True).start()
    return waiting
