"""Without a rule the proxy changes nothing, tells what went through it, and leaves nothing behind."""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.framing import Malformed
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.s3.rig import PART, Rig, proxied, request
from tests.s3.stream import BUFFER
from tests.s3.upstream import Reply
from tests.support.process import eventually
from tests.support.raw_http import RawClient, chunked, head

LONG = os.urandom(1 << 20) * 24  # more than all buffers on the way


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A proxy of this test alone."""
    with proxied() as made:
        yield made


@pytest.fixture
def bare() -> Iterator[tuple[socket.socket, FaultProxy]]:
    """A listening socket that the test itself answers on, and a proxy before it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, FaultProxy(endpoint(listener)) as proxy:
        yield listener, proxy


def endpoint(listener: socket.socket) -> str:
    """Where it listens."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or what comes before the end."""
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


def sha256(data: bytes) -> str:
    """As the upstream tells it."""
    return hashlib.sha256(data).hexdigest()


# -- what goes through -------------------------------------------------------------------------------------------------


def test_every_byte_is_passed_on_as_it_came(bare: tuple[socket.socket, FaultProxy]) -> None:
    """Neither the spelling of fields nor their order is touched, and no field is added."""
    listener, proxy = bare
    asked = b"PUT /b/%7ek HTTP/1.1\r\nhOST:  here:1 \r\nX-A: 1\r\nX-A: 2\r\ncontent-LENGTH: 3\r\n\r\nabc"
    answered = b"HTTP/1.1 200 Fine, thanks\r\nx-B:2\r\nContent-Length: 2\r\nX-b:   3\r\n\r\nok"
    with RawClient(proxy.port) as client:
        client.send(asked)
        upstream, _ = listener.accept()
        with upstream:
            assert received(upstream, len(asked)) == asked
            upstream.sendall(answered)
            assert received(client.socket, len(answered)) == answered


def test_connections_are_kept_on_both_sides(rig: Rig) -> None:
    """Requests of one connection use one connection upstream, in their order, whether or not they wait."""
    with rig.client() as client:
        client.send(request("PUT", "/b/1", b"one"))
        assert client.response().status == 200
        client.send(request("PUT", "/b/2", b"two"), request("GET", "/b/3"))
        assert [client.response().status for _ in range(2)] == [200, 200]
    assert rig.upstream.targets() == ["/b/1", "/b/2", "/b/3"]
    assert len({got.connection for got in rig.upstream.got}) == 1


@pytest.mark.parametrize("framed", ["sized", "chunked"])
def test_long_bodies_flow_in_both_directions(rig: Rig, framed: str) -> None:
    """Bodies larger than all buffers arrive whole, sized and in chunks."""
    pieces = tuple(LONG[at : at + 99_991] for at in range(0, len(LONG), 99_991))
    rig.upstream.answer = lambda got: Reply(chunks=pieces) if framed == "chunked" else Reply(body=LONG)
    with rig.client() as client:
        field = f"Content-Length: {len(LONG)}" if framed == "sized" else "Transfer-Encoding: chunked"
        client.send(head("PUT", "/b/k", field), LONG if framed == "sized" else chunked(*pieces))
        assert client.response().body == LONG
    assert rig.upstream.got[0].sha256 == sha256(LONG)
    assert (rig.proxy.log[0].sent, rig.proxy.log[0].answered) == (len(LONG), len(LONG))


def test_a_client_that_waits_for_100_is_told_to_go_on(rig: Rig) -> None:
    """The interim answer of upstream comes through before the body is sent."""
    with rig.client() as client:
        client.send(head("PUT", "/b/k", "Content-Length: 4", "Expect: 100-continue"))
        assert client.response().status == 100
        client.send(b"body")
        assert client.response().status == 200
    assert rig.upstream.got[0].beginning == b"body"


def test_an_answer_that_does_not_wait_for_the_body_comes_through(rig: Rig) -> None:
    """A refusal in the middle of a long body reaches a client that goes on sending; the connection ends."""
    rig.upstream.early = lambda target: Reply(status=403, body=b"no", closes=True)
    with rig.client() as client:
        client.send(head("PUT", "/b/k", f"Content-Length: {len(LONG)}"), LONG[:1000])
        assert client.response().status == 403
        assert client.closed()


@pytest.mark.parametrize("reply", [Reply(closes=True), Reply(sized=False)])
def test_an_answer_that_ends_the_connection_ends_the_clients(rig: Rig, reply: Reply) -> None:
    """Said by a field, or by the lack of a length."""
    rig.upstream.answer = lambda got: reply
    with rig.client() as client:
        client.send(request("GET", "/b/k"))
        assert client.response().body == b"done"
        assert client.closed()
    assert rig.proxy.log[0].ended is not None


def test_an_answer_to_head_has_no_body(rig: Rig) -> None:
    """Its length is another answer's."""
    with rig.client() as client:
        client.send(request("HEAD", "/b/k"), request("GET", "/b/k"))
        assert client.response(to_head=True).headers["content-length"] == "4"
        assert client.response().body == b"done"


