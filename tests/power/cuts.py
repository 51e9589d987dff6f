"""Cutting the power of a recorded run at chosen moments, and judging what a server makes of what is left."""

import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.power.disk import Image
from tests.power.oplog import Kind, OpLog
from tests.power.recording import DATA, Recording
from tests.power.recovery import Judge, on_recovered
from tests.power.tree import Tree, write_tree

ENOUGH: Final = 50  # faults: no more cuts are made then
LUCKY: Final = (Image.JOURNAL, Image.SHUFFLED, Image.WHOLE)


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """A power cut after so many operations, and what of the unsynced is left."""

    moment: int
    image: Image
    seed: int = 0


@dataclass(slots=True)
class Outcome:
    """What came out of some cuts."""

    cuts: int = 0
    faults: list[str] = field(default_factory=list)
    again: int = 0  # bytes: the most that one client had to send again
    volatile: int = 0  # bytes: the most of them that the server had written
    lost: int = 0  # uploads of which bytes had been told to be stored, and that were not what was told


def strict_moments(log: OpLog) -> list[int]:
    """The last moment before each change of what is synced, and the end: between two of them nothing is gained or lost,
    while more and more has been promised."""
    changes = [number for number, operation in enumerate(log.operations) if operation.kind is Kind.SYNCED]
    return [*changes, len(log)]


def drawn(log: OpLog, chance: random.Random, *, strict: int, lucky: int) -> list[Cut]:
    """Some cuts: `strict` and `lucky` ones, drawn at random; the end is always among them."""
    moments = strict_moments(log)
    chosen = [Cut(moment, Image.STRICT) for moment in chance.sample(moments, min(strict, len(moments)))]
    chosen += [Cut(chance.randint(0, len(log)), chance.choice(LUCKY), chance.getrandbits(32)) for _ in range(lucky)]
    return sorted([*chosen, Cut(len(log), Image.STRICT)])


def judge(recording: Recording, cuts: Iterable[Cut], folder: Path, outcome: Outcome | None = None) -> Outcome:
    """Cut the power at each of these moments, which are in order; each time a server is started on what is left."""
    outcome, disk = outcome or Outcome(), recording.replay()
    for cut in cuts:
        for operation in recording.log.operations[disk.count : cut.moment]:
            disk.apply(operation)
        place = folder / f"cut-{cut.moment}-{cut.image}-{cut.seed}"
        write_tree(disk.image(cut.image, random.Random(cut.seed)), place)
        _judge(recording, cut, place / DATA, disk.lengths(), outcome)
        shutil.rmtree(place)
        if len(outcome.faults) >= ENOUGH:
            break
    return outcome


def left_after(recording: Recording, cut: Cut) -> Tree:
    """What is left on the disk after one cut."""
    disk = recording.replay()
    for operation in recording.log.operations[: cut.moment]:
        disk.apply(operation)
    return disk.image(cut.image, random.Random(cut.seed))


def _judge(recording: Recording, cut: Cut, data: Path, written: dict[str, int], outcome: Outcome) -> None:
    known = recording.stories.at(cut.moment)
    judges: list[Judge] = []

    def look(port: int) -> None:
        judges.append(Judge(port))
        judges[0].hear(known, written)

    faults = on_recovered(data, look)
    if judges:
        faults += judges[0].faults
        outcome.again = max(outcome.again, judges[0].again)
        outcome.volatile = max(outcome.volatile, judges[0].volatile)
        outcome.lost += judges[0].lost
    outcome.cuts += 1
    outcome.faults += [f"{cut}: {fault}" for fault in faults]


def report(outcome: Outcome, most: int = 10) -> str:
    """What is wrong, for people."""
    faults: Sequence[str] = outcome.faults
    return f"{len(faults)} faults in {outcome.cuts} cuts\n" + "\n".join(faults[:most])
