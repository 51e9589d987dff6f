"""What every state backend promises about contents that it keeps for redo; part of :class:`StateTests`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import Fenced, Lease, Record, State, StateError
from ferryman_server.state.testing_records import advanced, new_id, new_record


def completed(record: Record, content: bytes) -> Record:
    """The record as it is when this content has come whole."""
    return advanced(record, phase=Phase.COMPLETE, offset=len(content), length=len(content))


async def lease_of(state: State, record: Record) -> Lease:
    """The lease of an upload that has a row."""
    leased = await state.lease(record.upload.id)
    assert leased is not None
    return leased[1]


class RedoTests:
    """Contents that are committed with the rows that they complete, and forgotten once the store has them."""

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    @pytest.fixture
    async def state(self, tmp_path: Path) -> AsyncIterator[State]:
        """An open, empty backend."""
        state = self.make(tmp_path)
        await state.open()
        yield state
        await state.close()

    async def test_content_comes_back_with_its_row(self, state: State) -> None:
        """A save with content is both: the row, and the bytes for redo."""
        content = bytes(range(256)) * 64
        record = new_record(length=len(content))
        await state.create(record)
        lease = await lease_of(state, record)
        done = completed(record, content)
        await state.save(done, lease, content=content)
        assert await state.get(record.upload.id) == replace(done, fence=lease.fence)
        assert list(await state.redo(10)) == [(record.upload.id, content)]

    async def test_upload_can_be_created_complete(self, state: State) -> None:
        """A creation with the whole content is one commit; nothing at all is a content too."""
        for content in (b"all of it", b""):
            done = completed(new_record(), content)
            await state.create(done, content=content)
            assert await state.get(done.upload.id) == done
        assert [content for _, content in await state.redo(10)] == [b"all of it", b""]

    async def test_write_without_content_keeps_none(self, state: State) -> None:
        """A row that becomes complete in the ordinary way has nothing to redo."""
        record = new_record()
        await state.create(record)
        await state.save(completed(record, b"x"), await lease_of(state, record))
        assert list(await state.redo(10)) == []

    async def test_redo_tells_the_oldest_first(self, state: State) -> None:
        """Contents come in the order in which they were committed, and no more of them than was asked for."""
        contents = []
        for number in range(5):
            content = b"%d" % number
            done = completed(new_record(), content)
            await state.create(done, content=content)
            contents.append((done.upload.id, content))
        assert list(await state.redo(3)) == contents[:3]
        assert list(await state.redo(100)) == contents

    async def test_redo_outlives_the_process(self, state: State, tmp_path: Path) -> None:
        """What was to be redone still is after closing and opening again, and dropping it lasts as well."""
        kept, dropped = completed(new_record(), b"kept"), completed(new_record(), b"gone")
        await state.create(dropped, content=b"gone")
        await state.create(kept, content=b"kept")
        await state.drop_redo([dropped.upload.id])
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            assert list(await again.redo(10)) == [(kept.upload.id, b"kept")]
            assert await again.get(dropped.upload.id) == dropped
        finally:
            await again.close()

    async def test_dropping_is_for_those_that_are_named(self, state: State) -> None:
        """Ids without a content, without a row, twice or none at all are nothing to drop."""
        records = [completed(new_record(), b"%d" % number) for number in range(3)]
        for number, record in enumerate(records):
            await state.create(record, content=b"%d" % number)
        await state.drop_redo([])
        ids = [records[0].upload.id, records[2].upload.id]
        await state.drop_redo([*ids, *ids, new_id()])
        await state.drop_redo(ids)
        assert list(await state.redo(10)) == [(records[1].upload.id, b"1")]

    @pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.COMPLETE])
    async def test_content_ends_with_completeness(self, state: State, phase: Phase) -> None:
        """What is no longer complete must not come back: a terminated upload's content goes with the same commit."""
        done, other = completed(new_record(), b"secret"), completed(new_record(), b"other")
        await state.create(done, content=b"secret")
        await state.create(other, content=b"other")
        await state.save(advanced(done, phase=phase), await lease_of(state, done))
        assert list(await state.redo(10)) == [(other.upload.id, b"other")]

    async def test_content_stays_while_the_row_stays_complete(self, state: State) -> None:
        """Other changes of a complete row leave the content that is not in the store yet."""
        done = completed(new_record(), b"content")
        await state.create(done, content=b"content")
        await state.save(replace(done, updated_at=2000.0), await lease_of(state, done))
        assert list(await state.redo(10)) == [(done.upload.id, b"content")]

    async def test_content_ends_with_its_row(self, state: State) -> None:
        """A deleted upload leaves no bytes behind."""
        done = completed(new_record(), b"content")
        await state.create(done, content=b"content")
        await state.delete(done.upload.id, await lease_of(state, done))
        assert list(await state.redo(10)) == []

    async def test_content_of_an_incomplete_upload_is_refused(self, state: State) -> None:
        """Only what completes an upload is its whole content: anything else is the caller's mistake, and no write."""
        record = new_record()
        with pytest.raises(ValueError, match="complete"):
            await state.create(record, content=b"x")
        await state.create(record)
        with pytest.raises(ValueError, match="complete"):
            await state.save(record, await lease_of(state, record), content=b"x")
        assert await state.get(record.upload.id) == record
        assert list(await state.redo(10)) == []

    async def test_refused_writes_leave_no_content(self, state: State) -> None:
        """A content is never there without its row: not of a taken id, not of a lease that was passed on."""
        taken = completed(new_record(), b"first")
        await state.create(taken, content=b"first")
        older = await lease_of(state, taken)
        await lease_of(state, taken)
        outcomes = await asyncio.gather(
            state.create(taken, content=b"second"),
            state.save(taken, older, content=b"third"),
            state.create(completed(new_record("fresh"), b"fourth"), content=b"fourth"),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [StateError, Fenced, type(None)]
        assert list(await state.redo(10)) == [(taken.upload.id, b"first"), ("fresh", b"fourth")]

    async def test_many_contents_at_once(self, state: State) -> None:
        """More writes together than any statement or batch is made for: creations and saves, with and without content,
        each as it was asked for."""
        plain = [new_record() for _ in range(70)]
        await asyncio.gather(*(state.create(record) for record in plain))
        leases = [await lease_of(state, record) for record in plain]
        contents = {record.upload.id: record.upload.id.encode() for record in plain[::2]}
        fresh = [completed(new_record(), b"fresh") for _ in range(70)]
        dones = [completed(record, contents.get(record.upload.id, b"in the store")) for record in plain]
        saves = [
            state.save(done, lease, content=contents.get(done.upload.id))
            for done, lease in zip(dones, leases, strict=True)
        ]
        creations = [state.create(record, content=b"fresh") for record in fresh]
        await asyncio.gather(*(write for pair in zip(saves, creations, strict=True) for write in pair))
        for done, lease in zip(dones, leases, strict=True):
            assert await state.get(done.upload.id) == replace(done, fence=lease.fence)
        expected = contents | {record.upload.id: b"fresh" for record in fresh}
        assert dict(await state.redo(1000)) == expected
