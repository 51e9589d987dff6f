"""A client in a thread of its own that listens to a live server's events."""

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

from tests.support.listening import Heard, Listener, Reader
from tests.support.process import Server, eventually


class Ears:
    """A client that listens in a thread of its own, and comes back when it is told to. Use it as a context manager."""

    def __init__(self, server: Server, path: str = "/api/events", *, since: int | None = None) -> None:
        self.heard: list[Heard] = []
        self.listener = Listener()
        self.listener.last_id = since
        self.status = 0
        self._server = server
        self._path = path
        self._open = threading.Event()
        self._thread: threading.Thread | None = None
        self._client = httpx.Client(base_url=server.url, timeout=httpx.Timeout(20.0))

    def __enter__(self) -> Self:
        return self.listen()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def listen(self) -> Self:
        """Ask for the stream, with what was heard last, and wait for the answer."""
        self._open.clear()
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()
        assert self._open.wait(20)
        return self

    def await_end(self) -> None:
        """Wait until the stream has ended or broken off."""
        assert self._thread is not None
        self._thread.join(20)
        assert not self._thread.is_alive()

    def names(self, since: int = 0) -> list[str]:
        """The names of the events from this one on."""
        return [heard.name for heard in self.heard[since:]]

    def hears(self, check: Callable[[list[Heard]], bool]) -> None:
        """Wait until this is true of what was heard."""
        eventually(lambda: check(list(self.heard)), timeout=20)

    def _hear(self) -> None:
        fields = {} if self.listener.last_id is None else {"Last-Event-ID": str(self.listener.last_id)}
        reader = Reader()
        with suppress(httpx.TransportError), self._client.stream("GET", self._path, headers=fields) as answer:
            self.status = answer.status_code
            self._open.set()
            for piece in answer.iter_raw():
                for heard in reader.feed(piece):
                    self.listener.hear(heard)
                    self.heard.append(heard)
        self._open.set()
