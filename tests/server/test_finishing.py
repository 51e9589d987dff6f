"""From the last byte to `complete`: checked, published, then said; and repeatable wherever it stopped."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_protocol.problems import DIGEST_MISMATCH, Refused
from ferryman_server.refusals import Declined
from ferryman_server.state.base import Lease, Record, StateError
from ferryman_server.storage.base import StoreError, read_all
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import ONE, put
from tests.support.core import RUFH, Core, Disk, Feed, ids, running, store_of
from tests.support.in_process import Disk as Syncs
from tests.support.uploading import content

WHOLE = content(50_000)
GOOD = Digests(values=(("sha-256", hashlib.sha256(WHOLE).digest()), ("md5", hashlib.md5(WHOLE).digest())))
BAD = Digests(values=(("sha-256", hashlib.sha256(WHOLE).digest()), ("sha-512", bytes(64))))


@pytest.fixture(params=["memory", "local"])
async def core(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Core]:
    """A running core on a store of each kind."""
    store = store_of(request.param, tmp_path)
    async with running(Disk(tmp_path, store)) as made:
        yield made


async def finishing(core: Core, whole: bytes = WHOLE, **changes: object) -> tuple[Record, Lease]:
    """An upload all of whose bytes are durable, and a lease on it."""
    upload = Upload(id=ONE, phase=Phase.FINISHING, offset=len(whole), length=len(whole), expires_at=7.0)
    upload = replace(upload, **{name: changes.pop(name) for name in ("concat",) if name in changes})  # type: ignore[arg-type]
    if whole:
        put(core.disk.store, ONE, whole)
    await core.house.state.create(replace(Record(upload=upload), **changes))  # type: ignore[arg-type]
    leased = await core.house.state.lease(ONE)
    assert leased is not None
    return leased


async def test_a_finished_upload_can_be_read_and_never_expires(core: Core) -> None:
    """Published first, then the row, then the event."""
    done = await core.house.finisher.finish(*await finishing(core))
    row = await core.record(ONE)
    assert row == replace(done, fence=row.fence)
    assert (row.upload.phase, row.upload.expires_at) == (Phase.COMPLETE, None)
    assert row.completed_at is not None
    assert read_all(core.disk.store, ONE, len(WHOLE)) == WHOLE
    assert ids(core.events, "complete") == [ONE]


async def test_an_empty_upload_is_published_too(core: Core) -> None:
    """Nothing was ever written, and still there is something to download."""
    await core.house.finisher.finish(*await finishing(core, b""))
    assert read_all(core.disk.store, ONE, 0) == b""


async def test_a_partial_upload_keeps_its_time(core: Core) -> None:
    """It is kept for final uploads, but not for ever."""
    await core.house.finisher.finish(*await finishing(core, concat=Concat.PARTIAL))
    assert (await core.record(ONE)).upload.expires_at == 7.0


async def test_finishing_what_was_published_already_only_says_so(core: Core) -> None:
    """A crash between the publication and the row is repaired by the same steps."""
    held = await finishing(core)
    core.disk.store.publish(ONE, len(WHOLE))
    await core.house.finisher.finish(*held)
    assert await core.phase(ONE) is Phase.COMPLETE
    assert read_all(core.disk.store, ONE, len(WHOLE)) == WHOLE


async def test_right_digests_let_it_through(core: Core) -> None:
    """Every digest that the client announced is compared."""
    await core.house.finisher.finish(*await finishing(core, repr_digests=GOOD))
    assert await core.phase(ONE) is Phase.COMPLETE


async def test_a_wrong_digest_fails_the_upload_and_publishes_nothing(core: Core) -> None:
    """One that differs is enough; it is named to the client and in the row."""
    with pytest.raises(Refused) as refused:
        await core.house.finisher.finish(*await finishing(core, repr_digests=BAD))
    assert refused.value.problem.kind is DIGEST_MISMATCH
    upload = (await core.record(ONE)).upload
    assert upload.phase is Phase.FAILED
    assert "sha-512" in (upload.reason or "")
    assert ids(core.events, "failed") == [ONE]
    assert ids(core.events, "complete") == []
    assert [stray.published for stray in core.disk.store.strays()] == [False]


async def test_digests_are_compared_after_a_publication_too(core: Core) -> None:
    """A crash after the publication: the bytes are read from where they are now."""
    held = await finishing(core, repr_digests=GOOD)
    core.disk.store.publish(ONE, len(WHOLE))
    await core.house.finisher.finish(*held)
    assert await core.phase(ONE) is Phase.COMPLETE


async def test_the_digest_a_client_wants_is_that_of_the_whole(core: Core) -> None:
    """The preferred one is computed once the upload is complete, and not before."""
    record, lease = await finishing(core, want_repr_digests=("sha-512", "md5"))
    assert await core.house.finisher.wanted(record) is None
    done = await core.house.finisher.finish(record, lease)
    wanted = await core.house.finisher.wanted(done)
    assert wanted == Digests(values=(("sha-512", hashlib.sha512(WHOLE).digest()),))
    assert await core.house.finisher.wanted(replace(done, want_repr_digests=())) is None


async def test_a_row_that_cannot_be_committed_leaves_it_finishing(tmp_path: Path) -> None:
    """Published and not yet said: nobody was told, no event went out, and the next start says it."""
    disk = Disk(tmp_path, MemoryStore())
    core = Core(disk)
    await core.start()
    record, lease = await finishing(core)
    await core.house.state.close()
    with pytest.raises(StateError):
        await core.house.finisher.finish(record, lease)
    assert core.events == []
    await core.stop()
    async with running(disk) as again:
        assert await again.phase(ONE) is Phase.FINISHING
        assert await again.uploads.publisher.finish_pending(ONE)
        assert await again.phase(ONE) is Phase.COMPLETE
        assert read_all(disk.store, ONE, len(WHOLE)) == WHOLE


async def test_a_publication_that_fails_is_repeated_by_whoever_comes_next(tmp_path: Path) -> None:
    """PATCH answers 503 and keeps the bytes; a HEAD, a repeated PATCH or the next start publishes them."""
    syncs = Syncs()
    disk = Disk(tmp_path, LocalStore(tmp_path / "data", sync_entries=syncs.sync_folder))
    disk.store.open()
    async with running(disk, quick=False) as core:
        uploads = [await core.created(len(WHOLE)) for _ in range(3)]
        for upload in uploads:
            await core.append(upload, 0, Feed(WHOLE[:1]))
        syncs.failing_folders = "/files"
        for upload in uploads:
            with pytest.raises(Declined) as declined:
                await core.append(upload, 1, Feed(WHOLE[1:]))
            assert declined.value.problem.kind.status == 503
            assert await core.phase(upload) is Phase.FINISHING
        with pytest.raises(StoreError):
            await core.offset(uploads[0])
        syncs.failing_folders = None
        assert await core.offset(uploads[0]) == len(WHOLE)
        await core.append(uploads[1], len(WHOLE), Feed())
        assert [await core.phase(upload) for upload in uploads[:2]] == [Phase.COMPLETE] * 2
    async with running(disk) as core:
        assert await core.uploads.publisher.finish_pending(uploads[2])
        assert read_all(disk.store, uploads[2], len(WHOLE)) == WHOLE


async def test_finish_pending_leaves_others_alone(core: Core) -> None:
    """What is not finishing, or in somebody's hands, is not touched."""
    upload = await core.created(len(WHOLE))
    assert not await core.uploads.publisher.finish_pending(ONE), "there is no such upload"
    assert await core.uploads.publisher.finish_pending(upload)
    assert await core.phase(upload) is Phase.EMPTY
    await finishing(core)
    async with core.house.claims.take(ONE, 0) as claim:
        await core.uploads.publisher.finish_pending(ONE)
        assert not claim.superseded
        assert await core.phase(ONE) is Phase.FINISHING


async def test_a_rufh_upload_with_a_wrong_repr_digest_fails_on_its_last_request(core: Core) -> None:
    """The verdict is on the whole upload: nothing can be appended afterwards."""
    upload = await core.created(len(WHOLE), dialect=RUFH)
    with pytest.raises(Declined) as declined:
        await core.append(upload, 0, Feed(WHOLE), dialect=RUFH, completes=True, repr_digests=BAD)
    assert declined.value.problem.kind is DIGEST_MISMATCH
    assert await core.phase(upload) is Phase.FAILED
