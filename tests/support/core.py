"""The server's core in the test's own event loop: operations, state, store and recovery, but no HTTP.

A :class:`Disk` outlives the processes that use it. A :class:`Core` is one such process: it can end well, be killed, or
lose its power, and another one starts on what is left.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ferryman_protocol.commands import Append, Checksum, Coding, Content, Create, Inspect, Terminate
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Concat, Interim, Phase, Reply
from ferryman_protocol.rufh import Rufh
from ferryman_protocol.tus1 import Tus1
from ferryman_server.app import build_house
from ferryman_server.auth import Caller, allow_everyone
from ferryman_server.backends import Backends
from ferryman_server.body import Body
from ferryman_server.events import Event, Events
from ferryman_server.house import Exchange, House
from ferryman_server.metrics import Metrics
from ferryman_server.receive_body import ReceiveBody
from ferryman_server.recovery import Recovered, recover
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record, StateError
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.uploads import Uploads

TUS: Final = Tus1()
RUFH: Final = Rufh(8)


class Mortal:
    """A state or store as one process sees it: once the process is dead nothing it does has an effect."""

    def __init__(self, inner: Any, death: type[Exception]) -> None:
        self._inner = inner
        self._death = death
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        if self.dead:
            raise self._death("the process is dead")
        return getattr(self._inner, name)


class MortalStore(Mortal):
    """A store as one process sees it. From Python 3.12 on, `isinstance` with a protocol does not ask `__getattr__`."""

    def concatenate(self, *args: Any) -> None:
        """Make it a store that Concatenates."""
        self.__getattr__("concatenate")(*args)


QUICK: Final = ("settle", "keep", "let_go", "write_out", "take")  # what makes an upload complete with one commit


class QuickStore(MortalStore):
    """One that settles, keeps small contents and takes many, if the store inside does."""

    def settle(self, *args: Any) -> None:
        """Make it a store that Settles."""
        self.__getattr__("settle")(*args)

    def keep(self, *args: Any) -> None:
        """Make it, with the next two, a store that KeepsSmall."""
        self.__getattr__("keep")(*args)

    def let_go(self, *args: Any) -> None:
        """See `keep`."""
        self.__getattr__("let_go")(*args)

    def write_out(self, *args: Any) -> Any:
        """See `keep`."""
        return self.__getattr__("write_out")(*args)

    def take(self, *args: Any) -> Any:
        """Make it a store that TakesTogether."""
        return self.__getattr__("take")(*args)


class PublishingStore(MortalStore):
    """One that does neither: every upload is published before it is complete."""

    def __getattr__(self, name: str) -> Any:
        if name in QUICK:
            raise AttributeError(name)
        return super().__getattr__(name)


class Feed:
    """A body that a test sends piece by piece."""

    def __init__(self, *pieces: bytes, length: int | None = None, chunked: bool = False, whole: bool = True) -> None:
        """The pieces so far; with `whole` nothing follows them. `length` is their length unless it is given."""
        self.length = None if chunked else (sum(map(len, pieces)) if length is None else length)
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for piece in pieces:
            self.send(piece)
        if whole:
            self.end()

    def send(self, piece: bytes) -> None:
        """More of the body arrives."""
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def end(self) -> None:
        """The end of the body arrives."""
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def cut(self) -> None:
        """The client goes away."""
        self._messages.put_nowait({"type": "http.disconnect"})

    def body(self, idle_timeout: float = 20.0) -> Body:
        """What the server reads it from."""
        fields = [(b"transfer-encoding", b"chunked")]
        if self.length is not None:
            fields = [(b"content-length", str(self.length).encode())]
        scope = {"headers": fields, "http_version": "1.1"}
        return ReceiveBody(scope, self._messages.get, idle_timeout=idle_timeout)


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a process keeps things: a store, and a folder for the database."""

    folder: Path
    store: Store


def store_of(kind: str, folder: Path) -> Store:
    """An open store: `memory`, or `local` with its data below the folder."""
    store: Store = MemoryStore() if kind == "memory" else LocalStore(folder / "data")
    store.open()
    return store


