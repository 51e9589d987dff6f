"""What happens when: steps and the server's settings, drawn from a seed. The same seed draws the same."""

import random
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from tests.crash.bad_disk import Trouble
from tests.support.uploading import MIB


class Kind(Enum):
    """What a step does."""

    KILL = "kill -9"
    MEASURED_KILL = "kill -9, with what the sockets held counted"
    KILL_TWICE = "kill -9, and again while it starts"
    STOP = "SIGTERM"
    FREEZE = "the process does not run for a while"
    STALL = "the network stands still"
    CUT = "every connection is reset"
    FULL = "the disk is full"
    FULL_AND_KILL = "kill -9 while the disk is full"
    SLOW = "the disk is slow"
    FAILING = "syncs fail"
    ILL_AND_KILL = "kill -9 while the disk is in trouble"
    STALLED_RIVAL = "an upload is taken over from a silent sender"
    FAST_RIVAL = "an upload is taken over from a sender at full speed"
    DELETE = "an upload is deleted while it arrives"
    REST = "nothing; the idle server is looked at"
    AWAY = "MinIO is away"
    AWAY_AND_KILL = "kill -9 while MinIO is away"
    BUSY = "MinIO refuses"
    BUSY_AND_KILL = "kill -9 while MinIO refuses"
    DEAF = "MinIO does what it is told, and its answers are lost"
    DEAF_AND_KILL = "kill -9 while MinIO's answers are lost"
    LATE_AND_KILL = "kill -9, and what was on its way to MinIO arrives after the start"


Into = Literal["disk", "minio"]
INTOS: Final[tuple[Into, ...]] = ("disk", "minio")


_ANYWHERE: Final = {
    Kind.KILL: 6,
    Kind.MEASURED_KILL: 6,
    Kind.KILL_TWICE: 2,
    Kind.STOP: 3,
    Kind.FREEZE: 1,
    Kind.STALL: 2,
    Kind.CUT: 2,
}
_RIVALS: Final = {
    Kind.STALLED_RIVAL: 3,
    Kind.FAST_RIVAL: 2,
    Kind.DELETE: 2,
    Kind.REST: 2,
}
WEIGHTS: Final[dict[Into, dict[Kind, int]]] = {
    "disk": {
        **_ANYWHERE,
        Kind.FULL: 3,
        Kind.FULL_AND_KILL: 2,
        Kind.SLOW: 2,
        Kind.FAILING: 3,
        Kind.ILL_AND_KILL: 2,
        **_RIVALS,
    },
    "minio": {
        **_ANYWHERE,
        Kind.AWAY: 3,
        Kind.AWAY_AND_KILL: 2,
        Kind.BUSY: 3,
        Kind.BUSY_AND_KILL: 2,
        Kind.DEAF: 3,
        Kind.DEAF_AND_KILL: 2,
        Kind.LATE_AND_KILL: 5,
        **_RIVALS,
    },
}
_GOOD: Final = Trouble()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens."""

    kind: Kind
    after: float  # seconds of undisturbed work before it
    lasts: float  # seconds
    trouble: Trouble = _GOOD  # of the disk
    room: int = 0  # bytes a file may have while the disk is full

    def __str__(self) -> str:
        trouble = f" ({self.trouble})" if str(self.trouble) else ""
        lasts = f" for {self.lasts:.2f} s" if self.kind in _LASTING else ""
        return f"after {self.after:.2f} s: {self.kind.value}{trouble}{lasts}"


_LASTING: Final = (
    *(Kind.FREEZE, Kind.STALL, Kind.FULL, Kind.FULL_AND_KILL),
    *(Kind.SLOW, Kind.FAILING, Kind.ILL_AND_KILL, Kind.KILL_TWICE),
    *(Kind.AWAY, Kind.AWAY_AND_KILL, Kind.BUSY, Kind.BUSY_AND_KILL, Kind.DEAF, Kind.DEAF_AND_KILL, Kind.LATE_AND_KILL),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    clients: int
    flags: tuple[str, ...]  # of `ferryman serve`
    small_disk: int | None  # bytes of a disk of its own
    steps: tuple[Step, ...]
    into: Into = "disk"

    def __str__(self) -> str:
        disk = f", on a disk of {self.small_disk // MIB} MiB" if self.small_disk else ""
        head = f"seed {self.seed} into {self.into}, {self.clients} clients, {' '.join(self.flags)}{disk}"
        return "\n".join([head, *(f"  step {number}: {step}" for number, step in enumerate(self.steps, 1))])


def draw(seed: int, steps: int, *, clients: int = 4, can_mount: bool = False, into: Into = "disk") -> Plan:
    """The run of a seed. `can_mount`: a disk of its own is possible on this machine."""
    chance = random.Random(seed)
    small = chance.random() < 0.25 and can_mount and into == "disk"
    flags = [
        *("--checkpoint-size", chance.choice(("8MiB", "8MiB", "1MiB", "256KiB"))),
        *("--checkpoint-interval", chance.choice(("1s", "1s", "200ms"))),
        *("--body-timeout", chance.choice(("60s", "2s"))),
        *("--graceful-timeout", chance.choice(("1s", "3s"))),
        *("--reap-interval", chance.choice(("2s", "10min"))),
        *("--durability", "os" if chance.random() < 0.15 else "disk"),
        *("--upload-ttl", "30min", "--log-format", "json"),
    ]
    if into == "minio":
        flags += ["--s3-memory", chance.choice(("128MiB", "64MiB"))]
        flags += ["--s3-patience", chance.choice(("1s", "3s", "10s"))]
    return Plan(
        seed=seed,
        clients=clients,
        flags=tuple(flags),
        small_disk=384 * MIB if small else None,
        steps=tuple(_step(random.Random(f"{seed} step {number}"), into, small=small) for number in range(steps)),
        into=into,
    )


def _step(chance: random.Random, into: Into, *, small: bool) -> Step:
    kind = chance.choices(list(WEIGHTS[into]), list(WEIGHTS[into].values()))[0]
    if small and kind is Kind.FAST_RIVAL:  # it would fill the disk
        kind = Kind.STALLED_RIVAL
    trouble = _GOOD
    slow = Trouble(delay=chance.uniform(0.005, 0.15), write_delay=chance.choice((0.0, 0.02)))
    failing = Trouble(fail_files=chance.choice((0.3, 1.0)), fail_folders=chance.choice((0.0, 0.5)))
    if kind is Kind.SLOW:
        trouble = slow
    elif kind is Kind.FAILING:
        trouble = failing
    elif kind is Kind.ILL_AND_KILL:
        trouble = chance.choice((slow, failing))
    return Step(
        kind=kind,
        after=chance.uniform(0.02, 0.7),
        lasts=chance.uniform(0.05, 1.2),
        trouble=trouble,
        room=chance.randint(200_000, 6 * MIB),
    )
