"""Listeners against a whole life of a database: whatever happens, whoever follows the rules ends with what is true.

Uploads come and go, processes end well or are killed, listeners come, stall, leave and come back with any id. After
that each of them has heard every event since its last `reset`, in order and once; and the uploads it knows of are those
that there are.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ferryman_protocol.model import Phase
from ferryman_server import sse
from ferryman_server.event_follower import Follower
from ferryman_server.event_hub import EventHub, EventLimits
from ferryman_server.events import Event, Name
from ferryman_server.state.base import Record
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.testing_records import advanced, new_record
from ferryman_server.tasks import cancel
from tests.support.listening import Listener, Reader

T = TypeVar("T")

LIMITS = EventLimits(kept=8, block=8, pause=0.0, interval=0.0, most=3, still=0.0)
_ENDS: dict[Name, Phase] = {
    "complete": Phase.COMPLETE,
    "failed": Phase.FAILED,
    "terminated": Phase.TERMINATED,
    "expired": Phase.EXPIRED,
}


async def described(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Uploads as a snapshot tells them."""
    return [{"id": record.upload.id, "offset": record.upload.offset} for record in records]


class Client:
    """One listener and the stream that it hears now, of everything or of one upload."""

    def __init__(self, upload_id: str | None) -> None:
        self.upload_id = upload_id
        self.listener = Listener()
        self.follower: Follower | None = None
        self._blocks: AsyncGenerator[bytes, None] | None = None
        self._reader = Reader()

    async def connect(self, hub: EventHub, since: int | None, *, over: bool) -> None:
        """Come (back)."""
        await self.leave()
        self.follower = await hub.follow(since, self.upload_id, over=over)
        if self.follower is not None:
            self._blocks, self._reader = self.follower.blocks(), Reader()

    async def take(self) -> bool:
        """Hear the next block; False: nothing is there, or the stream has ended."""
        block = None if self._blocks is None else await anext(self._blocks, None)
        if block is None:
            await self.leave()
            return False
        for heard in self._reader.feed(block):
            self.listener.hear(heard)
        return block != sse.STILL_HERE

    async def leave(self) -> None:
        """Go away, or find that the server did."""
        if self._blocks is not None:
            await self._blocks.aclose()
        if self.follower is not None:
            self.follower.close()
        self.follower = self._blocks = None


