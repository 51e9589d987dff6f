"""Pouring by itself: whatever is fed comes out in order, and the end it reports is the one that happened first."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman_server import pacing
from ferryman_server.body import PIECE, End, Sink
from ferryman_server.line import Line
from ferryman_server.pouring import HIGH_WATER, TRICKLE, Pouring, uninterrupted
from tests.support.pourer import Recorder


class Fed(Pouring):
    """A body fed by the test, which counts how often it was told to hold back and to go on."""

    def __init__(self, *, length: int | None = None, idle_timeout: float = 60.0) -> None:
        super().__init__(length=length, idle_timeout=idle_timeout)
        self.events: list[str] = []

    def _begin(self) -> None:
        self.events.append("begin")

    def _pause(self) -> None:
        self.events.append("pause")

    def _resume(self) -> None:
        self.events.append("resume")


def _recorder() -> Recorder:
    go = threading.Event()
    go.set()
    return Recorder(go)


SIZES = st.lists(st.one_of(st.integers(0, 300), st.sampled_from([65_535, 65_536, PIECE, PIECE + 1])), max_size=12)


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, end=st.sampled_from([End.COMPLETE, End.DISCONNECTED]), early=st.integers(0, 12))
def test_what_is_fed_comes_out_in_order(sizes: list[int], end: End, early: int) -> None:
    """For all sizes, fed before or while it is poured: the same bytes, in pieces of 1 to PIECE bytes, then the end."""

    async def run() -> None:
        body, sink = Fed(), _recorder()
        chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
        for chunk in chunks[:early]:
            body.feed(chunk)
        task = asyncio.create_task(body.pour(sink))
        for chunk in chunks[early:]:
            await asyncio.sleep(0)
            body.feed(chunk)
        body.finish(end)
        body.finish(End.STALLED)
        body.feed(b"too late")
        assert await task is end
        assert sink.data == b"".join(chunks)
        assert all(0 < len(piece) <= PIECE for piece in sink.pieces)
        assert body.received == sum(sizes)

    asyncio.run(run())


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, after=st.integers(0, 12), first=st.sampled_from([End.COMPLETE, None]))
def test_what_comes_out_of_a_stopped_body_is_a_beginning(sizes: list[int], after: int, first: End | None) -> None:
    """Stopped at any moment, even behind its end: no byte is skipped, and `pour` returns what `stop` was given."""

    async def run() -> None:
        body, sink = Fed(), _recorder()
        chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
        task = asyncio.create_task(body.pour(sink))
        for chunk in chunks[:after]:
            body.feed(chunk)
            await asyncio.sleep(0)
        if first is not None:
            body.finish(first)
        body.stop(End.SUPERSEDED)
        body.stop(End.SHUTDOWN)
        for chunk in chunks[after:]:
            body.feed(chunk)
        assert await task is End.SUPERSEDED
        assert b"".join(chunks).startswith(sink.data)
        assert body.received == len(sink.data)

    asyncio.run(run())


async def test_small_chunks_are_joined_and_large_ones_left_alone() -> None:
    """A thousand small chunks are one write; chunks of 256 KiB are written as they are, without a copy."""
    body, sink = Fed(), _recorder()
    for _ in range(1000):
        body.feed(b"x" * 10)
    body.finish(End.COMPLETE)
    assert await body.pour(sink) is End.COMPLETE
    assert [len(piece) for piece in sink.pieces] == [10_000]
    body, sink = Fed(), _recorder()
    for _ in range(3):
        body.feed(bytes(1 << 18))
    body.finish(End.COMPLETE)
    await body.pour(sink)
    assert [len(piece) for piece in sink.pieces] == [1 << 18] * 3


async def test_the_receiving_side_is_held_back_and_let_go() -> None:
    """Before pouring at 64 KiB, while pouring at two pieces; what comes after the pause is taken all the same."""
    body, sink = Fed(), _recorder()
    body.feed(bytes(64 << 10))
    assert body.events == ["pause"]
    body.feed(b"still taken")
    sink.go.clear()
    task = asyncio.create_task(body.pour(sink))
    await asyncio.sleep(0.01)
    assert body.events == ["pause", "pause", "begin", "resume"]
    body.events.clear()
    body.feed(bytes(HIGH_WATER))
    assert body.events == ["pause"]
    sink.go.set()
    await _eventually(lambda: "resume" in body.events)
    body.finish(End.COMPLETE)
    await task
    assert body.received == (64 << 10) + len(b"still taken") + HIGH_WATER


async def test_a_stop_is_prompt_while_nothing_comes() -> None:
    """A dry body has no write under way: `pour` is back within a few milliseconds."""
    body = Fed()
    task = asyncio.create_task(body.pour(_recorder()))
    await asyncio.sleep(0.01)
    begun = time.monotonic()
    body.stop(End.SHUTDOWN)
    assert await task is End.SHUTDOWN
    assert time.monotonic() - begun < 1.0
    assert body.events[-1] == "pause"


async def test_a_stop_waits_for_the_write_under_way_and_for_no_other() -> None:
    """What was gathered behind it is dropped."""
    body, sink = Fed(), _recorder()
    sink.go.clear()
    task = asyncio.create_task(body.pour(sink))
    for letter in (b"a", b"b", b"c"):
        body.feed(letter * PIECE)
    await asyncio.sleep(0.01)
    body.stop(End.SUPERSEDED)
    await asyncio.sleep(0.01)
    assert not task.done()
    sink.go.set()
    assert await task is End.SUPERSEDED
    assert sink.data == b"a" * PIECE


async def test_an_error_of_the_sink_comes_out_with_no_write_under_way() -> None:
    """The rest is dropped and the receiving side held back; what the sink took counts."""

    class Breaking:
        offset = 0

        def __init__(self) -> None:
            self.calls = 0

        def write(self, piece: memoryview) -> None:
            self.calls += 1
            if self.calls == 2:
                raise OSError("no room")

    body, sink = Fed(), Breaking()
    for _ in range(5):
        body.feed(bytes(PIECE))
    with pytest.raises(OSError, match="no room"):
        await body.pour(sink)
    assert (sink.calls, body.received) == (2, PIECE)
    assert body.events[-1] == "pause"


async def test_a_body_that_lets_us_wait_has_stalled() -> None:
    """After the idle time, counted from the last byte; what came before is handed over."""
    body, sink = Fed(idle_timeout=0.1), _recorder()
    task = asyncio.create_task(body.pour(sink))
    await asyncio.sleep(0.06)
    body.feed(b"x")
    await asyncio.sleep(0.06)
    assert not task.done()
    assert await task is End.STALLED
    assert sink.data == b"x"


async def test_time_in_which_the_sink_is_slow_does_not_count_as_idle() -> None:
    """A sender that is held back cannot be blamed for its silence."""
    body, sink = Fed(idle_timeout=0.05), _recorder()
    sink.go.clear()
    task = asyncio.create_task(body.pour(sink))
    body.feed(bytes(HIGH_WATER))
    await asyncio.sleep(0.2)
    assert not task.done()
    sink.go.set()
    await _eventually(lambda: body.received == HIGH_WATER)
    body.feed(b"in time")
    body.finish(End.COMPLETE)
    assert await task is End.COMPLETE


async def test_many_bodies_share_the_threads() -> None:
    """More bodies than threads: every one is poured."""
    sinks = [_recorder() for _ in range(100)]
    bodies = [Fed() for _ in sinks]
    tasks = [asyncio.create_task(body.pour(sink)) for body, sink in zip(bodies, sinks, strict=True)]
    for _ in range(3):
        for body in bodies:
            body.feed(b"abc")
        await asyncio.sleep(0)
    for body in bodies:
        body.finish(End.COMPLETE)
    assert set(await asyncio.gather(*tasks)) == {End.COMPLETE}
    assert {sink.data for sink in sinks} == {b"abcabcabc"}


async def test_uninterrupted_gives_the_result_and_the_error() -> None:
    """Without a cancellation it is a plain await."""
    loop = asyncio.get_running_loop()
    assert await uninterrupted(loop.run_in_executor(None, lambda: 5)) == 5
    with pytest.raises(ValueError, match="invalid literal"):
        await uninterrupted(loop.run_in_executor(None, int, "x"))


async def _eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in threads and has no event
            await asyncio.sleep(0.002)


def test_a_recorder_is_a_sink() -> None:
    """The tests' sink fits the contract."""
    sink: Sink = _recorder()
    sink.write(memoryview(b"x"))


