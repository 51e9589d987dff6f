"""Final uploads: assembled from their partial ones in order, file by file, through crashes and failures."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_protocol.problems import EXCEEDS_MAX_SIZE, NOT_A_PARTIAL, UNKNOWN_PARTIAL, Refused
from ferryman_server.events import Event
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Concatenates, Store, StoreError, read_all
from ferryman_server.storage.testing_rig import put
from tests.server.core_model import crc_of
from tests.support.core import TUS, Core, Disk, Feed, ids, running, store_of, until
from tests.support.uploading import content

BODIES = (content(3000, 1), content(5000, 2), content(1, 3))
WHOLE = b"".join(BODIES)


class Stumbling:
    """A store that refuses to copy a file when told so, and notes what it copied."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.refuses: set[str] = set()  # sources
        self.publishes = True
        self.copied: list[tuple[str, int]] = []  # sources and the offsets they went to

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def concatenate(self, upload_id: str, offset: int, source_id: str, length: int) -> None:
        """Copy, or fail."""
        if source_id in self.refuses:
            raise StoreError(f"cannot copy {source_id}")
        assert isinstance(self._inner, Concatenates)
        self._inner.concatenate(upload_id, offset, source_id, length)
        self.copied.append((source_id, offset))

    def publish(self, upload_id: str, length: int) -> None:
        """Publish, or fail."""
        if not self.publishes:
            raise StoreError(f"cannot publish {upload_id}")
        self._inner.publish(upload_id, length)