class EventMachine(RuleBasedStateMachine):
    """A database with its processes, and some listeners."""

    @initialize()
    def begin(self) -> None:
        """A first process on an empty database."""
        self.folder = Path(tempfile.mkdtemp(prefix="ferryman-events-"))
        self.runner = asyncio.Runner()
        self.records: dict[str, Record] = {}
        self.told: dict[int, str | None] = {}  # every number that was told, and what it was about
        self.clients = [Client(None), Client(None)]
        self.wait(self._start())

    def teardown(self) -> None:
        """Tidy up, having looked at everything once more."""
        self.wait(self._settle())
        self.wait(self._kill())
        self.runner.close()
        shutil.rmtree(self.folder)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the machine's loop."""
        return self.runner.run(coroutine)

    @rule(listened=st.booleans())
    def create(self, listened: bool) -> None:
        """An upload comes; somebody may listen to it alone, from now on."""
        record = new_record(created_at=float(len(self.records)))
        self.wait(self._create(record))
        if listened and len(self.clients) < 5:
            self.clients.append(Client(record.upload.id))

    @precondition(lambda machine: machine.current())
    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        """Bytes of an upload come."""
        record = data.draw(st.sampled_from(self.current()))
        changed = advanced(record, phase=Phase.RECEIVING, offset=min(record.upload.offset + 1, 100))
        self.wait(self._change(changed, "progress", {"offset": changed.upload.offset}))

    @precondition(lambda machine: machine.current())
    @rule(data=st.data(), name=st.sampled_from(sorted(_ENDS)))
    def end(self, data: st.DataObject, name: Name) -> None:
        """An upload is over."""
        record = data.draw(st.sampled_from(self.current()))
        self.wait(self._change(advanced(record, phase=_ENDS[name]), name, {}))

    @precondition(lambda machine: machine.current())
    @rule(data=st.data())
    def die_before_telling(self, data: st.DataObject) -> None:
        """The process is killed between a commit and its event."""
        record = data.draw(st.sampled_from(self.current()))
        self.wait(self._change(advanced(record, phase=Phase.COMPLETE), None, {}))
        self.kill()

    @rule(burst=st.integers(1, 12))
    def more(self, burst: int) -> None:
        """Many events in one moment, about an upload that nobody listens to."""
        self.wait(self._burst(burst))

    @rule()
    def store(self) -> None:
        """A moment passes: what was told is stored."""
        self.wait(asyncio.sleep(0.002))

    @rule(who=st.integers(0, 4))
    def connect(self, who: int) -> None:
        """A listener comes back, with what it heard last."""
        client = self._client(who)
        self.wait(self._connect(client, client.listener.last_id))

    @rule(who=st.integers(0, 4), since=st.none() | st.integers(0, 1 << 53))
    def connect_anew(self, who: int, since: int | None) -> None:
        """A listener comes that has heard nothing, or something of another server."""
        client = self._client(who)
        client.listener = Listener()
        self.wait(self._connect(client, since))

    @rule(who=st.integers(0, 4), blocks=st.integers(1, 3))
    def hear(self, who: int, blocks: int) -> None:
        """A listener takes some of what is there."""
        client = self._client(who)
        for _ in range(blocks):
            self.wait(client.take())

    @rule(who=st.integers(0, 4))
    def leave(self, who: int) -> None:
        """A listener goes, with whatever it has heard."""
        self.wait(self._client(who).leave())

    @rule()
    def restart(self) -> None:
        """The process ends well, and another one begins."""
        self.wait(self._stop())
        self.wait(self._start())

    @rule()
    def kill(self) -> None:
        """The process is killed, and another one begins."""
        self.wait(self._kill())
        self.wait(self._start())

    @rule()
    def settle(self) -> None:
        """Everybody hears everything, and it is right."""
        self.wait(self._settle())

    def current(self) -> list[Record]:
        """The uploads that are not over."""
        return [record for record in self.records.values() if record.upload.phase not in _ENDS.values()]

    def _client(self, who: int) -> Client:
        return self.clients[who % len(self.clients)]

    async def _start(self) -> None:
        self.state = SqliteState(self.folder / "state.db", store_id="store", durable=False)
        await self.state.open()
        self.hub = EventHub(self.state, described, LIMITS)
        await self.hub.__aenter__()
        self._note()

    async def _stop(self) -> None:
        self.hub.stop()
        for client in self.clients:
            while await client.take():
                pass
            assert client.follower is None, "a stream went on after the server's end"
        await self.hub.__aexit__(None, None, None)
        await self.state.close()

    async def _kill(self) -> None:
        assert self.hub._log._task is not None
        await cancel([self.hub._log._task])
        for client in self.clients:
            await client.leave()
        await self.state.close()

    def _note(self) -> None:
        """What was told since we looked: no number twice, and none below another."""
        log = self.hub._log
        for event in log._entries:
            if event.seq not in self.told:
                assert event.seq > max(self.told, default=0)
            assert self.told.setdefault(event.seq, event.upload_id) == event.upload_id

    def _tell(self, name: Name, upload_id: str, data: dict[str, object]) -> None:
        self.hub.listen(Event(name, upload_id, 1.0, data))
        self._note()

    async def _burst(self, size: int) -> None:
        for _ in range(size):
            self._tell("published", "z" * 26, {})

    async def _create(self, record: Record) -> None:
        await self.state.create(record)
        self.records[record.upload.id] = record
        self._tell("created", record.upload.id, {"length": 100})

    async def _change(self, record: Record, name: Name | None, data: dict[str, object]) -> None:
        leased = await self.state.lease(record.upload.id)
        assert leased is not None
        await self.state.save(record, leased[1])
        self.records[record.upload.id] = replace(record, fence=leased[1].fence)
        if name is not None:
            self._tell(name, record.upload.id, data)

    async def _connect(self, client: Client, since: int | None) -> None:
        record = self.records.get(client.upload_id or "")
        over = record is not None and record.upload.phase in (Phase.TERMINATED, Phase.EXPIRED)
        await client.connect(self.hub, since, over=over)
        assert client.follower is not None or over

    async def _settle(self) -> None:
        while self.hub._log._lost:  # noqa: ASYNC110 - a commit in a thread brings numbers again, and then a `reset`
            await asyncio.sleep(0.001)
        for client in self.clients:
            if client.follower is None:
                await self._connect(client, client.listener.last_id)
            while await client.take():
                pass
            self._assert_right(client)
        self._note()

    def _assert_right(self, client: Client) -> None:
        listener, own = client.listener, client.upload_id
        base = listener.base
        if base is None:  # it came with an id of its own making that happened to be one of ours
            return
        missed = [seq for seq, about in self.told.items() if seq > base and (own is None or about == own)]
        assert listener.since_reset == missed
        known = {upload_id for upload_id in listener.view if not self._is_over(upload_id)}
        assert known == {record.upload.id for record in self.current() if own in (None, record.upload.id)}
        if own is None:
            assert set(listener.view) == known

    def _is_over(self, upload_id: str) -> bool:
        return self.records[upload_id].upload.phase in _ENDS.values()


TestListenersAgainstTheTruth = EventMachine.TestCase
TestListenersAgainstTheTruth.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
