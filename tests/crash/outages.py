"""What goes wrong between the server and MinIO, for as long as a step lasts."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Final

from tests.crash.in_minio import InMinio
from tests.crash.schedule import Kind
from tests.s3.faults import Answer, ChangeAnswer, Drop, LoseAnswer
from tests.s3.holding import Hold, When
from tests.s3.log import Seen
from tests.s3.moments import Fault
from tests.s3.operations import Operation

SHARES: Final = (0.3, 0.7, 1.0)  # of the requests
WRITES: Final = (
    *(Operation.CREATE_MULTIPART, Operation.UPLOAD_PART, Operation.COMPLETE, Operation.UPLOAD_PART_COPY),
    *(Operation.PUT, Operation.ABORT, Operation.DELETE),
)
_KILLED: Final = "killed"
_SILENT: Final = "silent"


@contextlib.contextmanager
def outage(place: InMinio, kind: Kind, chance: random.Random, note: Callable[[str], None]) -> Iterator[None]:
    """MinIO is in trouble for the length of the `with`; `note` is told what it is."""
    if kind in (Kind.AWAY, Kind.AWAY_AND_KILL):
        how = chance.choice((_KILLED, _KILLED, _SILENT))
        note(f"MinIO is {how}")
        with _killed(place) if how == _KILLED else _silent(place):
            yield
        return
    if kind in (Kind.BUSY, Kind.BUSY_AND_KILL):
        fault: Fault = chance.choice((Answer(503, "SlowDown"), Answer(500, "InternalError"), Drop(after=100_000)))
    else:
        fault = chance.choice((LoseAnswer(), LoseAnswer(reset=True), ChangeAnswer(503, "SlowDown")))
    share = chance.choice(SHARES)
    note(f"{share:.0%} of the requests to MinIO: {fault}")
    with place.proxy.on(do=fault, times=None, where=lambda seen: chance.random() < share):
        yield


@contextlib.contextmanager
def held_back(place: InMinio, chance: random.Random, note: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Requests that write stand still, all of one kind or of every kind. Whoever comes after the call of what this
    yields goes by; those that stand arrive at the end of the `with`, whatever has become of their sender."""
    when = chance.choice((When.UNFINISHED, When.DONE))
    operations = chance.choice([WRITES, *((operation,) for operation in WRITES)])
    note(f"{', '.join(operation.value for operation in operations)} held back, {when}")
    gate = Hold(when)
    rule = place.proxy.on(*operations, do=gate, times=None, where=_sized)
    try:
        yield rule.remove
    finally:
        rule.remove()
        gate.release()


def _sized(seen: Seen) -> bool:
    """Whether the proxy knows a body's last byte when it comes."""
    return seen.length is not None


@contextlib.contextmanager
def _killed(place: InMinio) -> Iterator[None]:
    place.minio.kill()
    try:
        yield
    finally:
        place.minio.start()


@contextlib.contextmanager
def _silent(place: InMinio) -> Iterator[None]:
    place.proxy.blackhole()
    try:
        yield
    finally:
        place.proxy.accept()