@pytest.fixture(params=["memory", "local"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """A disk with a store of each kind, that stumbles when told so."""
    inner = store_of(request.param, tmp_path)
    return Disk(tmp_path, Stumbling(inner))  # type: ignore[arg-type]  # the rest comes by __getattr__


@pytest.fixture
async def core(disk: Disk) -> AsyncIterator[Core]:
    """A running core."""
    async with running(disk) as made:
        yield made


def stumbling(disk: Disk) -> Stumbling:
    """The disk's store, with its handles."""
    assert isinstance(disk.store, Stumbling)
    return disk.store


async def partials(core: Core, *bodies: bytes, finished: int | None = None) -> list[str]:
    """Partial uploads, the first `finished` of which (default: all) have their bytes."""
    found = []
    for number, body in enumerate(bodies):
        part = await core.created(len(body), concat=Concat.PARTIAL, concat_echo="partial")
        if body and (finished is None or number < finished):
            await core.append(part, 0, Feed(body))
        found.append(part)
    return found


async def final_of(core: Core, parts: Sequence[str], **more: Any) -> str:
    """A final upload of these parts."""
    return await core.created(concat=Concat.FINAL, concat_echo="final;…", parts=tuple(parts), **more)


async def row_becomes(core: Core, upload_id: str, expected: Callable[[Upload], bool]) -> Record:
    """Wait until the row is as expected."""
    for _ in range(2000):
        record = await core.record(upload_id)
        if expected(record.upload):
            return record
        await asyncio.sleep(0.005)
    raise AssertionError(f"it did not happen in time: {record.upload}")


async def phase_becomes(core: Core, upload_id: str, phase: Phase) -> Record:
    """Wait until the row is in this phase."""
    return await row_becomes(core, upload_id, lambda upload: upload.phase is phase)


async def copied_up_to(core: Core, upload_id: str, offset: int) -> None:
    """Wait until so many bytes of a final upload are committed."""
    await row_becomes(core, upload_id, lambda upload: upload.offset == offset)


async def started_again(disk: Disk) -> Core:
    """Another process, which goes on with what the last one left half-way."""
    core = Core(disk)
    for record in (await core.start()).pending:
        await core.house.assembler.reconsider(record.upload.id)
        core.house.assembler.start(record.upload.id)
    return core


async def test_parts_are_put_behind_each_other_in_the_order_named(core: Core) -> None:
    """Length and checksum are those of the whole, and the parts are still there."""
    parts = await partials(core, *BODIES)
    record = await phase_becomes(core, await final_of(core, parts), Phase.COMPLETE)
    assert (record.upload.offset, record.upload.length) == (len(WHOLE), len(WHOLE))
    assert record.crc64 == crc_of(WHOLE)
    assert read_all(core.disk.store, record.upload.id, len(WHOLE)) == WHOLE
    for part, body in zip(parts, BODIES, strict=True):
        assert read_all(core.disk.store, part, len(body)) == body


async def test_parts_may_be_named_twice_and_used_again(core: Core) -> None:
    """The same partial upload counts each time it is named."""
    one, other, _ = await partials(core, *BODIES)
    for order, whole in (([other, one, other], BODIES[1] + BODIES[0] + BODIES[1]), ([one], BODIES[0])):
        record = await phase_becomes(core, await final_of(core, order), Phase.COMPLETE)
        assert read_all(core.disk.store, record.upload.id, len(whole)) == whole


async def test_empty_parts_add_nothing(core: Core) -> None:
    """Also when there is nothing else."""
    empty, one = await partials(core, b"", BODIES[0])
    record = await phase_becomes(core, await final_of(core, [empty, one, empty]), Phase.COMPLETE)
    assert read_all(core.disk.store, record.upload.id, len(BODIES[0])) == BODIES[0]
    record = await phase_becomes(core, await final_of(core, [empty]), Phase.COMPLETE)
    assert record.upload.length == 0


async def test_a_final_upload_waits_for_its_last_part(core: Core) -> None:
    """`concatenation-unfinished`: it is assembled as soon as the last one is complete, whichever that is."""
    parts = await partials(core, *BODIES, finished=1)
    final = await final_of(core, parts)
    record = await core.record(final)
    assert (record.upload.phase, record.upload.length) == (Phase.WAITING, len(WHOLE))
    await core.append(parts[2], 0, Feed(BODIES[2]))
    assert await core.phase(final) is Phase.WAITING
    await core.append(parts[1], 0, Feed(BODIES[1]))
    await phase_becomes(core, final, Phase.COMPLETE)
    assert read_all(core.disk.store, final, len(WHOLE)) == WHOLE


async def test_the_length_is_known_when_every_parts_length_is(core: Core) -> None:
    """A part of deferred length keeps it open until that part is complete."""
    (one,) = await partials(core, BODIES[0])
    deferred = await core.created(None, concat=Concat.PARTIAL)
    final = await final_of(core, [one, deferred])
    assert (await core.record(final)).upload.length is None
    await core.append(deferred, 0, Feed(BODIES[1]), length=len(BODIES[1]))
    record = await phase_becomes(core, final, Phase.COMPLETE)
    assert record.upload.length == len(BODIES[0]) + len(BODIES[1])


async def test_only_partial_uploads_of_this_server_can_be_parts(core: Core) -> None:
    """What is unknown, gone, or not created as a part is refused by name, and no final upload is made."""
    (part,) = await partials(core, BODIES[0])
    ordinary = await core.created(3)
    gone = (await partials(core, b"x", finished=0))[0]
    await core.terminate(gone)
    for parts, kind in (
        ([part, "a" * 26], UNKNOWN_PARTIAL),
        ([part, gone], UNKNOWN_PARTIAL),
        ([ordinary], NOT_A_PARTIAL),
    ):
        with pytest.raises(Refused) as refused:
            await final_of(core, parts)
        assert refused.value.problem.kind is kind
        assert parts[-1] in refused.value.problem.detail


async def test_parts_that_turn_out_too_long_fail_the_final_upload(disk: Disk) -> None:
    """Nor does a part whose length is told later."""
    async with running(disk, max_size=7000) as core:
        (one,) = await partials(core, BODIES[0])
        deferred = await core.created(None, concat=Concat.PARTIAL)
        final = await final_of(core, [one, deferred])
        await core.append(deferred, 0, Feed(BODIES[1]), length=len(BODIES[1]))
        record = await phase_becomes(core, final, Phase.FAILED)
        assert "8000 bytes" in (record.upload.reason or "")


async def test_parts_that_add_up_to_more_than_the_maximum_are_refused(disk: Disk) -> None:
    """No path goes around the maximum size."""
    async with running(disk, max_size=7000) as core:
        parts = await partials(core, *BODIES)
        with pytest.raises(Refused) as refused:
            await final_of(core, parts)
        assert refused.value.problem.kind is EXCEEDS_MAX_SIZE


async def test_a_crash_between_two_files_repeats_at_most_one(disk: Disk) -> None:
    """The next start goes on after the last file that was committed."""
    core = Core(disk)
    await core.start()
    parts = await partials(core, *BODIES)
    stumbling(disk).refuses = {parts[2]}
    final = await final_of(core, parts)
    await copied_up_to(core, final, len(BODIES[0] + BODIES[1]))
    await core.die()
    stumbling(disk).refuses = set()
    again = await started_again(disk)
    record = await phase_becomes(again, final, Phase.COMPLETE)
    assert [source for source, _ in stumbling(disk).copied] == parts
    assert record.crc64 == crc_of(WHOLE)
    assert read_all(disk.store, final, len(WHOLE)) == WHOLE
    await again.stop()


async def test_a_crash_in_the_middle_of_a_file_repeats_that_file(disk: Disk) -> None:
    """Bytes that were copied and not committed are cut off before the file is copied again."""
    core = Core(disk)
    await core.start()
    parts = await partials(core, *BODIES)
    stumbling(disk).refuses = {parts[1]}
    final = await final_of(core, parts)
    await copied_up_to(core, final, len(BODIES[0]))
    await core.die()
    writer = disk.store.writer(final, len(BODIES[0]))
    writer.write(memoryview(bytes(1234)))
    writer.close()
    stumbling(disk).refuses = set()
    again = await started_again(disk)
    await phase_becomes(again, final, Phase.COMPLETE)
    assert read_all(disk.store, final, len(WHOLE)) == WHOLE
    await again.stop()


async def test_a_part_that_was_completed_just_before_a_crash_is_noticed_at_the_start(disk: Disk) -> None:
    """Nobody had told the waiting final upload yet: the start looks."""
    async with running(disk) as core:
        parts = await partials(core, *BODIES, finished=2)
        final = await final_of(core, parts)
        held = await core.house.state.lease(parts[2])
        assert held is not None
        put(disk.store, parts[2], BODIES[2])
        upload = replace(held[0].upload, phase=Phase.FINISHING, offset=len(BODIES[2]))
        await core.house.finisher.finish(replace(held[0], upload=upload, crc64=crc_of(BODIES[2])), held[1])
        assert await core.phase(final) is Phase.WAITING
    again = await started_again(disk)
    await phase_becomes(again, final, Phase.COMPLETE)
    assert read_all(disk.store, final, len(WHOLE)) == WHOLE
    await again.stop()


async def test_a_store_that_fails_is_tried_again(core: Core) -> None:
    """The final upload stays `finishing` meanwhile, and nothing is told."""
    parts = await partials(core, *BODIES)
    stumbling(core.disk).refuses = {parts[1]}
    final = await final_of(core, parts)
    await copied_up_to(core, final, len(BODIES[0]))
    assert await core.phase(final) is Phase.FINISHING
    stumbling(core.disk).refuses = set()
    await phase_becomes(core, final, Phase.COMPLETE)
    assert read_all(core.disk.store, final, len(WHOLE)) == WHOLE


async def test_a_part_that_is_deleted_once_it_is_copied_is_not_missed(core: Core) -> None:
    """All bytes are there: a publication that has to be repeated does not ask for the parts again."""
    parts = await partials(core, *BODIES)
    stumbling(core.disk).publishes = False
    final = await final_of(core, parts)
    await copied_up_to(core, final, len(WHOLE))
    await core.terminate(parts[0])
    stumbling(core.disk).publishes = True
    await phase_becomes(core, final, Phase.COMPLETE)
    assert read_all(core.disk.store, final, len(WHOLE)) == WHOLE


async def test_a_part_that_is_deleted_fails_the_final_uploads_that_wait_for_it(core: Core) -> None:
    """All of them, each with the reason; other final uploads are not touched."""
    lost, kept = await partials(core, BODIES[0], BODIES[1], finished=0)
    doomed = [await final_of(core, [lost]), await final_of(core, [kept, lost])]
    unharmed = await final_of(core, [kept])
    await core.terminate(lost)
    for final in doomed:
        record = await phase_becomes(core, final, Phase.FAILED)
        assert lost in (record.upload.reason or "")
    assert set(ids(core.events, "failed")) == set(doomed)
    await core.append(kept, 0, Feed(BODIES[1]))
    await phase_becomes(core, unharmed, Phase.COMPLETE)


async def test_a_part_that_expires_fails_the_final_uploads_that_wait_for_it(core: Core) -> None:
    """The reaper's event is enough."""
    (part,) = await partials(core, BODIES[0], finished=0)
    final = await final_of(core, [part])
    held = await core.house.state.lease(part)
    assert held is not None
    record, lease = held
    gone = replace(record, upload=replace(record.upload, phase=Phase.EXPIRED))
    await core.house.state.save(gone, lease)
    core.house.events.publish(Event("expired", part, 1.0))
    record = await phase_becomes(core, final, Phase.FAILED)
    assert part in (record.upload.reason or "")


async def test_a_part_that_fails_takes_its_final_uploads_along(core: Core) -> None:
    """A part whose digest is wrong never becomes complete: waiting on is of no use."""
    wrong = Digests(values=(("sha-256", bytes(32)),))
    part = await core.created(3, concat=Concat.PARTIAL, repr_digests=wrong)
    final = await final_of(core, [part])
    with pytest.raises(Exception, match="sha-256"):
        await core.append(part, 0, Feed(b"abc"))
    await phase_becomes(core, final, Phase.FAILED)


async def test_a_part_that_is_completed_while_the_final_upload_is_made_is_not_missed(core: Core) -> None:
    """Between the look at the parts and the final upload's row, the last part may become complete."""
    (part,) = await partials(core, BODIES[0], finished=0)
    plan = core.house.assembler.plan

    async def overtaken(*arguments: object) -> object:
        planned = await plan(*arguments)  # type: ignore[arg-type]
        await core.append(part, 0, Feed(BODIES[0]))
        return planned

    core.house.assembler.plan = overtaken  # type: ignore[method-assign, assignment]
    final = await final_of(core, [part])
    await phase_becomes(core, final, Phase.COMPLETE)


async def test_a_part_that_is_deleted_while_the_final_upload_is_made_is_not_waited_for(core: Core) -> None:
    """The same moment, the other way: nobody would ever come back to it."""
    (part,) = await partials(core, BODIES[0], finished=0)
    plan = core.house.assembler.plan

    async def overtaken(*arguments: object) -> object:
        planned = await plan(*arguments)  # type: ignore[arg-type]
        await core.terminate(part)
        return planned

    core.house.assembler.plan = overtaken  # type: ignore[method-assign, assignment]
    final = await final_of(core, [part])
    await phase_becomes(core, final, Phase.FAILED)


async def test_a_final_upload_in_somebodys_hands_is_not_forgotten(core: Core) -> None:
    """The last part becomes complete while another request looks at the final upload: it is assembled all the same."""
    (part,) = await partials(core, BODIES[0], finished=0)
    final = await final_of(core, [part])
    async with core.house.claims.take(final, 0):
        appending = asyncio.create_task(core.append(part, 0, Feed(BODIES[0])))
        await until(lambda: appending.done() or part in ids(core.events, "complete"))
    await appending
    await phase_becomes(core, final, Phase.COMPLETE)


async def test_a_wrong_digest_of_the_whole_fails_the_final_upload(core: Core) -> None:
    """`Repr-Digest` of a final upload is compared once it is assembled; the right one lets it through."""
    parts = await partials(core, *BODIES)
    right = Digests(values=(("sha-256", hashlib.sha256(WHOLE).digest()),))
    wrong = Digests(values=(("sha-256", bytes(32)),))
    await phase_becomes(core, await final_of(core, parts, repr_digests=right), Phase.COMPLETE)
    final = await final_of(core, parts, repr_digests=wrong)
    await phase_becomes(core, final, Phase.FAILED)
    assert final not in [stray.upload_id for stray in core.disk.store.strays() if stray.published]


async def test_deleting_a_final_upload_keeps_its_parts(core: Core) -> None:
    """They are uploads of their own; one that was being assembled is given up."""
    parts = await partials(core, *BODIES)
    stumbling(core.disk).refuses = {parts[1]}
    final = await final_of(core, parts)
    await core.terminate(final)
    assert await core.phase(final) is Phase.TERMINATED
    stumbling(core.disk).refuses = set()
    record = await phase_becomes(core, await final_of(core, parts), Phase.COMPLETE)
    assert read_all(core.disk.store, record.upload.id, len(WHOLE)) == WHOLE
    assert await core.phase(final) is Phase.TERMINATED


async def test_an_append_to_a_final_upload_is_refused_in_every_phase(core: Core) -> None:
    """403, and neither it nor its parts are modified (T25)."""
    parts = await partials(core, *BODIES, finished=2)
    final = await final_of(core, parts)
    for _ in range(2):
        with pytest.raises(Exception, match="final upload"):
            await core.append(final, 0, Feed(b"x"), dialect=TUS)
        if await core.phase(final) is Phase.WAITING:
            await core.append(parts[2], 0, Feed(BODIES[2]))
            await phase_becomes(core, final, Phase.COMPLETE)
    assert read_all(core.disk.store, final, len(WHOLE)) == WHOLE
