"""A state backend held against a plain dictionary, by Hypothesis: inherit :class:`StateMachine` and supply `make`."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state.base import Fenced, Lease, Record, State, StateError
from ferryman_server.state.testing_records import FULL_CRC, advanced, new_record, newest_first, walk

T = TypeVar("T")

_times = st.sampled_from([1.0, 2.0, 2.5, 3.0])
_phases = st.sampled_from(list(Phase))
_texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=8)


class StateMachine(RuleBasedStateMachine):
    """A backend and a dictionary, told the same things, must say the same things."""

    ids = Bundle("ids")
    leases = Bundle("leases")

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Open an empty backend beside an empty model."""
        self.place = Path(tempfile.mkdtemp(prefix="ferryman-state-"))
        self.runner = asyncio.Runner()
        self.rows: dict[str, Record] = {}
        self.held: dict[str, int] = {}  # the fence that may write, by upload
        self.highest = 0
        self.state = self.make(self.place)
        self.wait(self.state.open())

    def teardown(self) -> None:
        """Close and clean up."""
        self.wait(self.state.close())
        self.runner.close()
        shutil.rmtree(self.place)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one call on the machine's loop."""
        return self.runner.run(coroutine)

    @rule(target=ids, phase=_phases, created_at=_times, expires_at=st.none() | _times, metadata=_texts)
    def create(self, phase: Phase, created_at: float, expires_at: float | None, metadata: str | None) -> str:
        """Create an upload."""
        record = new_record(created_at=created_at, phase=phase, expires_at=expires_at, metadata=metadata)
        self._create(record)
        return record.upload.id

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
    )
    def save(self, lease: Lease, phase: Phase, offset: int, crc64: int, expires_at: float | None) -> None:
        """Save under any lease there ever was."""
        base = self.rows.get(lease.upload_id) or new_record(lease.upload_id)
        record = replace(advanced(base, phase=phase, offset=offset, expires_at=expires_at), crc64=crc64)
        if self._may_write(lease):
            self.wait(self.state.save(record, lease))
            self.rows[lease.upload_id] = replace(record, fence=lease.fence)
        else:
            with pytest.raises(Fenced):
                self.wait(self.state.save(record, lease))

    @rule(lease=leases)
    def delete(self, lease: Lease) -> None:
        """Delete under any lease there ever was."""
        if self._may_write(lease):
            self.wait(self.state.delete(lease.upload_id, lease))
            del self.rows[lease.upload_id]
            del self.held[lease.upload_id]
        else:
            with pytest.raises(Fenced):
                self.wait(self.state.delete(lease.upload_id, lease))

    @rule(lease=consumes(leases))
    def release(self, lease: Lease) -> None:
        """Release any lease there ever was; the machine forgets it too."""
        self.wait(self.state.release(lease))
        if self._may_write(lease):
            del self.held[lease.upload_id]

    @rule(chosen=st.lists(leases, max_size=6), offset=st.integers(0, 100))
    def save_together(self, chosen: list[Lease], offset: int) -> None:
        """Save under several leases at once: each is judged by itself."""
        bases = [self.rows.get(lease.upload_id) or new_record(lease.upload_id) for lease in chosen]
        records = [advanced(base, offset=offset) for base in bases]
        outcomes = self.wait(self._gather(chosen, records))
        for lease, record, outcome in zip(chosen, records, outcomes, strict=True):
            assert isinstance(outcome, Fenced) is not self._may_write(lease)
            if outcome is None:
                self.rows[lease.upload_id] = replace(record, fence=lease.fence)

    @rule()
    def reopen(self) -> None:
        """Stop and start: rows stay, leases are void."""
        self.wait(self.state.close())
        self.state = self.make(self.place)
        self.wait(self.state.open())
        self.held.clear()

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

    def _create(self, record: Record) -> None:
        if record.upload.id in self.rows:
            with pytest.raises(StateError):
                self.wait(self.state.create(record))
        else:
            self.wait(self.state.create(record))
            self.rows[record.upload.id] = record

    def _may_write(self, lease: Lease) -> bool:
        return lease.upload_id in self.rows and self.held.get(lease.upload_id) == lease.fence

    async def _gather(self, leases: list[Lease], records: list[Record]) -> list[BaseException | None]:
        saves = (self.state.save(record, lease) for lease, record in zip(leases, records, strict=True))
        return await asyncio.gather(*saves, return_exceptions=True)


def _due_key(record: Record) -> tuple[float, str]:
    expires_at = record.upload.expires_at
    return (record.created_at if expires_at is None else expires_at, record.upload.id)


def _is_due(record: Record, now: float) -> bool:
    upload = record.upload
    if upload.phase in (Phase.EXPIRED, Phase.TERMINATED):
        return True
    may_expire = upload.phase is not Phase.COMPLETE or upload.concat is Concat.PARTIAL
    return may_expire and upload.expires_at is not None and upload.expires_at <= now
