"""What the turns of a scenario came to: medians, spreads, and ratios round by round."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.measurement import Measurement
from bench.scenarios import GIB, Scenario
from ferryman_server.benching.spread import Spread, spread


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario: each server's turns in the order of the rounds, None where a turn failed."""

    scenario: Scenario
    unable: dict[str, str]  # server → why it cannot take part
    turns: dict[str, list[Measurement | None]]
    failures: dict[str, str]  # server → what went wrong first

    def of(self, server: str) -> list[Measurement]:
        """The turns that have figures."""
        return [turn for turn in self.turns.get(server, []) if turn is not None]

    def spread(self, server: str, figure: Callable[[Measurement], float]) -> Spread | None:
        """Median and spread of one figure over the rounds; None without any."""
        return spread([figure(turn) for turn in self.of(server)])

    def ratio(self, server: str, other: str) -> Spread | None:
        """How many times the other's rate, compared within each round; None without a round that has both."""
        pairs = zip(self.turns.get(server, []), self.turns.get(other, []), strict=False)
        return spread([ours.rate / theirs.rate for ours, theirs in pairs if ours and theirs])

    def cpu_cost(self, turn: Measurement) -> float:
        """The server's CPU seconds for each GiB stored, or its milliseconds for each upload or HEAD."""
        return self._each(turn.server_cpu_seconds)

    def minio_cost(self, turn: Measurement) -> float:
        """The same of the MinIO behind it."""
        return self._each(turn.minio_cpu_seconds)

    def _each(self, seconds: float) -> float:
        if self.scenario.unit == "MB/s":
            return seconds / (self.scenario.count * self.scenario.size / GIB)
        return seconds / self.scenario.count * 1e3

    @property
    def cpu_unit(self) -> str:
        """The unit of `cpu_cost`."""
        return {"MB/s": "s/GiB", "uploads/s": "ms each", "HEAD/s": "ms each"}[self.scenario.unit]
