"""A connection meets its fate at the byte that was named, and no other connection does."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.proxy import Cut, Fate, Proxy

BODY = bytes(range(256)) * 1000


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(ConnectionError):
                while data := connection.recv(1 << 16):
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def exchange(port: int, proxy: Proxy, fate: Fate | None) -> tuple[bytes, bool]:
    """Send BODY on a connection with this fate; what came back, and whether the connection was reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        if fate is not None:
            proxy.doom(client, fate)
        sender = threading.Thread(target=send, args=(client,))
        sender.start()
        got = b""
        try:
            while len(got) < len(BODY) and (data := client.recv(1 << 16)):
                got += data
            reset = False
        except ConnectionError:
            reset = True
        sender.join()
        return got, reset


def send(client: socket.socket) -> None:
    """Send as much of BODY as the connection lasts for."""
    with contextlib.suppress(OSError):
        client.sendall(BODY)


def test_an_answer_is_delivered_by_half(echo: int) -> None:
    """The client gets exactly so many bytes, then the end of the connection."""
    with Proxy(echo) as proxy:
        got, reset = exchange(proxy.port, proxy, Fate(1234, Cut.FIN, upstream=False))
        assert (got, reset) == (BODY[:1234], False)
        assert proxy.fulfilled == 1
        assert exchange(proxy.port, proxy, None) == (BODY, False)


def test_a_body_is_cut_where_it_was_said(echo: int) -> None:
    """Nothing beyond that byte reaches the server."""
    with Proxy(echo) as proxy:
        got, _ = exchange(proxy.port, proxy, Fate(5000, Cut.RESET))
        assert BODY[:5000].startswith(got)
        assert proxy.sent == 5000


def test_a_connection_stands_still_for_a_while(echo: int) -> None:
    """Everything arrives in the end."""
    with Proxy(echo) as proxy:
        began = time.monotonic()
        assert exchange(proxy.port, proxy, Fate(0, 0.2)) == (BODY, False)
        assert time.monotonic() - began >= 0.2


def test_all_connections_are_reset_at_once(echo: int) -> None:
    """Also those that say nothing."""
    with Proxy(echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        proxy.cut_all()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