async def test_a_small_body_can_be_had_whole() -> None:
    """In one piece, and it counts as received; there is nothing left to pour."""
    body = Fed(length=6)
    body.feed(b"abc")
    asyncio.get_running_loop().call_soon(body.feed, b"def")
    asyncio.get_running_loop().call_soon(body.finish, End.COMPLETE)
    assert await body.whole(6) == [b"abc", b"def"]
    assert body.received == 6
    sink = _recorder()
    assert await body.pour(sink) is End.COMPLETE
    assert sink.data == b""


@pytest.mark.parametrize(("length", "most"), [(None, 100), (7, 6)])
async def test_a_body_too_long_to_be_had_whole_is_left_alone(length: int | None, most: int) -> None:
    """Neither one above the limit nor one whose length is not known."""
    body, sink = Fed(length=length), _recorder()
    body.feed(b"abcdefg")
    body.finish(End.COMPLETE)
    assert await body.whole(most) is None
    assert await body.pour(sink) is End.COMPLETE
    assert sink.data == b"abcdefg"


async def test_a_body_that_pauses_is_poured_instead() -> None:
    """What had arrived comes first, then what came later, and the client is asked for it only once."""
    body, sink = Fed(length=6), _recorder()
    body.feed(b"abc")
    assert await body.whole(6) is None
    task = asyncio.create_task(body.pour(sink))
    await asyncio.sleep(0)
    body.feed(b"def")
    body.finish(End.COMPLETE)
    assert await task is End.COMPLETE
    assert sink.data == b"abcdef"


