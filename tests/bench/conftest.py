"""What the bench's tests share: a cache folder of their own, and a server that says what it is told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Programs are compiled once for all of these tests, and nothing is left in the developer's home."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.delenv("CC", raising=False)
        yield folder


@pytest.fixture
def scripted() -> Iterator[Callable[..., int]]:
    """Start a server that reads one request for each of its answers and gives them in order; returns its port.

    An answer None hangs up; one that begins with `!` is given before the body is read.
    """
    with ExitStack() as stack:
        yield lambda *answers: stack.enter_context(_scripted(answers))


@contextmanager
def _scripted(answers: tuple[str | None, ...]) -> Iterator[int]:
    left = list(answers)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the client went, or the test is over: what came of it is the test's business
                while left:
                    with listener.accept()[0] as connection:
                        while left and _serve_one(connection, left):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        left.clear()
        listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a connection
        thread.join(20)
        assert not thread.is_alive()


def _serve_one(connection: socket.socket, left: list[str | None]) -> bool:
    """Read one request and answer it; False when the connection is over."""
    held = b""
    while b"\r\n\r\n" not in held:
        received = connection.recv(65536)
        if not received:
            return False
        held += received
    head, _, body = held.partition(b"\r\n\r\n")
    answer = left.pop(0)
    if answer is None:
        return False
    told = answer.removeprefix("!").replace("\n", "\r\n").encode()
    if answer.startswith("!"):
        connection.sendall(told)
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields.get(b"content-length", b"0")) - len(body)
    while missing > 0:
        received = connection.recv(min(missing, 1 << 20))
        if not received:
            return False
        missing -= len(received)
    if not answer.startswith("!"):
        connection.sendall(told)
    return b"connection: close" not in told.lower()
