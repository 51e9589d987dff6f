"""A request stands still where a test wants it to, until the test has done what it wanted to do just then."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.holding import Hold, Stall, When
from tests.s3.operations import Operation
from tests.s3.rig import PART, Rig, proxied, request
from tests.support.process import eventually

BODY = b"0123456789" * 100_000


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A proxy of this test alone."""
    with proxied() as made:
        yield made


@pytest.mark.parametrize("when", When)
def test_a_held_request_goes_on_when_it_is_released(rig: Rig, when: When) -> None:
    """Until then upstream has nothing, all but the last byte, or has done it; the client knows nothing."""
    gate = Hold(when)
    rig.proxy.on(Operation.UPLOAD_PART, part=3, do=gate)
    with rig.client() as client:
        client.send(request("PUT", PART.format(3), BODY))
        seen = gate.await_reached()
        assert seen.sent == {When.BEFORE: 0, When.UNFINISHED: len(BODY) - 1, When.DONE: len(BODY)}[when]
        assert len(rig.upstream.got) == (when is When.DONE)
        assert seen.told is None
        gate.release()
        assert client.response().status == 200
    assert rig.upstream.got[0].whole


@pytest.mark.parametrize("when", [When.UNFINISHED, When.DONE])
def test_a_held_request_happens_though_its_client_has_gone(rig: Rig, when: When) -> None:
    """A server that was killed is overtaken by what it sent: it arrives when the next one runs."""
    gate = Hold(when)
    rig.proxy.on(do=gate)
    with rig.client() as client:
        client.send(request("PUT", "/b/k", BODY))
        gate.await_reached()
        client.reset()
    gate.release()
    eventually(lambda: bool(rig.upstream.got))
    assert rig.upstream.got[0].whole


def test_a_request_that_is_held_at_once_happens_though_its_client_has_gone(rig: Rig) -> None:
    """If it was small enough to be on its way as a whole."""
    gate = Hold()
    rig.proxy.on(do=gate)
    with rig.client() as client:
        client.send(request("POST", "/b/k?uploadId=u", b"<parts/>"))
        gate.await_reached()
    gate.release()
    eventually(lambda: bool(rig.upstream.got))
    assert rig.upstream.got[0].whole


@pytest.mark.parametrize("when", When)
def test_a_held_request_is_dropped(rig: Rig, when: When) -> None:
    """It happens only if it had been done; its client sees a reset."""
    gate = Hold(when)
    rig.proxy.on(do=gate)
    with rig.client() as client:
        client.send(request("PUT", "/b/k", BODY))
        gate.await_reached()
        gate.drop()
        assert client.closed()
    assert [got.whole for got in rig.upstream.got if got.whole] == [True] * (when is When.DONE)


@pytest.mark.parametrize("body", [b"", b"1"])
@pytest.mark.parametrize("when", When)
def test_the_shortest_bodies_are_held_too(rig: Rig, body: bytes, when: When) -> None:
    """Without a last byte to hold back, the head is."""
    gate = Hold(when)
    rig.proxy.on(do=gate)
    with rig.client() as client:
        client.send(request("PUT", "/b/k", body))
        gate.await_reached()
        assert len(rig.upstream.got) == (when is When.DONE)
        gate.release()
        assert client.response().status == 200
    assert len(gate.seen) == 1


def test_a_gate_holds_all_that_come_until_it_opens(rig: Rig) -> None:
    """Others go by meanwhile, and nobody is held behind an open gate."""
    gate = Hold()
    rig.proxy.on(Operation.UPLOAD_PART, do=gate, times=None)
    with ThreadPoolExecutor(8) as pool:
        held = [pool.submit(rig.put_part, number) for number in range(1, 9)]
        eventually(lambda: len(gate.seen) == 8)
        assert rig.ask("GET", "/b/k").status == 200
        assert rig.upstream.targets() == ["/b/k"]
        gate.release()
        assert [future.result(10).status for future in held] == [200] * 8
    assert rig.put_part(9).status == 200


@pytest.mark.parametrize("when", When)
def test_a_stalled_request_goes_on_by_itself(rig: Rig, when: When) -> None:
    """After its time."""
    rig.proxy.on(do=Stall(0.2, when))
    began = time.monotonic()
    assert rig.ask("PUT", "/b/k", BODY).status == 200
    assert time.monotonic() - began >= 0.2


def test_a_gate_that_nobody_opened_does_not_keep_the_proxy() -> None:
    """A test that fails on its way is not a hang; opening it too late is nothing."""
    gate = Hold()
    with proxied() as rig:
        rig.proxy.on(do=gate)
        with rig.client() as client:
            client.send(request("GET", "/b/k"))
            gate.await_reached()
    gate.release()