@pytest.mark.parametrize("end", [End.DISCONNECTED, End.SUPERSEDED])
async def test_a_small_body_that_breaks_off_is_poured_instead(end: End) -> None:
    """Its end is told by `pour`: with what had arrived when the client left, with nothing when it was stopped."""
    body, sink = Fed(length=6), _recorder()
    body.feed(b"abc")
    asyncio.get_running_loop().call_soon(body.finish if end is End.DISCONNECTED else body.stop, end)
    assert await body.whole(6) is None
    assert await body.pour(sink) is end
    assert sink.data == (b"abc" if end is End.DISCONNECTED else b"")


async def test_among_hundreds_a_trickle_gathers(crowd: None) -> None:
    """It is handed over when a flush asks for it, when 16 KiB have come, when its time is over, and at its end."""
    body, sink = Fed(), _recorder()
    task = asyncio.create_task(body.pour(sink))
    body.feed(b"a")
    await asyncio.sleep(0.05)
    assert sink.data == b""
    await body.flush()
    assert sink.data == b"a"
    body.feed(b"b" * TRICKLE)
    await _eventually(lambda: len(sink.data) == 1 + TRICKLE)
    body.feed(b"c")
    await _eventually(lambda: sink.data.endswith(b"c"))
    body.feed(b"d")
    body.finish(End.COMPLETE)
    assert await task is End.COMPLETE
    assert sink.data.endswith(b"cd")


async def test_a_flush_waits_for_what_is_being_written_and_for_no_more(crowd: None) -> None:
    """It returns when the bytes that had come before it are with the sink; a stop lets it go too."""
    body, sink = Fed(), _recorder()
    sink.go.clear()
    task = asyncio.create_task(body.pour(sink))
    body.feed(b"a" * TRICKLE)
    await _eventually(lambda: body._in_hand > 0)
    first = asyncio.create_task(body.flush())
    body.feed(b"b")
    second = asyncio.create_task(body.flush())
    await asyncio.sleep(0.05)
    assert not first.done()
    sink.go.set()
    await first
    await second
    assert sink.data == b"a" * TRICKLE + b"b"
    sink.go.clear()
    body.feed(b"c")
    third = asyncio.create_task(body.flush())
    await asyncio.sleep(0)
    body.stop(End.SHUTDOWN)
    await third
    sink.go.set()
    assert await task is End.SHUTDOWN


async def test_a_flush_while_a_trickle_gathers_does_not_end_it(crowd: None) -> None:
    """Its time to gather ends with nothing left to hand over, and it waits for more as before."""
    body, sink = Fed(), _recorder()
    task = asyncio.create_task(body.pour(sink))
    body.feed(b"a")
    await asyncio.sleep(0)
    await body.flush()
    await asyncio.sleep(0.4)
    assert not task.done()
    body.feed(b"b")
    body.finish(End.COMPLETE)
    assert await task is End.COMPLETE
    assert sink.data == b"ab"


async def test_what_a_flush_cannot_write_ends_the_pouring(crowd: None) -> None:
    """The sink's exception comes out of `pour`, not of the flush."""

    class Refusing:
        offset = 0

        def write(self, piece: memoryview) -> None:
            raise OSError("no room")

    body = Fed()
    task = asyncio.create_task(body.pour(Refusing()))
    body.feed(b"a")
    await asyncio.sleep(0)
    await body.flush()
    with pytest.raises(OSError, match="no room"):
        await task


async def test_a_body_that_ends_while_a_flush_writes_loses_nothing(crowd: None) -> None:
    """Pouring waits for the flush's hand-over."""
    body, sink = Fed(), _recorder()
    sink.go.clear()
    task = asyncio.create_task(body.pour(sink))
    body.feed(b"a")
    await asyncio.sleep(0)
    flush = asyncio.create_task(body.flush())
    await _eventually(lambda: body._in_hand == 1)
    body.finish(End.COMPLETE)
    await asyncio.sleep(0.02)
    assert not task.done()
    sink.go.set()
    await flush
    assert await task is End.COMPLETE
    assert sink.data == b"a"


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bodies are poured that one of them waits for 0.3 s."""
    monkeypatch.setattr(pacing, "_pouring", 150)


async def test_a_body_that_waits_for_its_turn_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are before it: whoever takes the upload over does not wait for them."""
    monkeypatch.setattr(pacing, "line", lambda _: Line(0))
    body, recorder = Fed(length=100), _recorder()
    pouring = asyncio.create_task(body.pour(recorder))
    body.feed(b"a" * 50)
    await asyncio.sleep(0.01)
    body.stop(End.SUPERSEDED)
    assert await asyncio.wait_for(pouring, 5) is End.SUPERSEDED
    assert body.received == 0
