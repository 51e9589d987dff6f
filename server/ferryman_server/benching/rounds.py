"""Every size of archive in turns: with indexing, without, and held back until its first frame is listed."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ferryman_server.benching.address import Address
from ferryman_server.benching.archives import Archive, frames_archive
from ferryman_server.benching.sending import Sender
from ferryman_server.benching.stage_times import look, look_after
from ferryman_server.media.stage_names import Stage

COUNTS: Final = (10, 100, 500, 5000)  # frames
HOLD: Final = 1 << 20  # bytes after which the sender waits for the first frame: a first checkpoint
HOLD_S3: Final = 9 << 20  # in a bucket: a first part of 8 MiB, and a little
WARM: Final = 2  # frames of an archive that does not count: what is loaded once is loaded
TRIED: Final = 100  # frames of the one with which it is found out how soon a server lists some
SOON: Final = 2.0  # seconds


@dataclass
class Samples:
    """What was measured of one size of archive."""

    size: int  # bytes
    first: list[float] = field(default_factory=list)  # seconds until the first frame was listed, the sender waiting
    ready: list[float] = field(default_factory=list)  # seconds from the last answer to the medium
    rate: list[float] = field(default_factory=list)  # bytes a second
    plain: list[float] = field(default_factory=list)  # the same, not indexed
    stages: dict[Stage, float] = field(default_factory=dict)  # seconds, of the mean archive; empty: not told

    @property
    def ratios(self) -> list[float]:
        """Throughput beside the same bytes not indexed, round by round."""
        return [rate / plain for rate, plain in zip(self.rate, self.plain, strict=True)]


def measure(
    address: Address,
    counts: Sequence[int],
    rounds: int,
    hold: int | None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[int, Samples]:
    """Samples by number of frames. `hold`: bytes after which the sender waits for a first frame, 0: it never does,
    None: as many as this server wants. Raises CannotRate."""
    sender, label = Sender(address), f"ferryman-bench-{secrets.token_hex(3)}"
    sender.upload(frames_archive(WARM), f"{label}-warm.zip")
    if hold is None:
        hold = _found(sender, label)
    found: dict[int, Samples] = {}
    for count in counts:
        archive = frames_archive(count)
        samples = found[count] = Samples(archive.size)
        before = look(address)
        for number in range(rounds):
            say(f"{count} frames, round {number + 1} of {rounds}")
            _round(sender, archive, f"{label}-{count}-{number}", samples, hold, plain_first=number % 2 == 1)
        samples.stages = before.until(look_after(address, before, rounds))
    return found


def _round(sender: Sender, archive: Archive, name: str, samples: Samples, hold: int, *, plain_first: bool) -> None:
    for indexed in (False, True) if plain_first else (True, False):
        sent = sender.upload(archive, f"{name}.{'zip' if indexed else 'bin'}", indexed=indexed)
        (samples.rate if indexed else samples.plain).append(sent.rate)
        if indexed:
            samples.ready.append(sent.ready)
    if 0 < hold < archive.size:
        first = sender.first_frame(archive, f"{name}-first.zip", hold)
        if first is not None:
            samples.first.append(first)


def _found(sender: Sender, label: str) -> int:
    """After how many bytes this server lists a first frame; 0 where it lists none of a running upload."""
    archive = frames_archive(TRIED)
    for hold in (HOLD, HOLD_S3):
        if sender.first_frame(archive, f"{label}-first.zip", hold, SOON) is not None:
            return hold
    return 0
