"""How long the stages of indexing took, by the server's own stopwatches: the histograms at `/metrics`.

They tell sums since the server's start, so what happened between two looks is their difference.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ferryman_server.benching.address import Address
from ferryman_server.media.stage_names import STAGES, Stage

PATIENCE: Final = 1.0  # seconds: what happened is counted just after everybody can see it
_LINE: Final = re.compile(r"^ferryman_archive_(\w+)_seconds_(sum|count) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Look:
    """What the stopwatches have seen so far."""

    sums: Mapping[Stage, float] = field(default_factory=dict)  # seconds; empty: the server does not tell
    archives: int = 0

    def until(self, later: "Look") -> dict[Stage, float]:
        """Seconds of each stage in the mean archive between the two; nothing when there was none."""
        count = later.archives - self.archives
        if count <= 0 or not self.sums:
            return {}
        return {stage: (later.sums[stage] - self.sums[stage]) / count for stage in STAGES}


def look(address: Address) -> Look:
    """Ask for them. One who may not see `/metrics` sees nothing here. Raises CannotRate."""
    answer = address.ask("GET", "/metrics")
    told = {(stage, what): float(value) for stage, what, value in _LINE.findall(answer.body.decode(errors="replace"))}
    if answer.status != 200 or any((stage, "sum") not in told for stage in STAGES):
        return Look()
    return Look({stage: told[stage, "sum"] for stage in STAGES}, int(told["ready", "count"]))


def look_after(address: Address, before: Look, archives: int) -> Look:
    """Ask once so many archives more have been counted. Raises CannotRate."""
    over = time.monotonic() + PATIENCE
    while True:
        now = look(address)
        if now.archives >= before.archives + archives or not now.sums or time.monotonic() > over:
            return now
        time.sleep(0.01)
