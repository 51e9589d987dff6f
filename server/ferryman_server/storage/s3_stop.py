"""A way to end requests that are under way in other threads: their connections are shut down."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

_here = threading.local()  # .stop: the one that guards what this thread does


class Stop:
    """Set once. Requests that are made while `guarding` break when it is."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[int, HTTPConnection] = {}  # by the thread that uses it

    def is_set(self) -> bool:
        """Whether it is."""
        return self._set.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, or so many seconds are over; whether it is set."""
        return self._set.wait(seconds)

    def set(self) -> None:
        """End what is under way. May be repeated."""
        with self._lock:
            self._set.set()
            for connection in self._connections.values():
                _shut(connection)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Requests made by this thread inside the `with` are ended when this is set."""
        before, _here.stop = getattr(_here, "stop", None), self
        try:
            yield
        finally:
            _here.stop = before
            with self._lock:
                self._connections.pop(threading.get_ident(), None)

    def enter(self, connection: HTTPConnection) -> None:
        """This thread's request goes out over this connection."""
        with self._lock:
            self._connections[threading.get_ident()] = connection
            if self._set.is_set():
                _shut(connection)


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

    def _enter(self) -> None:
        stop: Stop | None = getattr(_here, "stop", None)
        if stop is not None:
            stop.enter(self)


class StoppableHTTP(_Stoppable):
    """Over plain TCP."""


class StoppableHTTPS(_Stoppable, HTTPSConnection):
    """Over TLS."""


def _shut(connection: HTTPConnection) -> None:
    taken = connection.sock
    if taken is not None:
        with suppress(OSError):
            taken.shutdown(socket.SHUT_RDWR)
