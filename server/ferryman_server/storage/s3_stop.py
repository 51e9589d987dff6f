"""A way to end requests that are being sent by other threads: their connections are shut down.

Only until a request is out. What an S3 server has received whole it may carry out all the same, later than it seems: a
part that arrives while its multipart upload is aborted can leave a folder that nobody can free (seen with MinIO). So
whoever has sent all of a request hears its answer.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

_here = threading.local()  # .stop: the one that guards what this thread does


class Stop:
    """Set once. Requests that are made while `guarding` break when it is."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._sending: set[HTTPConnection] = set()

    def is_set(self) -> bool:
        """Whether it is."""
        return self._set.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, or so many seconds are over; whether it is set."""
        return self._set.wait(seconds)

    def set(self) -> None:
        """End what is being sent. May be repeated."""
        with self._lock:
            self._set.set()
            for connection in self._sending:
                _shut(connection)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Requests made by this thread inside the `with` are ended when this is set."""
        before, _here.stop = getattr(_here, "stop", None), self
        try:
            yield
        finally:
            _here.stop = before

    def enter(self, connection: HTTPConnection) -> None:
        """A request goes out over this connection."""
        with self._lock:
            self._sending.add(connection)
            if self._set.is_set():
                _shut(connection)

    def leave(self, connection: HTTPConnection) -> None:
        """It is out, or nobody sends it any more."""
        with self._lock:
            self._sending.discard(connection)


class _Stoppable(HTTPConnection):
    """A connection whose requests can be ended by the :class:`Stop` that guards the thread."""

    def connect(self) -> None:
        """Connect; it may be ended from then on."""
        super().connect()
        self._enter()

    def putrequest(self, *args: Any, **options: Any) -> None:
        """Begin a request, on a connection that may be an old one."""
        self._enter()
        super().putrequest(*args, **options)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """The request is out: hear its answer."""
        self._leave()
        return super().getresponse()

    def close(self) -> None:
        """It is closed, whatever became of the request."""
        self._leave()
        super().close()

    def _enter(self) -> None:
        self._guard: Stop | None = getattr(_here, "stop", None)
        if self._guard is not None:
            self._guard.enter(self)

    def _leave(self) -> None:
        guard: Stop | None = getattr(self, "_guard", None)
        if guard is not None:
            guard.leave(self)


class StoppableHTTP(_Stoppable):
    """Over plain TCP."""


class StoppableHTTPS(_Stoppable, HTTPSConnection):
    """Over TLS."""


def _shut(connection: HTTPConnection) -> None:
    taken = connection.sock
    if taken is not None:
        with suppress(OSError):
            taken.shutdown(socket.SHUT_RDWR)
