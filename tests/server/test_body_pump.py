"""The pump on real sockets: it reads what is its own and no byte more, and lets go when it is told to, or left dry."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ferryman_server import pump
from ferryman_server.buffers import SIZE
from ferryman_server.pump import Ebb, Pump


class Pair:
    """Two ends of a TCP connection; ours is non-blocking, as an event loop's is."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname())
            self.ours, _ = listener.accept()
        self.ours.setblocking(False)

    def close(self) -> None:
        """Close both."""
        self.client.close()
        self.ours.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connection."""
    pair = Pair()
    yield pair
    pair.close()


def _never() -> bool:
    return False


def _space() -> memoryview:
    return memoryview(bytearray(SIZE))


def _run(body: Pump, taken: bytearray) -> Ebb:
    """Run until it is not only its turn that is over."""
    while (ebb := body.run(taken.extend, _never, (), _space)) is Ebb.TURN:
        pass
    return ebb


def test_it_reads_its_bytes_and_leaves_the_next_request(pair: Pair) -> None:
    """What stands behind the body in the socket is not touched."""
    data = os.urandom((3 << 20) + 17)
    sender = threading.Thread(target=pair.client.sendall, args=(data + b"GET / HTTP/1.1",))
    sender.start()
    body, taken = Pump(pair.ours.fileno(), len(data)), bytearray()
    assert _run(body, taken) is Ebb.DONE
    sender.join()
    body.close()
    assert taken == data
    assert body.left == 0
    assert pair.ours.recv(100) == b"GET / HTTP/1.1"


def test_a_dry_socket_gives_the_thread_back(pair: Pair) -> None:
    """What was there is written first; later it goes on where it stopped."""
    body, taken = Pump(pair.ours.fileno(), 10), bytearray()
    pair.client.sendall(b"half:")
    assert _run(body, taken) is Ebb.DRY
    assert taken == b"half:"
    assert body.left == 5
    pair.client.sendall(b"other")
    assert _run(body, taken) is Ebb.DONE
    assert taken == b"half:other"
    body.close()


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_client_that_goes_away_loses_nothing_it_had_sent(pair: Pair, how: str) -> None:
    """Whether it closes or resets: what the kernel had taken for us is written, then the end is told."""
    pair.client.sendall(b"x" * 100_000)
    _until_arrived(pair.ours, 100_000)
    if how == "reset":
        pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.client.close()
    body, taken = Pump(pair.ours.fileno(), 1 << 20), bytearray()
    assert _run(body, taken) is Ebb.GONE
    assert taken == b"x" * 100_000
    body.close()


def test_a_stopped_pump_writes_nothing_more(pair: Pair) -> None:
    """The flag is looked at before each write: what was read by then stays unwritten."""
    pair.client.sendall(b"x" * 1000)
    body, taken, stop = Pump(pair.ours.fileno(), 1 << 20), bytearray(), threading.Event()
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:  # before the run, before the read, and now before the write
            stop.set()
        return stop.is_set()

    assert body.run(taken.extend, stopped, (), _space) is Ebb.STOPPED
    assert taken == b""
    body.close()


def test_a_pump_that_waits_sees_the_flag(pair: Pair) -> None:
    """Nothing comes, and it ends as stopped, not as dry."""
    body, stop = Pump(pair.ours.fileno(), 10), threading.Event()
    threading.Timer(0.007, stop.set).start()
    assert body.run(bytearray().extend, stop.is_set, (), _space) is Ebb.STOPPED
    body.close()


def test_a_run_ends_with_its_turn_while_more_is_coming(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that more bodies than threads take turns."""
    monkeypatch.setattr(pump, "SLICE", 0.0)
    pair.client.sendall(b"x" * 1000)
    body, taken = Pump(pair.ours.fileno(), 2000), bytearray()
    assert body.run(taken.extend, _never, (), _space) is Ebb.TURN
    assert taken == b"x" * 1000
    body.close()


def test_what_the_sink_refuses_comes_out_and_is_counted(pair: Pair) -> None:
    """The bytes were read from the socket, so they are no longer to come."""
    pair.client.sendall(b"x" * 1000)
    body = Pump(pair.ours.fileno(), 5000)

    def refuse(piece: memoryview) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        body.run(refuse, _never, (), _space)
    assert body.left == 4000
    body.close()


def test_its_descriptor_is_its_own(pair: Pair) -> None:
    """A connection that is closed meanwhile takes nothing away from it, and closing it twice harms nobody."""
    pair.client.sendall(b"still there")
    body, taken = Pump(pair.ours.fileno(), 11), bytearray()
    pair.ours.close()
    assert _run(body, taken) is Ebb.DONE
    assert taken == b"still there"
    body.close()
    body.close()


def _until_arrived(ours: socket.socket, size: int) -> None:
    deadline = time.monotonic() + 10
    while len(_peek(ours, size)) < size:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _peek(ours: socket.socket, size: int) -> bytes:
    try:
        return ours.recv(size, socket.MSG_PEEK)
    except BlockingIOError:
        return b""
