"""Each fault does what it says, to the requests that its rule names and to no other."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator

import pytest

from tests.s3.faults import Answer, ChangeAnswer, Corrupt, Drop, ErrorInside200, LoseAnswer, Slow
from tests.s3.log import Seen
from tests.s3.moments import Way
from tests.s3.operations import Operation
from tests.s3.rig import PART, Rig, proxied, request
from tests.s3.upstream import Reply
from tests.support.process import eventually
from tests.support.raw_http import RawClient, chunked, head

COMPLETE = "/bucket/key?uploadId=u"
LONG = bytes(range(256)) * 20_000
SLOW_DOWN = Answer(503, "SlowDown")


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A proxy of this test alone."""
    with proxied() as made:
        yield made


def sha256(data: bytes | bytearray) -> str:
    """As the upstream tells it."""
    return hashlib.sha256(data).hexdigest()


def how_it_ended(client: RawClient) -> str:
    """How the proxy ended the connection, nothing having come before."""
    try:
        return "FIN" if not client.socket.recv(1) else "an answer"
    except ConnectionResetError:
        return "RST"


# -- which requests ----------------------------------------------------------------------------------------------------


def test_a_rule_acts_on_one_part_once(rig: Rig) -> None:
    """Other parts go through, and so does the next try of that one."""
    rule = rig.proxy.on(Operation.UPLOAD_PART, part=3, do=SLOW_DOWN)
    assert [rig.put_part(number).status for number in (1, 2, 3, 4, 3)] == [200, 200, 503, 200, 200]
    assert (rule.met, rule.hits) == (2, 1)
    assert [seen.fault for seen in rig.proxy.log if seen.fault] == [repr(SLOW_DOWN)]


@pytest.mark.parametrize(
    ("arm", "statuses"),
    [
        (lambda rig: rig.proxy.on(Operation.UPLOAD_PART, do=SLOW_DOWN, times=2), [503, 503, 200, 200]),
        (lambda rig: rig.proxy.on(Operation.UPLOAD_PART, do=SLOW_DOWN, times=None), [503, 503, 503, 503]),
        (lambda rig: rig.proxy.on(Operation.UPLOAD_PART, do=SLOW_DOWN, nth=3), [200, 200, 503, 200]),
        (lambda rig: rig.proxy.on(Operation.UPLOAD_PART, do=SLOW_DOWN, nth=3, times=None), [200, 200, 503, 503]),
        (lambda rig: rig.proxy.on(Operation.PUT, Operation.UPLOAD_PART, do=SLOW_DOWN), [503, 200, 200, 200]),
        (lambda rig: rig.proxy.on(do=SLOW_DOWN), [503, 200, 200, 200]),
        (lambda rig: rig.proxy.on(Operation.PUT, do=SLOW_DOWN), [200, 200, 200, 200]),
        (lambda rig: rig.proxy.on(key="ke", do=SLOW_DOWN), [503, 200, 200, 200]),
        (lambda rig: rig.proxy.on(key="bucket", do=SLOW_DOWN), [200, 200, 200, 200]),
        (lambda rig: rig.proxy.on(key=lambda key: key == "key", do=SLOW_DOWN), [503, 200, 200, 200]),
        (lambda rig: rig.proxy.on(where=lambda seen: seen.part == 2, do=SLOW_DOWN), [200, 503, 200, 200]),
    ],
)
def test_a_rule_says_which_requests_and_how_often(rig: Rig, arm: Callable[[Rig], object], statuses: list[int]) -> None:
    """By operation, key, part, a question, and their order among those that fit."""
    arm(rig)
    assert [rig.put_part(number).status for number in (1, 2, 3, 4)] == statuses


def test_of_several_rules_the_first_that_is_due_acts(rig: Rig) -> None:
    """So rules behind each other make a sequence."""
    rig.proxy.on(Operation.UPLOAD_PART, do=SLOW_DOWN, times=2)
    rig.proxy.on(Operation.UPLOAD_PART, do=Answer(500, "InternalError"))
    assert [rig.put_part(1).status for _ in range(4)] == [503, 503, 500, 200]


def test_rules_are_removed(rig: Rig) -> None:
    """One by itself, at the end of a `with`, or all at once."""
    rule = rig.proxy.on(do=SLOW_DOWN, times=None)
    assert rig.put_part(1).status == 503
    rule.remove()
    assert rig.put_part(1).status == 200
    with rig.proxy.on(do=SLOW_DOWN, times=None):
        assert rig.put_part(1).status == 503
    assert rig.put_part(1).status == 200
    rig.proxy.on(do=SLOW_DOWN, times=None)
    rig.proxy.disarm()
    assert rig.put_part(1).status == 200


# -- answers of the proxy's own ----------------------------------------------------------------------------------------