def test_an_idle_connection_that_upstream_closes_is_closed(bare: tuple[socket.socket, FaultProxy]) -> None:
    """So a pool of connections notices that the server was started anew."""
    listener, proxy = bare
    with RawClient(proxy.port) as client:
        client.send(request("GET", "/b/k"))
        upstream, _ = listener.accept()
        with upstream:
            upstream.sendall(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")
            assert client.response().status == 204
            assert upstream.recv(1000)  # or what nobody read would reset the connection
        assert client.closed()


def test_a_client_that_goes_in_mid_body_is_gone_upstream(rig: Rig) -> None:
    """Upstream sees half a body and then the end, as without a proxy."""
    with rig.client() as client:
        client.send(head("PUT", "/b/k", "Content-Length: 1000"), b"half")
        eventually(lambda: len(rig.proxy.log) == 1 and rig.proxy.log[0].sent == 4)
    eventually(lambda: bool(rig.upstream.got))
    assert (rig.upstream.got[0].size, rig.upstream.got[0].whole) == (4, False)


def test_a_client_that_goes_after_its_request_is_not_missed(bare: tuple[socket.socket, FaultProxy]) -> None:
    """Upstream is left to do it: nothing tells it that nobody waits for its answer."""
    listener, proxy = bare
    asked = request("PUT", "/b/k", b"body")
    with RawClient(proxy.port) as client:
        client.send(asked)
        upstream, _ = listener.accept()
        assert received(upstream, len(asked)) == asked
    with upstream:
        upstream.settimeout(0.1)
        with pytest.raises(TimeoutError):
            upstream.recv(1)
        upstream.settimeout(20)
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert upstream.recv(1) == b""
    assert proxy.log[0].status == 200


def test_an_upstream_that_is_not_there_resets_the_client() -> None:
    """The proxy has taken the connection by then, so that is all it can do."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = endpoint(closed)
    with FaultProxy(nowhere) as proxy, RawClient(proxy.port) as client:
        client.send(request("GET", "/b/k"))
        assert client.closed()
        assert (proxy.log[0].status, proxy.log[0].told) == (None, None)


# -- what it tells -----------------------------------------------------------------------------------------------------


def test_the_log_tells_what_was_asked_and_answered(rig: Rig) -> None:
    """Operation, names, sizes, statuses and times stand there when the client has its answer."""
    rig.upstream.answer = lambda got: Reply(status=404, body=b"nothing")
    assert rig.ask("PUT", PART.format(7), b"12345", "X-Amz-Checksum-Crc64nvme: c").status == 404
    seen = rig.proxy.log[0]
    assert seen.operation is Operation.UPLOAD_PART
    assert (seen.bucket, seen.key, seen.part, seen.upload_id) == ("bucket", "key", 7, "u")
    assert (seen.length, seen.sent, seen.status, seen.told, seen.answered) == (5, 5, 404, 404, 7)
    assert seen.headers["x-amz-checksum-crc64nvme"] == "c"
    assert seen.ended is not None
    assert seen.ended >= seen.started


def test_requests_are_counted_by_operation(rig: Rig) -> None:
    """What a test of costs needs; the log can be emptied before the part that is measured."""
    rig.ask("PUT", "/b/before", b"x")
    rig.proxy.clear()
    rig.ask("POST", "/b/k?uploads")
    for number in (1, 2, 3):
        rig.put_part(number)
    rig.ask("POST", "/b/k?uploadId=u", b"<xml/>")
    assert rig.proxy.log.counts() == {
        Operation.CREATE_MULTIPART: 1,
        Operation.UPLOAD_PART: 3,
        Operation.COMPLETE: 1,
    }
    assert [seen.part for seen in rig.proxy.log.of(Operation.UPLOAD_PART)] == [1, 2, 3]


# -- what it leaves ----------------------------------------------------------------------------------------------------


def test_many_connections_at_once_and_after_each_other_leave_nothing() -> None:
    """Sixteen at a time, hundreds in all: each gets its own answer, and no descriptor or thread stays."""
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    body = LONG[: 2 * BUFFER + 1]
    with proxied() as rig, ThreadPoolExecutor(16) as pool:
        rig.upstream.answer = lambda got: Reply(body=got.sha256.encode())
        sizes = [(number * 7919) % len(body) for number in range(300)]
        answers = list(pool.map(lambda size: rig.ask("PUT", "/b/k", body[:size]).body, sizes))
    assert answers == [sha256(body[:size]).encode() for size in sizes]
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_it_ends_with_connections_open_and_requests_under_way() -> None:
    """Whatever was going on is reset, and nothing is waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with FaultProxy(endpoint(silent)) as proxy:
            idle, asking, sending = (RawClient(proxy.port) for _ in range(3))
            asking.send(request("GET", "/b/k"))
            sending.send(head("PUT", "/b/k", "Content-Length: 1000"), b"half")
            eventually(lambda: len(proxy.log) == 2)
        for client in (idle, asking, sending):
            with client:
                assert client.closed()


def test_who_does_not_speak_http_fails_the_test() -> None:
    """What the proxy cannot understand is raised at its end."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(Malformed, match="not the head"))
        client = stack.enter_context(stack.enter_context(proxied()).client())
        client.send(b"hello\r\n\r\n")
        assert client.closed()
