"""What every state backend promises about the notes of a store; part of :class:`StateTests`."""

import asyncio
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import Fenced, State
from ferryman_server.state.testing_records import advanced, new_id, new_record
from ferryman_server.state.testing_redo import RedoTests, completed, lease_of

AWKWARD = {"s3.part.00001": 'a "quoted" ä', "": "", "null": "null", "a.b[0]$": "\n"}


class NotesTests(RedoTests):
    """Names and values that are committed beside a row and go with it."""

    async def test_notes_are_committed_with_the_row(self, state: State) -> None:
        """A save with notes is both; a later one adds to them, replaces, and removes what is None."""
        record = new_record()
        await state.create(record)
        assert await state.notes(record.upload.id) == {}
        lease = await lease_of(state, record)
        receiving = advanced(record, phase=Phase.RECEIVING, offset=5)
        await state.save(receiving, lease, notes=AWKWARD)
        assert await state.notes(record.upload.id) == AWKWARD
        await state.save(receiving, lease, notes={"null": None, "": "more", "new": "1", "unknown": None})
        assert await state.notes(record.upload.id) == {
            **{name: value for name, value in AWKWARD.items() if name != "null"},
            "": "more",
            "new": "1",
        }
        await state.save(receiving, lease)
        assert len(await state.notes(record.upload.id)) == len(AWKWARD)

    async def test_notes_outlive_the_process(self, state: State, tmp_path: Path) -> None:
        """What was noted is there after closing and opening again."""
        record = new_record()
        await state.create(record)
        await state.note(record.upload.id, AWKWARD, await lease_of(state, record))
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            assert await again.notes(record.upload.id) == AWKWARD
        finally:
            await again.close()

    async def test_notes_alone_change_no_row(self, state: State) -> None:
        """Noting under a lease leaves the row, and the right to write it, as they are."""
        record = new_record()
        await state.create(record)
        lease = await lease_of(state, record)
        await state.note(record.upload.id, {"a": "1"}, lease)
        assert await state.get(record.upload.id) == record
        await state.save(advanced(record, offset=1), lease)
        assert await state.notes(record.upload.id) == {"a": "1"}

    async def test_fenced_writers_note_nothing(self, state: State) -> None:
        """Notes of an older lease are refused, alone and with a row; so are those of a row that is gone."""
        record = new_record()
        await state.create(record)
        older, newer = await lease_of(state, record), await lease_of(state, record)
        with pytest.raises(Fenced):
            await state.note(record.upload.id, {"a": "1"}, older)
        with pytest.raises(Fenced):
            await state.save(record, older, notes={"a": "1"})
        assert await state.notes(record.upload.id) == {}
        await state.delete(record.upload.id, newer)
        with pytest.raises(Fenced):
            await state.note(record.upload.id, {"a": "1"}, newer)

    async def test_notes_go_with_completeness_and_with_the_row(self, state: State) -> None:
        """A complete upload has none, whatever its save says; a deleted one leaves none behind for its id."""
        for content in (None, b"small"):
            record = new_record()
            await state.create(record)
            lease = await lease_of(state, record)
            await state.note(record.upload.id, {"a": "1"}, lease)
            await state.save(completed(record, b"small"), lease, content=content, notes={"b": "2"})
            assert await state.notes(record.upload.id) == {}
        record = new_record()
        await state.create(record)
        lease = await lease_of(state, record)
        await state.note(record.upload.id, {"a": "1"}, lease)
        await state.delete(record.upload.id, lease)
        await state.create(record)
        assert await state.notes(record.upload.id) == {}

    async def test_notes_of_what_is_over_need_no_lease(self, state: State) -> None:
        """Whoever frees an upload that is over notes so without a lease; a row that is gone meanwhile is fine."""
        record = new_record()
        await state.create(record)
        await state.note(record.upload.id, {"a": "1", "b": "2"})
        await state.note(record.upload.id, {"a": None})
        assert await state.notes(record.upload.id) == {"b": "2"}
        await state.note(new_id(), {"a": "1"})

    async def test_many_write_notes_at_once(self, state: State) -> None:
        """Notes of uploads that are committed in one group stay apart."""
        records = [new_record() for _ in range(20)]
        for record in records:
            await state.create(record)
        leases = [await lease_of(state, record) for record in records]
        await asyncio.gather(
            *(
                state.save(advanced(record, offset=1), lease, notes={"which": record.upload.id})
                for record, lease in zip(records, leases, strict=True)
            )
        )
        for record in records:
            assert await state.notes(record.upload.id) == {"which": record.upload.id}