def test_an_answer_is_an_error_of_s3_and_upstream_is_not_asked(rig: Rig) -> None:
    """The body is read and dropped, and the connection carries the next request."""
    rig.proxy.on(do=Answer(503, "SlowDown", headers={"Retry-After": "1"}))
    with rig.client() as client:
        client.send(request("PUT", PART.format(1), LONG), request("GET", "/bucket/next"))
        refused = client.response()
        assert client.response().status == 200
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert b"<Error><Code>SlowDown</Code>" in refused.body
    assert b"<Resource>/bucket/key</Resource>" in refused.body
    assert rig.upstream.targets() == ["/bucket/next"]
    seen = rig.proxy.log[0]
    assert (seen.status, seen.told, seen.sent) == (None, 503, 0)


def test_an_answer_can_come_before_the_body_is_read(rig: Rig) -> None:
    """The client has it while it is still sending, and the connection ends."""
    rig.proxy.on(do=Answer(403, "AccessDenied", read_body=False))
    with rig.client() as client:
        client.send(head("PUT", "/b/k", "Content-Length: 1000000"), b"beginning")
        refused = client.response()
        assert (refused.status, refused.headers["connection"]) == (403, "close")
        assert client.closed()


def test_a_client_that_waits_for_100_gets_the_answer_instead(rig: Rig) -> None:
    """Nobody asks it for the body; since it may send it all the same, the connection ends."""
    rig.proxy.on(do=SLOW_DOWN)
    with rig.client() as client:
        client.send(head("PUT", "/b/k", "Content-Length: 4", "Expect: 100-continue"))
        assert client.response().status == 503
        assert client.closed()


def test_an_answer_to_head_has_no_document(rig: Rig) -> None:
    """Only the status tells what is wrong, as with S3."""
    rig.proxy.on(do=Answer(404, "NoSuchKey"))
    with rig.client() as client:
        client.send(request("HEAD", "/b/k"), request("GET", "/b/k"))
        assert client.response(to_head=True).status == 404
        assert client.response().body == b"done"


def test_a_changed_answer_hides_what_was_done(rig: Rig) -> None:
    """Complete is done and answers 500; the connection carries the next request."""
    rig.proxy.on(Operation.COMPLETE, do=ChangeAnswer(500, "InternalError"))
    with rig.client() as client:
        client.send(request("POST", COMPLETE, b"<parts/>"))
        assert client.response().status == 500
        client.send(request("HEAD", "/bucket/key"))
        assert client.response(to_head=True).status == 200
    assert [got.whole for got in rig.upstream.got] == [True, True]
    assert (rig.proxy.log[0].status, rig.proxy.log[0].told) == (200, 500)


@pytest.mark.parametrize("done", [False, True])
def test_an_error_inside_200_is_a_success_until_the_document_is_read(rig: Rig, done: bool) -> None:
    """Complete may end so, having been done or not."""
    rig.proxy.on(Operation.COMPLETE, do=ErrorInside200("InternalError", done=done))
    answer = rig.ask("POST", COMPLETE, b"<parts/>")
    assert answer.status == 200
    assert answer.body.startswith(b"<?xml")
    assert b"<Error><Code>InternalError</Code>" in answer.body
    assert len(rig.upstream.got) == done


# -- connections that end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
def test_a_dropped_request_never_reaches_upstream(rig: Rig, reset: bool) -> None:
    """The client sees the connection end, by FIN or by RST."""
    rig.proxy.on(do=Drop(reset=reset))
    with rig.client() as client:
        client.send(request("PUT", "/b/k", b"body"))
        assert how_it_ended(client) == ("RST" if reset else "FIN")
    assert rig.upstream.got == []


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", [0, 1, 1_000_000, len(LONG) - 1])
def test_a_request_is_dropped_in_the_middle_of_its_body(rig: Rig, after: int, reset: bool) -> None:
    """Exactly so many bytes have been passed on, and upstream sees that more should have come."""
    rig.proxy.on(do=Drop(after=after, reset=reset))
    with rig.client() as client:
        client.send(head("PUT", "/b/k", f"Content-Length: {len(LONG)}"), LONG[: after + 1])
        assert how_it_ended(client) == ("RST" if reset else "FIN")
    assert rig.proxy.log[0].sent == after
    eventually(lambda: bool(rig.upstream.got))
    assert not rig.upstream.got[0].whole
    assert rig.upstream.got[0].size == after or reset  # RST overtakes what the kernel still has


def test_a_chunked_request_is_dropped_in_the_middle_of_its_content(rig: Rig) -> None:
    """The frames of its chunks do not count."""
    rig.proxy.on(do=Drop(after=7))
    with rig.client() as client:
        client.send(head("PUT", "/b/k", "Transfer-Encoding: chunked"), chunked(b"12345", b"67890"))
        assert how_it_ended(client) == "FIN"
    assert rig.proxy.log[0].sent == 7


