"""A line before something that only so many may do at once: first come, first served, and one can leave it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator


class Line:
    """One line. Everything here is called on the event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[asyncio.Future[bool]] = deque()

    @contextlib.contextmanager
    def place(self) -> "Iterator[asyncio.Future[bool]]":
        """A place in the line. What it gives is to be awaited: True when it is one's turn, which lasts until the `with`
        is left. Before that anybody may set it to False, or cancel it, and the place is given up."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._call()
        try:
            yield turn
        finally:
            if not turn.done():
                turn.cancel()
            elif not turn.cancelled() and turn.result():
                self._free += 1
                self._call()

    def _call(self) -> None:
        while self._free and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(True)
