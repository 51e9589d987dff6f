"""Syncs that fail: what was given up is not there after a cut, and nobody was told that it would be."""

import random
from pathlib import Path

import pytest

from tests.power.cuts import drawn, judge, report
from tests.power.disk import Disk, Image
from tests.power.jobs import Plan
from tests.power.oplog import OpLog
from tests.power.recording import DATA, record
from tests.power.recovery import on_recovered
from tests.power.shim import Watch
from tests.power.tree import write_tree
from tests.support.process import Server
from tests.support.raw_http import RawClient, head
from tests.support.uploading import TUS, append, append_head, await_stored, content, create

SEED = 20261205
WHOLE = content(1000)


@pytest.mark.parametrize(
    ("of", "one_in", "least"),
    [("/data", 4, 4), ("/uploads/", 4, 4), ("/files/", 2, 1), ("/state.db-wal", 4, 4)],  # few moves are synced at all
)
def test_a_failed_sync_is_followed_by_true_offsets(place: Path, of: str, one_in: int, least: int) -> None:
    """Some fail while two clients upload in every way; they get every file across and can trust each offset."""
    joined = of == "/data"  # with one sync for many files, which then fails too
    plan = Plan(seed=SEED, clients=2, ends=(), long=False, pause=0.02, failing=(one_in, of), joined=joined)
    failing = record(plan, place / f"failing-{of.strip('/')}")
    assert failing.failed >= least
    outcome = judge(failing, drawn(failing.log, random.Random(SEED), strict=6, lucky=6), place)
    assert not outcome.faults, report(outcome)


def test_a_commit_that_failed_does_not_come_back(place: Path) -> None:
    """Its pages may stand in the log although their sync failed. They are overwritten before a file is cut: else the
    next start finds a row that promises more than there is, and gives the upload up."""
    root = place / "doubt"
    root.mkdir()
    disk, watch = Disk(root), Watch.over(root, place / "doubt-watch")
    server = Server(root / DATA, env=watch.environment(delay=0))
    try:
        server.start()
        path = create(server, "tus", length=1000)
        assert append(server, "tus", path, 0, WHOLE[:100]).status == 204
        watch.fail_syncs(1, of="-wal")
        assert append(server, "tus", path, 100, WHOLE[100:500]).status == 503
        watch.fail_syncs(0)
        with RawClient(server.port) as client:
            client.send(append_head("tus", path, 100, size=900), WHOLE[100:200])
            await_stored(server.data, path, 200)
            watch.die()
            client.send(WHOLE[200:300])
            assert client.closed()
    finally:
        server.close()
    for operation in OpLog(watch.log).operations:
        disk.apply(operation)
    write_tree(disk.image(Image.WHOLE, random.Random()), place / "doubtful")

    def look(port: int) -> None:
        with RawClient(port) as client:
            client.send(head("HEAD", path, TUS))
            answer = client.response(to_head=True)
        assert answer.status == 200, answer
        assert int(answer.headers["upload-offset"]) == 100

    assert on_recovered(place / "doubtful" / DATA, look) == []