def test_an_answer_is_dropped_in_the_middle_of_its_body(rig: Rig) -> None:
    """A download that breaks off."""
    rig.upstream.answer = lambda got: Reply(body=LONG)
    rig.proxy.on(Operation.GET, do=Drop(after=300_000, way=Way.DOWN))
    with rig.client() as client:
        client.send(request("GET", "/b/k"))
        answer = client.rest()
    assert answer.partition(b"\r\n\r\n")[2] == LONG[:300_000]


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_answer_hides_what_was_done(rig: Rig, reset: bool) -> None:
    """Upstream has done it, and the client knows nothing."""
    rig.proxy.on(do=LoseAnswer(reset=reset))
    with rig.client() as client:
        client.send(request("PUT", "/b/k", LONG))
        assert how_it_ended(client) == ("RST" if reset else "FIN")
    assert (rig.upstream.got[0].size, rig.upstream.got[0].whole) == (len(LONG), True)
    assert (rig.proxy.log[0].status, rig.proxy.log[0].told) == (200, None)


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 999_999, len(LONG) - 1])
@pytest.mark.parametrize("framed", ["sized", "chunked"])
def test_one_byte_of_a_request_is_flipped(rig: Rig, position: int, framed: str) -> None:
    """All others are as they were, whatever carries them."""
    rig.proxy.on(do=Corrupt(position))
    with rig.client() as client:
        if framed == "sized":
            client.send(request("PUT", "/b/k", LONG))
        else:
            client.send(head("PUT", "/b/k", "Transfer-Encoding: chunked"), chunked(LONG[:1000], LONG[1000:]))
        assert client.response().status == 200
    flipped = bytearray(LONG)
    flipped[position] ^= 1
    assert rig.upstream.got[0].sha256 == sha256(flipped)


def test_one_byte_of_an_answer_is_flipped(rig: Rig) -> None:
    """A download that is not what was stored."""
    rig.upstream.answer = lambda got: Reply(body=b"abcabc")
    rig.proxy.on(do=Corrupt(3, way=Way.DOWN))
    assert rig.ask("GET", "/b/k").body == b"abc" + b"`" + b"bc"


@pytest.mark.parametrize("way", Way)
def test_a_slow_body_takes_its_time(rig: Rig, way: Way) -> None:
    """At its rate, in small pieces, and it arrives whole."""
    rig.upstream.answer = lambda got: Reply(body=LONG[: 1000 if way is Way.UP else 100_000])
    rig.proxy.on(do=Slow(200_000, way=way))
    began = time.monotonic()
    answer = rig.ask("PUT", "/b/k", LONG[: 1000 if way is Way.DOWN else 100_000])
    assert time.monotonic() - began >= 0.45
    assert (answer.status, rig.upstream.got[0].whole) == (200, True)


# -- calls and several faults ------------------------------------------------------------------------------------------


def test_somebody_is_called_before_upstream_is_asked(rig: Rig) -> None:
    """As a rival that aborts the upload just then; the callee may ask through the proxy itself."""

    def abort(seen: Seen) -> None:
        assert rig.ask("DELETE", f"/bucket/{seen.key}?uploadId={seen.upload_id}").status == 200

    rig.proxy.on(Operation.COMPLETE, before=abort)
    assert rig.ask("POST", COMPLETE, b"<parts/>").status == 200
    assert [got.method for got in rig.upstream.got] == ["DELETE", "POST"]


def test_somebody_is_called_when_it_is_done_and_the_client_does_not_know(rig: Rig) -> None:
    """The answer waits until the call returns."""
    told: list[tuple[int, int | None, int | None]] = []
    rig.proxy.on(after=lambda seen: told.append((len(rig.upstream.got), seen.status, seen.told)))
    assert rig.ask("POST", COMPLETE, b"<parts/>").status == 200
    assert told == [(1, 200, None)]


def test_a_call_that_fails_fails_the_test() -> None:
    """What it raises is raised at the proxy's end, and its request is cut."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(ZeroDivisionError))
        rig = stack.enter_context(proxied())
        rig.proxy.on(before=lambda seen: 1 / 0)
        client = stack.enter_context(rig.client())
        client.send(request("GET", "/b/k"))
        assert client.closed()


def test_several_faults_act_on_one_request(rig: Rig) -> None:
    """Each at its moment: slowly sent, spoilt, and the answer lost."""
    rig.proxy.on(do=[Slow(1e6), Corrupt(1), LoseAnswer()])
    with rig.client() as client:
        client.send(request("PUT", "/b/k", b"abc"))
        assert how_it_ended(client) == "FIN"
    assert rig.upstream.got[0].beginning == b"acc"
