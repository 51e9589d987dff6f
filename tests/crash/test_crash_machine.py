"""Real clients, a real server, and everything that goes wrong, by seed; `make soak` runs the same for hours.

A seed that fails prints its steps, what happened to the upload, and how to run it again.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.ledger import Broken, Upload
from tests.crash.machine import run
from tests.crash.scene import Scene
from tests.crash.schedule import WEIGHTS, Kind, Plan, Step, draw
from tests.support.small_disk import can_mount
from tests.support.uploading import published, receiving

SEEDS = (47, 50, 191, 335)  # between them every kind of step, a disk of their own, and durability "os"
STEPS = 6
CLIENTS = 3


@pytest.mark.parametrize("seed", SEEDS)
def test_no_promise_is_broken_by_a_schedule_of_faults(seed: int, tmp_path: Path) -> None:
    """Nothing that was told is lost, no byte is wrong, no request breaks by itself, and nothing is left over."""
    figures = run(draw(seed, STEPS, clients=CLIENTS, can_mount=can_mount()), tmp_path)
    assert figures.counts["downloads"]
    assert figures.counts["questions"]


def test_a_seed_draws_the_same_schedule_again() -> None:
    """What a failure prints can be run again, and the beginning of a longer run is the shorter one."""
    assert draw(7, 30) == draw(7, 30)
    assert draw(7, 30).steps[:12] == draw(7, 12).steps
    assert draw(7, 30) != draw(8, 30)


def test_the_seeds_here_meet_every_kind_of_step() -> None:
    """Also where a small disk cannot be mounted; a kind that is new is not forgotten."""
    for mountable in (True, False):
        plans = [draw(seed, STEPS, clients=CLIENTS, can_mount=mountable) for seed in SEEDS]
        assert {step.kind for plan in plans for step in plan.steps} == set(WEIGHTS["disk"])
        assert any(plan.small_disk for plan in plans) is mountable
        assert any("os" in plan.flags for plan in plans)


def kills(number: int) -> Plan:
    """A plan that only kills the server."""
    flags = ("--checkpoint-size", "256KiB", "--checkpoint-interval", "200ms", "--log-format", "json")
    step = Step(kind=Kind.KILL, after=0.4, lasts=0.0)
    return Plan(seed=number, clients=3, flags=flags, small_disk=None, steps=(step,) * number)


def first(scene: Scene, wanted: Callable[[Upload], bool]) -> Upload | None:
    """An upload that a test may spoil."""
    return next((upload for upload in scene.ledger.uploads if upload.known and wanted(upload)), None)


def cut_acknowledged_byte(scene: Scene) -> None:
    """Take the last byte away that somebody was told is safe."""
    upload = first(scene, lambda upload: upload.open and upload.told > 0)
    if upload is not None:
        with receiving(scene.data, upload.path or "").open("r+b") as stream:
            stream.truncate(upload.told - 1)


def change_unfinished_byte(scene: Scene) -> None:
    """Change the first byte of an upload of which something was told."""
    upload = first(scene, lambda upload: upload.open and upload.told > 0)
    if upload is not None:
        change_byte(receiving(scene.data, upload.path or ""))


def change_finished_byte(scene: Scene) -> None:
    """Change the first byte of the upload that was last found right."""
    found = [upload for upload in scene.ledger.uploads if upload.digest and upload.length and not upload.deleting]
    for path in (published(scene.data, upload.path or "") for upload in reversed(found)):
        if path.exists():
            change_byte(path)
            return


def change_byte(path: Path) -> None:
    """Change a file's first byte."""
    with path.open("r+b") as stream:
        byte = stream.read(1)
        stream.seek(0)
        stream.write(bytes([byte[0] ^ 1]))


def leave_a_file(scene: Scene) -> None:
    """Leave a file that is none of the server's."""
    (scene.data / "uploads" / "draft.tmp").write_bytes(b"?")


SPOILT: dict[Callable[[Scene], None], str] = {
    cut_acknowledged_byte: "had been told before|told to be safe|acknowledged bytes are missing",
    change_unfinished_byte: "are not what was sent|is not what was sent",
    change_finished_byte: "differs from an earlier one|bytes .* are not right",
    leave_a_file: "a foreign name",
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_the_machine_finds_what_was_spoilt(spoil: Callable[[Scene], None], tmp_path: Path) -> None:
    """Checks that find nothing prove nothing: each kind of damage done behind the server's back ends the run."""
    with pytest.raises(Broken, match=SPOILT[spoil]):
        run(kills(20), tmp_path, meddle=spoil)
