"""The tests that every state backend passes: inherit :class:`StateTests` and :class:`StateMachine`, supply `make`.

`StateTests` names what the contract of :mod:`ferryman_server.state.base` promises, one test a promise. `StateMachine`
holds a backend against a plain dictionary through any sequence of calls that Hypothesis thinks of, reopening included.
Needs pytest, pytest-asyncio (auto mode) and Hypothesis.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state.base import Fenced, Lease, Record, State, StateError
from ferryman_server.state.testing_machine import StateMachine
from ferryman_server.state.testing_notes import NotesTests
from ferryman_server.state.testing_records import (
    FULL_CRC,
    advanced,
    full_record,
    new_id,
    new_record,
    newest_first,
    walk,
)


class StateTests(NotesTests):
    """What the contract promises, backend by backend."""

    async def test_created_row_comes_back_whole(self, state: State) -> None:
        """Every field of a record survives the way there and back."""
        record = full_record()
        await state.create(record)
        assert await state.get(record.upload.id) == record

    async def test_rows_outlive_the_process(self, state: State, tmp_path: Path) -> None:
        """What was committed is there after closing and opening again."""
        record = full_record()
        await state.create(record)
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            assert await again.get(record.upload.id) == record
        finally:
            await again.close()

    async def test_absent_upload_is_none(self, state: State) -> None:
        """An id without a row is a value, not an error."""
        assert await state.get(new_id()) is None
        assert await state.lease(new_id()) is None

    async def test_taken_id_is_refused(self, state: State) -> None:
        """A second creation under one id changes nothing."""
        record = new_record()
        await state.create(record)
        with pytest.raises(StateError, match=record.upload.id):
            await state.create(advanced(record, length=7))
        assert await state.get(record.upload.id) == record

    async def test_impossible_row_is_refused(self, state: State) -> None:
        """The schema guards the shape: an offset beyond the length is no upload."""
        record = new_record(offset=101, length=100)
        with pytest.raises(StateError):
            await state.create(record)
        assert await state.get(record.upload.id) is None

    async def test_save_changes_the_row_and_writes_its_fence(self, state: State) -> None:
        """A save under the newest lease is what the next read sees."""
        record = new_record()
        await state.create(record)
        leased = await state.lease(record.upload.id)
        assert leased is not None
        read, lease = leased
        assert read == record
        changed = replace(advanced(read, phase=Phase.RECEIVING, offset=9), crc64=FULL_CRC, updated_at=2000.0)
        await state.save(changed, lease)
        assert await state.get(record.upload.id) == replace(changed, fence=lease.fence)

    async def test_what_an_upload_is_stays_as_created(self, state: State) -> None:
        """A save changes how far an upload is, not what it is: every other column is as it was created."""
        record = full_record()
        await state.create(record)
        lease = await self._lease(state, record)
        other = new_record(record.upload.id, created_at=5.0, phase=Phase.COMPLETE, offset=3, length=4)
        await state.save(other, lease)
        expected = replace(
            advanced(record, phase=Phase.COMPLETE, offset=3, length=4, expires_at=None, reason=None),
            crc64=0,
            fence=lease.fence,
            adoptable=True,
            updated_at=5.0,
            completed_at=None,
            target=None,
            repr_digests=None,
            want_repr_digests=(),
        )
        assert await state.get(record.upload.id) == expected
        assert list((await state.page(limit=1)).records) == [expected]

    async def test_newer_lease_fences_the_older(self, state: State) -> None:
        """After a take-over the older writer changes nothing, whatever it tries."""
        record = new_record()
        await state.create(record)
        older, newer = await self._lease(state, record), await self._lease(state, record)
        assert newer.fence > older.fence
        with pytest.raises(Fenced):
            await state.save(advanced(record, offset=5), older)
        with pytest.raises(Fenced):
            await state.delete(record.upload.id, older)
        assert await state.get(record.upload.id) == record
        await state.save(advanced(record, offset=6), newer)

    async def test_leases_of_different_uploads_are_independent(self, state: State) -> None:
        """Taking one upload over leaves the writers of others alone."""
        one, other = new_record(), new_record()
        await state.create(one)
        await state.create(other)
        lease = await self._lease(state, one)
        await self._lease(state, other)
        await state.save(advanced(one, offset=1), lease)

    async def test_released_lease_writes_no_more(self, state: State) -> None:
        """A lease given back is refused, and giving it back twice is nothing."""
        record = new_record()
        await state.create(record)
        lease = await self._lease(state, record)
        await state.release(lease)
        await state.release(lease)
        with pytest.raises(Fenced):
            await state.save(record, lease)

    async def test_releasing_an_old_lease_leaves_the_newer(self, state: State) -> None:
        """A holder that was taken over may still clean up after itself."""
        record = new_record()
        await state.create(record)
        older, newer = await self._lease(state, record), await self._lease(state, record)
        await state.release(older)
        await state.save(advanced(record, offset=1), newer)

    async def test_fences_rise_across_processes(self, state: State, tmp_path: Path) -> None:
        """A new process grants above the old one's leases and refuses them, also one that never wrote."""
        record = new_record()
        await state.create(record)
        lease = await self._lease(state, record)
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            with pytest.raises(Fenced):
                await again.save(record, lease)
            assert (await self._lease(again, record)).fence > lease.fence
            with pytest.raises(Fenced):
                await again.save(record, lease)
        finally:
            await again.close()

    async def test_concurrent_leases_leave_one_writer(self, state: State) -> None:
        """Of many leases asked for at once, only the highest may write."""
        record = new_record()
        await state.create(record)
        leases = await asyncio.gather(*(self._lease(state, record) for _ in range(8)))
        assert len({lease.fence for lease in leases}) == 8
        highest = max(leases, key=lambda lease: lease.fence)
        for lease in leases:
            if lease is not highest:
                with pytest.raises(Fenced):
                    await state.save(record, lease)
        await state.save(advanced(record, offset=1), highest)

    async def test_lease_sees_writes_that_were_still_queued(self, state: State) -> None:
        """A save whose task was cancelled is either in the row that the next lease reads, or nowhere."""
        record = new_record()
        await state.create(record)
        older = await self._lease(state, record)
        save = asyncio.create_task(state.save(advanced(record, offset=7), older))
        await asyncio.sleep(0)
        save.cancel()
        leased = await state.lease(record.upload.id)
        assert leased is not None
        assert await state.get(record.upload.id) == leased[0]
        await asyncio.gather(save, return_exceptions=True)
        assert await state.get(record.upload.id) == leased[0]

    async def test_deleted_row_is_gone_and_fenced(self, state: State) -> None:
        """After a deletion nothing is found, and nobody writes it back."""
        record = new_record()
        await state.create(record)
        lease = await self._lease(state, record)
        await state.delete(record.upload.id, lease)
        assert await state.get(record.upload.id) is None
        with pytest.raises(Fenced):
            await state.save(record, lease)
        assert await state.lease(record.upload.id) is None

    async def test_final_upload_keeps_its_parts_in_order(self, state: State) -> None:
        """The order of a concatenation is what the client said, doubles included, in every kind of read."""
        one, two, three = new_id(), new_id(), new_id()
        parts = (three, one, two, one)
        final = new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=parts)
        await state.create(final)
        lease = await self._lease(state, final)
        await state.save(advanced(final, reason="still waiting"), lease)
        expected = replace(advanced(final, reason="still waiting"), fence=lease.fence)
        assert await state.get(final.upload.id) == expected
        assert list((await state.page(limit=1)).records) == [expected]
        assert list(await state.waiting_on(parts[1])) == [expected]

    async def test_waiting_on_names_only_waiting_finals(self, state: State) -> None:
        """A partial's end concerns the finals that wait for it, and no others."""
        partial, other = new_id(), new_id()
        waiting = new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=(partial, other))
        done = new_record(phase=Phase.COMPLETE, concat=Concat.FINAL, parts=(partial,))
        await state.create(waiting)
        await state.create(done)
        assert list(await state.waiting_on(partial)) == [waiting]
        assert list(await state.waiting_on(new_id())) == []

    async def test_deleted_final_waits_for_nobody(self, state: State) -> None:
        """A final upload's parts go with its row; the partial uploads stay."""
        partial = new_record(concat=Concat.PARTIAL)
        final = new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=(partial.upload.id,))
        await state.create(partial)
        await state.create(final)
        await state.delete(final.upload.id, await self._lease(state, final))
        assert list(await state.waiting_on(partial.upload.id)) == []
        assert await state.get(partial.upload.id) == partial
        await state.create(advanced(final, parts=()))
        read = await state.get(final.upload.id)
        assert read is not None
        assert read.upload.parts == ()

    async def test_pages_tell_every_upload_once_newest_first(self, state: State) -> None:
        """Walking the pages meets each row once, also where many were created in the same instant."""
        records = [new_record(created_at=1000.5 + number // 3) for number in range(10)]
        for record in records:
            await state.create(record)
        assert await walk(state, limit=3) == newest_first(records)
        assert await walk(state, limit=5) == newest_first(records)
        assert await walk(state, limit=100) == newest_first(records)

    async def test_pages_stay_true_while_uploads_come_and_go(self, state: State) -> None:
        """A cursor survives the deletion of its row, and newer uploads shift nothing."""
        records = [new_record(created_at=float(number)) for number in range(4)]
        for record in records:
            await state.create(record)
        first = await state.page(limit=2)
        await state.delete(records[2].upload.id, await self._lease(state, records[2]))
        await state.create(new_record(created_at=9.0))
        rest = await state.page(limit=2, cursor=first.next)
        assert list(rest.records) == [records[1], records[0]]
        assert rest.next is None

    @pytest.mark.parametrize("cursor", ["", "x", "!!!!", "MTAwMC4w", "ä", "bmFufGFh", "MTAwMC4w\n"])
    async def test_foreign_cursor_is_refused(self, state: State, cursor: str) -> None:
        """A cursor that no page gave out is the caller's error."""
        with pytest.raises(ValueError, match="cursor"):
            await state.page(limit=1, cursor=cursor)

    async def test_due_are_the_overdue_and_the_gone(self, state: State) -> None:
        """The reaper gets what is past its time or given up, the longest due first; of what is published, partials."""
        late = new_record(expires_at=50.0)
        later = new_record(phase=Phase.RECEIVING, expires_at=100.0)
        gone = new_record(phase=Phase.TERMINATED, created_at=75.0)
        expired = new_record(phase=Phase.EXPIRED, expires_at=60.0)
        for record in (
            later,
            late,
            gone,
            expired,
            new_record(expires_at=100.5),
            new_record(),
            new_record(phase=Phase.COMPLETE, expires_at=1.0),
            partial := new_record(phase=Phase.COMPLETE, concat=Concat.PARTIAL, expires_at=90.0),
        ):
            await state.create(record)
        assert list(await state.due(100.0, 10)) == [late, expired, gone, partial, later]
        assert list(await state.due(100.0, 2)) == [late, expired]
        assert list(await state.due(0.0, 10)) == [expired, gone]

    async def test_phases_are_found_and_counted(self, state: State) -> None:
        """Start-up finds what a crash left half-way; the counts name every phase."""
        finishing, waiting = new_record(phase=Phase.FINISHING, created_at=2.0), new_record(phase=Phase.WAITING)
        for record in (waiting, finishing, new_record(), new_record()):
            await state.create(record)
        assert list(await state.in_phases([Phase.WAITING, Phase.FINISHING])) == [finishing, waiting]
        assert list(await state.in_phases([])) == []
        assert await state.counts() == {phase.value: 0 for phase in Phase} | {"finishing": 1, "waiting": 1, "empty": 2}

    async def test_existing_tells_rows_from_strays(self, state: State) -> None:
        """The reaper may ask about thousands of files at once."""
        record, other = new_record(), new_record()
        await state.create(record)
        await state.create(other)
        strays = [new_id() for _ in range(1200)]
        asked = [*strays[:600], record.upload.id, *strays[600:], other.upload.id]
        assert await state.existing(asked) == {record.upload.id, other.upload.id}
        assert await state.existing([]) == frozenset()

    async def test_failed_write_leaves_its_neighbours_alone(self, state: State) -> None:
        """Of writes that happen together, the one that is refused spoils none of the others."""
        taken = new_record()
        await state.create(taken)
        fresh = [new_record() for _ in range(6)]
        asked = [*fresh[:3], taken, *fresh[3:]]
        outcomes = await asyncio.gather(*(state.create(record) for record in asked), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [*[type(None)] * 3, StateError, *[type(None)] * 3]
        for record in fresh:
            assert await state.get(record.upload.id) == record

    async def test_closed_state_refuses_and_closes_again(self, state: State) -> None:
        """After closing, calls fail in plain words instead of hanging; closing again is nothing."""
        await state.close()
        await state.close()
        with pytest.raises(StateError):
            await state.get(new_id())
        with pytest.raises(StateError):
            await state.create(new_record())

    async def test_close_commits_what_is_queued(self, state: State, tmp_path: Path) -> None:
        """A write that was asked for before closing is there afterwards."""
        record = new_record()
        create = asyncio.create_task(state.create(record))
        await asyncio.sleep(0)
        await state.close()
        await create
        again = self.make(tmp_path)
        await again.open()
        try:
            assert await again.get(record.upload.id) == record
        finally:
            await again.close()

    async def _lease(self, state: State, record: Record) -> Lease:
        leased = await state.lease(record.upload.id)
        assert leased is not None
        return leased[1]


__all__ = ["StateMachine", "StateTests"]
