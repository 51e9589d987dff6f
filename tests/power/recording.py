"""A run of a real server under the shim: every operation, every promise, and the disk they began with."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.power.client import Client
from tests.power.disk import Disk
from tests.power.jobs import Job, Plan, jobs_of, work
from tests.power.oplog import OpLog
from tests.power.promises import Known, Stories, Story
from tests.power.shim import Watch
from tests.power.tree import Tree, write_tree
from tests.support.process import Server

DATA: Final = "data"  # the data folder's name on the disk
_HERE: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened, and to which disk."""

    log: OpLog
    stories: Stories
    initial: Disk
    failed: int = 0  # syncs

    def replay(self) -> Disk:
        """The disk as it was before anything happened; it may be changed."""
        return copy.deepcopy(self.initial)


def record(plan: Plan, folder: Path, *, on: Tree | None = None) -> Recording:
    """Carry a plan out in this folder, which is made; `on`: what lies on the disk already. Raises AssertionError when a
    client found the server out already."""

    def jobs(clients: Sequence[Client]) -> list[list[Job]]:
        return [jobs_of(plan, client, number) for number, client in enumerate(clients)]

    return _record(plan, folder, on or {}, jobs, [], boot=0)


def record_after(plan: Plan, folder: Path, left: Tree, known: Sequence[tuple[Story, Known]]) -> Recording:
    """Start the server on what a power cut left, and have clients go on with all their uploads."""
    before: list[tuple[Story, Known]] = []

    def resume(client: Client, story: Story, knows: Known) -> None:
        again = client.resume(story, knows)
        if again is not None:
            before.append(again)

    def jobs(clients: Sequence[Client]) -> list[list[Job]]:
        shares = [known[number :: len(clients)] for number in range(len(clients))]
        return [[partial(resume, client, *one) for one in share] for client, share in zip(clients, shares, strict=True)]

    return _record(plan, folder, left, jobs, before, boot=1)


def _record(
    plan: Plan,
    folder: Path,
    left: Tree,
    jobs: Callable[[Sequence[Client]], list[list[Job]]],
    before: list[tuple[Story, Known]],
    *,
    boot: int,
) -> Recording:
    folder.mkdir()
    root = folder / "disk"
    write_tree(left, root)
    initial = Disk(root)
    watch = Watch.over(root, folder / "watch", boot=boot, joined=plan.joined)
    environment = {**watch.environment(seed=plan.seed, delay=plan.delay), "PYTHONPATH": str(_HERE)}
    server = Server(root / DATA, *plan.flags, env=environment, program=("-m", "tests.power.serve"))
    clients = [Client(server, watch, plan.seed, number) for number in range(plan.clients)]
    try:
        server.start()
        work(plan, server, watch, jobs(clients))
        watch.fail_syncs(0)
        assert server.stop() == 0, server.log()
    finally:
        server.close()
    log = OpLog(watch.log)
    stories = Stories([story for client in clients for story in client.stories], log, before)
    recording = Recording(log, stories, initial, watch.failed_syncs())
    _assert_complete(recording)
    return recording


def _assert_complete(recording: Recording) -> None:
    """The log misses nothing: what it makes of the disk is what is there."""
    disk = recording.replay()
    for operation in recording.log.operations:
        disk.apply(operation)
    assert disk.difference() is None, f"the shim has missed something: {disk.difference()}"
