"""An upload that is claimed and leased, and transfers into it that a test drives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ferryman_protocol.commands import Admission, Checksum, Coding, Content
from ferryman_protocol.model import Phase, Upload
from ferryman_server.body import Body
from ferryman_server.claims import Claim, Intent
from ferryman_server.intake import Intake
from ferryman_server.metrics import Metrics
from ferryman_server.state.base import Lease, Record
from ferryman_server.storage.base import Settles, Store
from ferryman_server.storage.testing_rig import ONE
from ferryman_server.transfer import Pace, Transfer
from tests.support.core import Core, Disk, Feed, held, running
from tests.support.uploading import KIB, content

WHOLE = content(600_000)
LENGTH = len(WHOLE)


async def accept(intake: Intake, body: Body) -> None:
    """Nothing is wrong with the body."""


@dataclass
class Rig:
    """An upload of LENGTH bytes, and a transfer into it that a test drives."""

    core: Core
    record: Record
    lease: Lease
    claim: Claim
    stack: AsyncExitStack
    commits: list[Record] = field(default_factory=list)  # as told by on_commit
    unsafe: list[str] = field(default_factory=list)  # what was told before it was true
    checkpoint_size: int = 64 * KIB
    checkpoint_interval: float = 600.0
    room: int | None = LENGTH
    settles: bool = False  # whether the store may be told that an upload is complete before it is published

    def transfer(self, feed: Feed, coding: Coding = "identity", checksum: Checksum | None = None) -> Transfer:
        """A transfer of this body."""
        return Transfer(
            record=self.record,
            lease=self.lease,
            claim=self.claim,
            admission=Admission(
                room=self.room, length=LENGTH, finishes_at_length=True, completes=False, overrun_invalidates=False
            ),
            content=Content(length=feed.length, coding=coding, checksum=checksum),
            state=self.core.house.state,
            store=self.core.house.store,
            metrics=Metrics(),
            pace=Pace(
                checkpoint_size=self.checkpoint_size,
                checkpoint_interval=self.checkpoint_interval,
                upload_ttl=60.0,
                clock=lambda: 1000.0,
            ),
            on_commit=self.committed,
            settles=self.store if self.settles and isinstance(self.store, Settles) else None,
        )

    async def committed(self, record: Record) -> None:
        """What is told is in the state, and its bytes are in the store."""
        self.commits.append(record)
        row = await self.core.record(ONE)
        if row.upload != record.upload:
            self.unsafe.append(f"{record.upload} was told, the row says {row.upload}")
        offset = record.upload.offset
        if held(self.store, ONE, offset) != WHOLE[:offset]:
            self.unsafe.append(f"{offset} bytes were told, the store holds others")

    @property
    def store(self) -> Store:
        """The store on the disk."""
        return self.core.disk.store

    async def supersede(self, wish: int | Intent) -> None:
        """A newer request arrives; it waits for its turn in the background."""
        waiting = asyncio.create_task(self.stack.enter_async_context(self.core.house.claims.take(ONE, wish)))
        self.stack.push_async_callback(cancel, waiting)
        await asyncio.sleep(0)

    async def offset(self) -> int:
        """The committed offset."""
        return (await self.core.record(ONE)).upload.offset


async def cancel(task: "asyncio.Task[Any]") -> None:
    """End a task that waits."""
    task.cancel()
    await asyncio.wait([task])


@asynccontextmanager
async def rigged(disk: Disk) -> AsyncIterator[Rig]:
    """A rig on this disk, for the length of the `async with`."""
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(running(disk))
        await core.house.state.create(Record(upload=Upload(id=ONE, phase=Phase.EMPTY, length=LENGTH)))
        claims = await stack.enter_async_context(AsyncExitStack())
        claim = await claims.enter_async_context(core.house.claims.take(ONE, 0))
        leased = await core.house.state.lease(ONE)
        assert leased is not None
        yield Rig(core, *leased, claim, claims)
