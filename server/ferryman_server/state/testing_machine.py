"""A state backend held against a plain dictionary, by Hypothesis: inherit :class:`StateMachine` and supply `make`.

A process that is killed is played by a copy of its files, taken while its writes are under way: a backend that keeps
its data elsewhere than in the folder overrides `copy`.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state.base import Fenced, Lease, Notes, Record, State, StateError
from ferryman_server.state.testing_records import FULL_CRC, advanced, new_record, newest_first, walk

T = TypeVar("T")

_times = st.sampled_from([1.0, 2.0, 2.5, 3.0])
_phases = st.sampled_from(list(Phase))
_contents = st.none() | st.binary(max_size=9000)
_notes = st.none() | st.dictionaries(st.sampled_from("abc"), st.none() | st.text(max_size=3), max_size=3)
_texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=8)


# Without these, Hypothesis would throw away every run that draws from an empty bundle.
_some_ids = precondition(lambda machine: bool(machine.bundle("ids")))
_some_leases = precondition(lambda machine: bool(machine.bundle("leases")))


class StateMachine(RuleBasedStateMachine):
    """A backend and a dictionary, told the same things, must say the same things."""

    ids = Bundle("ids")
    leases = Bundle("leases")

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    def copy(self, place: Path, to: Path) -> None:
        """Copy the data in one place, as a process that is killed now leaves them, to another one."""
        shutil.copytree(place, to)

    @initialize()
    def begin(self) -> None:
        """Open an empty backend beside an empty model."""
        self.folder = Path(tempfile.mkdtemp(prefix="ferryman-state-"))
        self.place = self.folder / "0"
        self.place.mkdir()
        self.runner = asyncio.Runner()
        self.rows: dict[str, Record] = {}
        self.contents: dict[str, bytes] = {}  # to be redone, the oldest first
        self.notes: dict[str, dict[str, str]] = {}
        self.held: dict[str, int] = {}  # the fence that may write, by upload
        self.highest = 0
        self.state = self.make(self.place)
        self.wait(self.state.open())

    def teardown(self) -> None:
        """Close and clean up."""
        self.wait(self.state.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one call on the machine's loop."""
        return self.runner.run(coroutine)

    @rule(target=ids, phase=_phases, created_at=_times, expires_at=st.none() | _times, metadata=_texts)
    def create(self, phase: Phase, created_at: float, expires_at: float | None, metadata: str | None) -> str:
        """Create an upload."""
        record = new_record(created_at=created_at, phase=phase, expires_at=expires_at, metadata=metadata)
        self._create(record)
        return record.upload.id

    @rule(target=ids, content=st.binary(max_size=9000), created_at=_times)
    def create_complete(self, content: bytes, created_at: float) -> str:
        """Create an upload that is complete at once."""
        record = new_record(created_at=created_at, phase=Phase.COMPLETE)
        self._create(record, content)
        return record.upload.id

    @_some_ids
    @rule(target=ids, parts=st.lists(ids, max_size=4), created_at=_times)
    def create_final(self, parts: list[str], created_at: float) -> str:
        """Create a concatenation."""
        record = new_record(
            created_at=created_at, phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=tuple(parts)
        )
        self._create(record)
        return record.upload.id

    @rule(upload_id=ids)
    def create_again(self, upload_id: str) -> None:
        """Create an upload under an id that was used: refused while its row is there."""
        self._create(new_record(upload_id))
        self._create(new_record(upload_id, phase=Phase.COMPLETE), b"again")

    @rule(target=leases, upload_id=ids)
    def lease(self, upload_id: str) -> Any:
        """Take the lease."""
        leased = self.wait(self.state.lease(upload_id))
        if upload_id not in self.rows:
            assert leased is None
            self.held.pop(upload_id, None)
            return multiple()
        assert leased is not None
        record, lease = leased
        assert record == self.rows[upload_id]
        assert lease.fence > self.highest
        self.highest = self.held[upload_id] = lease.fence
        return lease

    @rule(
        lease=leases,
        phase=_phases,
        offset=st.integers(0, 100),
        crc64=st.integers(0, FULL_CRC),
        expires_at=st.none() | _times,
        content=_contents,
        notes=_notes,
        look=st.booleans(),
    )
    def save(
        self,
        lease: Lease,
        phase: Phase,
        offset: int,
        crc64: int,
        expires_at: float | None,
        content: bytes | None,
        notes: Notes | None,
        look: bool,
    ) -> None:
        """Save under any lease there ever was, with a content if it completes the upload, and with notes; perhaps read
        it back."""
        base = self.rows.get(lease.upload_id) or new_record(lease.upload_id)
        record = replace(advanced(base, phase=phase, offset=offset, expires_at=expires_at), crc64=crc64)
        if phase is not Phase.COMPLETE:
            content = None
        if self._may_write(lease):
            self.wait(self.state.save(record, lease, content=content, notes=notes))
            self._saved(record, lease, content)
            self._noted(lease.upload_id, notes)
        else:
            with pytest.raises(Fenced):
                self.wait(self.state.save(record, lease, content=content, notes=notes))
        if look:
            assert self.wait(self.state.get(lease.upload_id)) == self.rows.get(lease.upload_id)
            assert self.wait(self.state.notes(lease.upload_id)) == self.notes.get(lease.upload_id, {})

    @rule(lease=leases, notes=_notes)
    def note(self, lease: Lease, notes: Notes | None) -> None:
        """Note under any lease there ever was."""
        if self._may_write(lease):
            self.wait(self.state.note(lease.upload_id, notes or {}, lease))
            self._noted(lease.upload_id, notes)
        else:
            with pytest.raises(Fenced):
                self.wait(self.state.note(lease.upload_id, notes or {}, lease))

    @rule(lease=leases)
    def delete(self, lease: Lease) -> None:
        """Delete under any lease there ever was."""
        if self._may_write(lease):
            self.wait(self.state.delete(lease.upload_id, lease))
            del self.rows[lease.upload_id]
            del self.held[lease.upload_id]
            self.contents.pop(lease.upload_id, None)
            self.notes.pop(lease.upload_id, None)
        else:
            with pytest.raises(Fenced):
                self.wait(self.state.delete(lease.upload_id, lease))

    @rule(lease=consumes(leases))
    def release(self, lease: Lease) -> None:
        """Release any lease there ever was; the machine forgets it too."""
        self.wait(self.state.release(lease))
        if self._may_write(lease):
            del self.held[lease.upload_id]

    @_some_leases
    @rule(chosen=st.lists(leases, max_size=6), offset=st.integers(0, 100), content=_contents)
    def save_together(self, chosen: list[Lease], offset: int, content: bytes | None) -> None:
        """Save under several leases at once: each is judged by itself."""
        records = self._next(chosen, offset, content)
        outcomes = self.wait(self._gather(chosen, records, content))
        for lease, record, outcome in zip(chosen, records, outcomes, strict=True):
            assert isinstance(outcome, Fenced) is not self._may_write(lease)
            if outcome is None:
                self._saved(record, lease, content)

    @_some_ids
    @rule(limit=st.integers(1, 4), dropped=st.lists(ids, max_size=4))
    def redo(self, limit: int, dropped: list[str]) -> None:
        """Ask what is to be redone, then drop what some uploads have there."""
        assert list(self.wait(self.state.redo(limit))) == list(self.contents.items())[:limit]
        self.wait(self.state.drop_redo(dropped))
        for upload_id in dropped:
            self.contents.pop(upload_id, None)

    @rule()
    def reopen(self) -> None:
        """Stop and start: rows stay, leases are void."""
        self.wait(self.state.close())
        self._start(self.place)

    @_some_leases
    @rule(
        chosen=st.lists(leases, max_size=4),
        offset=st.integers(0, 100),
        content=_contents,
        pause=st.sampled_from([0.0, 0.0002, 0.0005, 0.001, 0.002, 0.01]),
    )
    def kill(self, chosen: list[Lease], offset: int, content: bytes | None, pause: float) -> None:
        """Be killed amid writes: those that had returned are there, each of the others is there whole or not at all."""
        chosen = list({lease.upload_id: lease for lease in chosen if self._may_write(lease)}.values())
        records = self._next(chosen, offset, content)
        copy = self.place.with_name(str(int(self.place.name) + 1))
        returned = self.wait(self._copied_amid(chosen, records, content, pause, copy))
        self.wait(self.state.close())
        self._start(copy)
        redo = dict(self.wait(self.state.redo(1000)))
        for lease, record, known in zip(chosen, records, returned, strict=True):
            before = self.rows[lease.upload_id], self.contents.get(lease.upload_id)
            found = self.wait(self.state.get(lease.upload_id)), redo.get(lease.upload_id)
            if known or found != before:
                self._saved(record, lease, content)
                assert found == (self.rows[lease.upload_id], self.contents.get(lease.upload_id))
        assert redo == self.contents
        self.contents = redo  # those of one commit may be in any order

    @rule(upload_id=ids)
    def get(self, upload_id: str) -> None:
        """Read one upload and those that wait for it."""
        assert self.wait(self.state.get(upload_id)) == self.rows.get(upload_id)
        waiting = [
            record
            for record in self.rows.values()
            if record.upload.phase is Phase.WAITING and upload_id in record.upload.parts
        ]
        waiting.sort(key=lambda record: (record.created_at, record.upload.id))
        assert list(self.wait(self.state.waiting_on(upload_id))) == waiting

    @rule(limit=st.integers(1, 4))
    def list_pages(self, limit: int) -> None:
        """Walk the listing."""
        assert self.wait(walk(self.state, limit=limit)) == newest_first(list(self.rows.values()))

    @rule(now=_times, limit=st.integers(1, 5))
    def due(self, now: float, limit: int) -> None:
        """Ask what is due."""
        expected = sorted((record for record in self.rows.values() if _is_due(record, now)), key=_due_key)
        assert list(self.wait(self.state.due(now, limit))) == expected[:limit]

    @rule(phases=st.lists(_phases, unique=True))
    def in_phases(self, phases: list[Phase]) -> None:
        """Ask for some phases."""
        expected = newest_first([record for record in self.rows.values() if record.upload.phase in phases])
        assert list(self.wait(self.state.in_phases(phases))) == expected[::-1]

    @_some_ids
    @rule(asked=st.lists(ids, max_size=5))
    def existing(self, asked: list[str]) -> None:
        """Ask which ids have a row."""
        assert self.wait(self.state.existing(asked)) == frozenset(asked) & self.rows.keys()

    @invariant()
    def counts_agree(self) -> None:
        """The number of uploads in each phase is the model's."""
        if not hasattr(self, "state"):
            return
        expected = {phase.value: 0 for phase in Phase}
        for record in self.rows.values():
            expected[record.upload.phase.value] += 1
        assert self.wait(self.state.counts()) == expected

    @invariant()
    def contents_agree(self) -> None:
        """What is to be redone is the model's, in its order."""
        if hasattr(self, "state"):
            assert list(self.wait(self.state.redo(1000))) == list(self.contents.items())

    def _create(self, record: Record, content: bytes | None = None) -> None:
        if record.upload.id in self.rows:
            with pytest.raises(StateError):
                self.wait(self.state.create(record, content=content))
        else:
            self.wait(self.state.create(record, content=content))
            self.rows[record.upload.id] = record
            if content is not None:
                self.contents[record.upload.id] = content

    def _next(self, leases: list[Lease], offset: int, content: bytes | None) -> list[Record]:
        """What is saved under each of these leases."""
        phase = Phase.RECEIVING if content is None else Phase.COMPLETE
        bases = (self.rows.get(lease.upload_id) or new_record(lease.upload_id) for lease in leases)
        return [advanced(base, phase=phase, offset=offset) for base in bases]

    def _saved(self, record: Record, lease: Lease, content: bytes | None) -> None:
        """Tell the model of a save."""
        upload_id = lease.upload_id
        self.rows[upload_id] = replace(record, fence=lease.fence)
        if content is not None or record.upload.phase is not Phase.COMPLETE:
            self.contents.pop(upload_id, None)
        if content is not None:
            self.contents[upload_id] = content
        if record.upload.phase is Phase.COMPLETE:
            self.notes.pop(upload_id, None)

    def _noted(self, upload_id: str, notes: Notes | None) -> None:
        """Tell the model of notes."""
        if self.rows[upload_id].upload.phase is Phase.COMPLETE:
            return
        held = self.notes.setdefault(upload_id, {})
        for name, value in (notes or {}).items():
            if value is None:
                held.pop(name, None)
            else:
                held[name] = value

    def _start(self, place: Path) -> None:
        self.place = place
        self.state = self.make(place)
        self.wait(self.state.open())
        self.held.clear()

    def _may_write(self, lease: Lease) -> bool:
        return lease.upload_id in self.rows and self.held.get(lease.upload_id) == lease.fence

    def _saves(
        self, leases: list[Lease], records: list[Record], content: bytes | None
    ) -> Iterator[Coroutine[Any, Any, None]]:
        for lease, record in zip(leases, records, strict=True):
            yield self.state.save(record, lease, content=content)

    async def _gather(
        self, leases: list[Lease], records: list[Record], content: bytes | None
    ) -> list[BaseException | None]:
        return await asyncio.gather(*self._saves(leases, records, content), return_exceptions=True)

    async def _copied_amid(
        self, leases: list[Lease], records: list[Record], content: bytes | None, pause: float, copy: Path
    ) -> list[bool]:
        """Copy the data so many seconds after these saves began; which of them had returned by then."""
        saves = [asyncio.create_task(save) for save in self._saves(leases, records, content)]
        await asyncio.sleep(pause)
        returned = [save.done() for save in saves]
        self.copy(self.place, copy)
        await asyncio.gather(*saves)
        return returned


def _due_key(record: Record) -> tuple[float, str]:
    expires_at = record.upload.expires_at
    return (record.created_at if expires_at is None else expires_at, record.upload.id)


def _is_due(record: Record, now: float) -> bool:
    upload = record.upload
    if upload.phase in (Phase.EXPIRED, Phase.TERMINATED):
        return True
    may_expire = upload.phase is not Phase.COMPLETE or upload.concat is Concat.PARTIAL
    return may_expire and upload.expires_at is not None and upload.expires_at <= now