class Core:
    """One process."""

    def __init__(
        self,
        disk: Disk,
        *,
        wrap: Callable[[Store], Store] | None = None,
        quick: bool = True,
        **settings: Any,
    ) -> None:
        """`wrap` puts a store with other manners around the disk's. Without `quick` the store publishes every upload
        before it is complete."""
        self.disk = disk
        self.events: list[Event] = []
        self.told: list[Interim] = []  # interim answers, in order
        self._sqlite = SqliteState(disk.folder / "state.db", store_id=disk.store.store_id)
        self._state = Mortal(self._sqlite, StateError)
        kind = QuickStore if quick else PublishingStore
        self._store = kind(wrap(disk.store) if wrap is not None else disk.store, StoreError)
        events = Events()
        events.subscribe(self.events.append)
        backends = Backends(state=self._state, store=self._store)
        chosen = Settings(**{"data": disk.folder, "checkpoint_interval": 600.0, **settings})
        self.house: House = build_house(chosen, backends, guard=allow_everyone, events=events, metrics=Metrics())
        events.subscribe(self.house.assembler.listen)
        events.subscribe(self.house.indexer.listen)
        self.uploads = Uploads(self.house)

    async def start(self, *, same_boot: bool | None = True) -> Recovered:
        """Open, and recover what the last process left."""
        await self.open()
        return await self.recover(same_boot=same_boot)

    async def open(self) -> None:
        """Open the database."""
        await self._sqlite.open()

    async def recover(self, *, same_boot: bool | None) -> Recovered:
        """Recover what the last process left."""
        recovered = await recover(self.house, same_boot=same_boot)
        await self.house.indexer.resume()
        return recovered

    async def stop(self) -> None:
        """End well."""
        await self.house.indexer.close()
        await self.house.assembler.close()
        await self.house.settler.close()
        await self.house.mover.move()
        await self._sqlite.close()

    async def die(self) -> None:
        """kill -9: from here on nothing this process does has an effect. Its tasks still have to be cancelled."""
        self._state.dead = self._store.dead = True
        if isinstance(self.disk.store, MemoryStore):
            self.disk.store.kill()
        await self.house.indexer.close()
        await self._sqlite.close()
        await self.house.assembler.close()

    async def create(
        self,
        length: int | None = None,
        feed: Feed | None = None,
        *,
        dialect: Dialect = TUS,
        concat: Concat | None = None,
        parts: tuple[str, ...] = (),
        **more: Any,
    ) -> Reply:
        """Create an upload, with a body if there is one."""
        content = None if feed is None else Content(length=feed.length)
        command = self.creation(length, content, concat=concat, parts=parts, **more)
        return await self.uploads.create(command, self.exchange(feed or Feed(), dialect))

    def creation(self, length: int | None, content: Content | None, **more: Any) -> Create:
        """The command of a creation."""
        return Create(length=length, content=content, **more)

    async def created(self, length: int | None = None, **more: Any) -> str:
        """Create an upload; its id."""
        reply = await self.create(length, **more)
        return dict(reply.headers)["Location"].rpartition("/")[2]

    async def append(
        self,
        upload_id: str,
        offset: int,
        feed: Feed,
        *,
        dialect: Dialect = TUS,
        coding: Coding = "identity",
        checksum: Checksum | None = None,
        **more: Any,
    ) -> Reply:
        """Append a body; raises what the operation raises."""
        content = Content(length=feed.length, coding=coding, checksum=checksum)
        command = self.appending(upload_id, offset, content, **more)
        return await self.uploads.append(command, self.exchange(feed, dialect))

    def appending(self, upload_id: str, offset: int, content: Content, **more: Any) -> Append:
        """The command of an append."""
        return Append(upload_id=upload_id, offset=offset, content=content, **more)

    async def offset(self, upload_id: str, *, takes_over: bool = False) -> int:
        """The offset that HEAD tells."""
        command = Inspect(upload_id=upload_id, takes_over=takes_over)
        reply, _ = await self.uploads.inspect(command, self.exchange(Feed(), RUFH if takes_over else TUS))
        return int(dict(reply.headers)["Upload-Offset"])

    async def terminate(self, upload_id: str) -> None:
        """Delete an upload."""
        await self.uploads.terminate(Terminate(upload_id=upload_id), self.exchange(Feed(), TUS))

    async def record(self, upload_id: str) -> Record:
        """The row as last committed."""
        found = await self._sqlite.get(upload_id)
        assert found is not None
        return found

    async def phase(self, upload_id: str) -> Phase:
        """The phase as last committed."""
        return (await self.record(upload_id)).upload.phase

    def exchange(self, feed: Feed, dialect: Dialect) -> Exchange:
        """A request with this body."""
        caller = Caller(headers=Headers.from_raw([]), address="127.0.0.1")
        return Exchange(caller=caller, dialect=dialect, body=feed.body(), inform=self.told.append)


@asynccontextmanager
async def running(disk: Disk, *, same_boot: bool | None = True, **options: Any) -> AsyncIterator[Core]:
    """A process for the length of the `async with`; it ends well."""
    core = Core(disk, **options)
    await core.start(same_boot=same_boot)
    try:
        yield core
    finally:
        await core.stop()


def held(store: Store, upload_id: str, stop: int) -> bytes:
    """The first bytes of an upload, published or not."""
    return b"".join(bytes(piece) for piece in store.read(upload_id, 0, stop, published=False))


def ids(events: Iterator[Event] | list[Event], name: str) -> list[str]:
    """The uploads that events of this name were about."""
    return [event.upload_id for event in events if event.name == name]


async def until(check: Callable[[], bool]) -> None:
    """Let other tasks run until `check()` is true; fails after some ten seconds."""
    for _ in range(5000):
        if check():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not happen in time")
