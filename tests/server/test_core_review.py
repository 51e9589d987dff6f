"""Ways to break the core that a reader of it thought of: each was, or could have been, a hole."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_protocol.problems import FINAL_UPLOAD, FINISHING, FORBIDDEN, STORAGE_FULL, Problem, Refused
from ferryman_server import turns
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.claims import Claims, NotYet
from ferryman_server.lifecycle import go_on_with_pending
from ferryman_server.refusals import Declined
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Store, StoreError, read_all
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import ONE, OTHER, put
from ferryman_server.uploads import Uploads
from tests.support.core import RUFH, Core, Disk, Feed, ids, running, store_of, until
from tests.support.uploading import content

WHOLE = content(100_000)
LENGTH = len(WHOLE)


class Gated:
    """A store whose `publish`, `read` or `concatenate` waits, when told so, until a gate is opened."""

    def __init__(self, inner: Store, held: str) -> None:
        self._inner = inner
        self._held = held
        self.reached = 0  # calls that came to the gate
        self.gate = threading.Event()

    def __getattr__(self, name: str) -> Any:
        if name != self._held:
            return getattr(self._inner, name)
        return self._behind_the_gate

    def _behind_the_gate(self, *args: Any, **kwargs: Any) -> Any:
        self.reached += 1
        self.gate.wait(20)
        return getattr(self._inner, self._held)(*args, **kwargs)


@pytest.fixture(params=["memory", "local"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk with a store of each kind."""
    store = store_of(request.param, tmp_path)
    yield Disk(tmp_path, store)
    store.close()


@pytest.fixture
async def core(disk: Disk) -> AsyncIterator[Core]:
    """A running core."""
    async with running(disk) as made:
        yield made


async def reached(core: Core, upload_id: str, phase: Phase) -> Record:
    """Wait until the row is in this phase."""
    for _ in range(2000):
        record = await core.record(upload_id)
        if record.upload.phase is phase:
            return record
        await asyncio.sleep(0.005)
    raise AssertionError(f"{upload_id} is {record.upload.phase}")


async def refusal_of(request: Coroutine[Any, Any, object]) -> Problem:
    """What a request is refused with; it has five seconds to be."""
    try:
        await asyncio.wait_for(request, 5)
    except (Declined, Refused) as refused:
        return refused.problem
    raise AssertionError("it was not refused")


def read_before(core: Core, record: Record | None) -> None:
    """Let the next request read this row, as if it had come just before the latest commit."""

    async def as_it_was(_: str) -> Record | None:
        core.house.state.__dict__.pop("get", None)
        return record

    core.house.state.__dict__["get"] = as_it_was


# A tus upload whose offset is its length is complete: no client ever comes back to it


@pytest.mark.parametrize("observed", [True, False])
async def test_no_checkpoint_reaches_the_length_of_a_tus_upload(disk: Disk, observed: bool) -> None:
    """An offset that is the length means `complete` to a tus client: before that it is neither told nor kept."""
    core = Core(disk, checkpoint_size=LENGTH)
    await core.start()
    upload_id = await core.created(LENGTH)
    feed = Feed(WHOLE, whole=False)
    appending = asyncio.create_task(core.append(upload_id, 0, feed))
    await until(lambda: disk.store.tail(upload_id, 0) >= LENGTH - 1)
    await asyncio.sleep(0.05)
    if observed:
        assert await core.offset(upload_id) < LENGTH
    assert (await core.record(upload_id)).upload.offset < LENGTH
    feed.end()
    await appending
    assert await core.phase(upload_id) is Phase.COMPLETE
    assert read_all(disk.store, upload_id, LENGTH) == WHOLE
    await core.stop()


async def test_a_superseded_transfer_never_leaves_a_tus_upload_at_its_length(core: Core) -> None:
    """The newer request is told 409 and the offset; were that the length, its client would go away content."""
    upload_id = await core.created(LENGTH)
    feed = Feed(WHOLE, whole=False)
    older = asyncio.create_task(core.append(upload_id, 0, feed))
    await until(lambda: core.disk.store.tail(upload_id, 0) >= LENGTH - 1)
    with pytest.raises(Declined) as refused:
        await core.append(upload_id, 7, Feed(b"x"))
    assert refused.value.upload is not None
    assert refused.value.upload.offset == LENGTH - 1
    with pytest.raises(Declined):
        await older
    await core.append(upload_id, LENGTH - 1, Feed(WHOLE[-1:]))
    assert await core.phase(upload_id) is Phase.COMPLETE


async def test_a_length_that_the_upload_has_already_is_not_kept_of_a_request_that_breaks_off(core: Core) -> None:
    """A deferred length settled at exactly the offset completes the upload, or nothing happened."""
    upload_id = await core.created(None)
    await core.append(upload_id, 0, Feed(b"abc"))
    feed = Feed(chunked=True, whole=False)
    feed.cut()
    with pytest.raises(Declined):
        await core.append(upload_id, 3, feed, length=3)
    upload = (await core.record(upload_id)).upload
    assert (upload.phase, upload.length) == (Phase.RECEIVING, None)
    await core.append(upload_id, 3, Feed(), length=3)
    assert await core.phase(upload_id) is Phase.COMPLETE


# What was asked before completion is not gone around by a restart


async def no_end(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
    """A guard that lets everything be sent and nothing be completed."""
    if action is Action.FINISH:
        return Refuse(problem=Problem(kind=FORBIDDEN, detail="not today"))
    return Allow()


async def test_an_upload_whose_completion_was_forbidden_is_not_completed_by_a_restart(disk: Disk) -> None:
    """All its bytes may be in the file; the guard said no, and a start asks nobody."""
    core = Core(disk)
    await core.start()
    core.house = replace(core.house, guard=no_end)
    core.uploads = Uploads(core.house)
    upload_id = await core.created(LENGTH)
    with pytest.raises(Declined, match="not today"):
        await core.append(upload_id, 0, Feed(WHOLE))
    await core.die()
    async with running(disk) as again:
        upload = (await again.record(upload_id)).upload
        assert upload.phase in (Phase.EMPTY, Phase.RECEIVING)
        assert upload.offset < LENGTH


async def test_a_digest_that_came_with_the_last_append_is_compared_after_a_crash_too(disk: Disk) -> None:
    """It is in the row before the upload can be whole on the disk."""
    wrong = Digests(values=(("sha-256", hashlib.sha256(b"").digest()),))
    core = Core(disk)
    await core.start()
    upload_id = await core.created(LENGTH)
    await core.append(upload_id, 0, Feed(WHOLE[:10]))
    feed = Feed(WHOLE[10:], whole=False)
    appending = asyncio.create_task(core.append(upload_id, 10, feed, repr_digests=wrong))
    await until(lambda: disk.store.tail(upload_id, 0) >= LENGTH - 1)
    assert (await core.record(upload_id)).repr_digests == wrong
    await core.die()
    feed.end()
    with suppress(Exception):
        await appending


# Nobody waits without bound, and nobody holds up others


async def test_one_upload_that_cannot_be_published_does_not_hold_up_the_others(core: Core) -> None:
    """Its bytes are lost, say: it is tried again for ever, and those behind it are published all the same."""
    for upload_id in (ONE, OTHER):
        upload = Upload(id=upload_id, phase=Phase.FINISHING, offset=3, length=3)
        await core.house.state.create(Record(upload=upload, created_at=float(upload_id == OTHER)))
    put(core.disk.store, OTHER, b"abc")
    pending = asyncio.create_task(go_on_with_pending(core.house, core.uploads))
    await reached(core, OTHER, Phase.COMPLETE)
    pending.cancel()
    await asyncio.wait([pending])
    assert await core.phase(ONE) is Phase.FINISHING


@pytest.mark.parametrize("takes_over", [True, False])
async def test_a_head_waits_only_so_long_for_a_publication(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, takes_over: bool
) -> None:
    """It arrives while the last bytes are received, and the publication after them does not end."""
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    store = Gated(disk.store, "publish")
    async with running(disk, wrap=lambda _: store, quick=False) as core:
        upload_id = await core.created(3)
        appending = asyncio.create_task(core.append(upload_id, 0, Feed(b"abc")))
        await until(lambda: store.reached == 1)
        assert (await refusal_of(core.offset(upload_id, takes_over=takes_over))).kind is FINISHING
        store.gate.set()
        await appending


@pytest.mark.parametrize("kind", ["append", "look"])
async def test_a_take_over_waits_only_so_long_for_a_publication(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It came before the last byte, and stands behind a publication that does not end."""
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    store = Gated(disk.store, "publish")
    async with running(disk, wrap=lambda _: store, quick=False) as core:
        upload_id = await core.created(3)
        early = await core.house.state.get(upload_id)
        appending = asyncio.create_task(core.append(upload_id, 0, Feed(b"abc")))
        await until(lambda: store.reached == 1)

        read_before(core, early)
        looking, again = core.offset(upload_id, takes_over=True), core.append(upload_id, 3, Feed())
        unused, request = (looking, again) if kind == "append" else (again, looking)
        unused.close()
        assert (await refusal_of(request)).kind is FINISHING
        store.gate.set()
        await appending
        assert await core.phase(upload_id) is Phase.COMPLETE


async def test_an_append_to_a_final_upload_neither_waits_nor_disturbs(disk: Disk) -> None:
    """403 at once, while a large part is being copied."""
    store = Gated(disk.store, "concatenate")
    store.concatenate = store._behind_the_gate  # type: ignore[attr-defined]  # runtime_checkable looks for it
    store._held = "concatenate"
    async with running(disk, wrap=lambda _: store) as core:
        part = await core.created(3, concat=Concat.PARTIAL)
        await core.append(part, 0, Feed(b"abc"))
        final = await core.created(concat=Concat.FINAL, parts=(part,))
        await until(lambda: store.reached == 1)
        assert (await refusal_of(core.append(final, 0, Feed(b"x")))).kind is FINAL_UPLOAD
        holder = core.house.claims.holder(final)
        assert holder is not None
        assert not holder.superseded
        store.gate.set()
        await reached(core, final, Phase.COMPLETE)


async def test_reading_many_uploads_back_leaves_threads_for_the_others(disk: Disk) -> None:
    """Digests of the whole are computed a few at a time: other uploads are synced and answered meanwhile."""
    store = Gated(disk.store, "read")
    good = Digests(values=(("sha-256", hashlib.sha256(b"abc").digest()),))
    async with running(disk, wrap=lambda _: store, quick=False) as core:
        many = [await core.created(3, repr_digests=good) for _ in range(40)]
        appending = [asyncio.create_task(core.append(upload_id, 0, Feed(b"abc"))) for upload_id in many]
        await until(lambda: store.reached > 0)
        await asyncio.sleep(0.2)
        other = await core.created(3)
        await asyncio.wait_for(core.append(other, 0, Feed(b"abc")), 5)
        store.gate.set()
        await asyncio.gather(*appending)
        assert await core.phase(many[-1]) is Phase.COMPLETE


# Nothing is forgotten


async def test_a_part_that_a_newer_request_publishes_completes_its_final_upload(disk: Disk) -> None:
    """The publication failed first; the append that stood behind it publishes, and the final upload hears of it."""
    async with running(disk, quick=False) as core:
        part = await core.created(3, concat=Concat.PARTIAL)
        final = await core.created(concat=Concat.FINAL, parts=(part,))
        publish, failures = core.house.store.publish, iter([True])

        def fails_once(upload_id: str, length: int) -> None:
            if next(failures, False):
                raise StoreError("not now")
            publish(upload_id, length)

        core.house.store.__dict__["publish"] = fails_once
        early = await core.house.state.get(part)
        with pytest.raises(Declined):
            await core.append(part, 0, Feed(b"abc"))
        assert await core.phase(part) is Phase.FINISHING
        read_before(core, early)
        await core.append(part, 3, Feed())
        await reached(core, final, Phase.COMPLETE)


async def test_a_creation_that_breaks_off_is_told_to_those_who_heard_of_it(core: Core) -> None:
    """Whoever keeps something for each upload under way (progress lines) has to hear that this one is over."""
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    feed.cut()
    with pytest.raises(Declined):
        await core.create(LENGTH, feed)
    assert ids(core.events, "created") == ids(core.events, "terminated")


# Who may not, disturbs nothing


def intrusions(core: Core, upload_id: str, action: Action) -> list[Coroutine[Any, Any, object]]:
    """Requests that need this right and would take over."""
    if action is Action.APPEND:
        return [core.append(upload_id, 0, Feed(b"x"))]
    if action is Action.TERMINATE:
        return [core.terminate(upload_id)]
    retrieval = core.uploads.fetch(upload_id, core.exchange(Feed(), RUFH), takes_over=True)
    return [core.offset(upload_id, takes_over=True), retrieval]


@pytest.mark.parametrize("forbidden", [Action.APPEND, Action.INSPECT, Action.TERMINATE])
async def test_a_request_that_is_not_allowed_disturbs_no_transfer(core: Core, forbidden: Action) -> None:
    """It is refused before it could take over, whatever it wants; reading alone does not take over either."""

    async def guard(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
        allowed = action is not forbidden or not armed
        return Allow() if allowed else Refuse(problem=Problem(kind=FORBIDDEN, detail="no"))

    armed = False
    core.house = replace(core.house, guard=guard)
    core.uploads = Uploads(core.house)
    upload_id = await core.created(LENGTH)
    feed = Feed(WHOLE[:10], length=LENGTH, whole=False)
    appending = asyncio.create_task(core.append(upload_id, 0, feed))
    await until(lambda: core.disk.store.tail(upload_id, 0) == 10)
    armed = True
    for request in intrusions(core, upload_id, forbidden):
        assert (await refusal_of(request)).kind is FORBIDDEN
    armed = False
    feed.send(WHOLE[10:])
    feed.end()
    await appending
    assert await core.phase(upload_id) is Phase.COMPLETE


async def test_a_disk_that_is_full_at_the_last_byte_keeps_the_others(tmp_path: Path) -> None:
    """The byte held back is a write like any other."""
    store = MemoryStore(capacity=LENGTH - 1)
    async with running(Disk(tmp_path, store), quick=False) as core:
        upload_id = await core.created(LENGTH)
        with pytest.raises(Declined) as refused:
            await core.append(upload_id, 0, Feed(WHOLE))
        assert refused.value.problem.kind is STORAGE_FULL
        assert (await core.record(upload_id)).upload.offset == LENGTH - 1
        store.capacity = LENGTH
        await core.append(upload_id, LENGTH - 1, Feed(WHOLE[-1:]))
        assert read_all(store, upload_id, LENGTH) == WHOLE


async def test_a_claim_that_has_waited_long_enough_leaves_the_line() -> None:
    """Those behind it get their turn as if it had never been there."""
    claims = Claims()
    async with claims.take(ONE, 0):
        with pytest.raises(NotYet):
            await claims.take(ONE, 0, patience=0.01).__aenter__()
        waiting = asyncio.create_task(claims.take(ONE, 0, patience=10).__aenter__())
        await asyncio.sleep(0)
    assert claims.holder(ONE) is await waiting
