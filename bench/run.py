"""What a run tells, in every form: files for programs and pictures, promises judged, and what is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.budgets import Verdict, judge
from bench.chart import chart
from bench.frames_load import SERVER, FramesOutcome, frames_json, frames_verdicts
from bench.native import HERE
from bench.publish import as_json, write
from bench.results import Outcome
from bench.scenarios import Place
from bench.servers import Missing, Server

DOCS: Final = HERE.parent / "docs" / "topics"
PUBLISHED: Final[Mapping[Place, str]] = {"disk": "performance", "minio": "performance-minio"}
FRAMES: Final[Mapping[Place, str]] = {"disk": "performance-frames", "minio": "performance-frames-minio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the bench, whatever scenarios it has."""

    day: str
    rounds: int
    machine: Mapping[str, str | int | float]
    servers: Sequence[Server]
    missing: Sequence[Missing]

    def verdicts(self, outcomes: Sequence[Outcome], frames: Sequence[FramesOutcome] = ()) -> list[Verdict]:
        """The promises about these scenarios."""
        titles = {each.name: each.title for each in self.servers} | {each.name: each.title for each in self.missing}
        judged = judge({outcome.scenario.name: outcome for outcome in outcomes}, titles)
        return [*judged, *frames_verdicts(frames)]

    def json(self, outcomes: Sequence[Outcome], frames: Sequence[FramesOutcome] = ()) -> str:
        """Every figure."""
        return as_json(
            day=self.day,
            rounds=self.rounds,
            machine=self.machine,
            servers=self._in(outcomes, frames),
            missing=self.missing,
            outcomes=outcomes,
            frames=frames_json(frames),
            verdicts=self.verdicts(outcomes, frames),
        )

    def svg(self, outcomes: Sequence[Outcome]) -> str:
        """A chart."""
        facts = self.machine
        rounds = f"{self.rounds} round{'s' if self.rounds > 1 else ''}"
        foot = f"{facts['processor']}, {facts['cores']} cores, {facts['file_system']}; {rounds}, {self.day}"
        if self.missing:
            foot += f"; missing here: {', '.join(each.title for each in self.missing)}"
        return chart(outcomes, self.servers, foot)

    def publish(self, outcomes: Sequence[Outcome], frames: Sequence[FramesOutcome] = (), folder: Path = DOCS) -> None:
        """Write the files of the documentation, those about MinIO and about frames apart: a run of one kind leaves the
        others' alone."""
        for place, name in PUBLISHED.items():
            chosen = [outcome for outcome in outcomes if outcome.scenario.into == place]
            if chosen:
                write(folder / f"{name}.json", self.json(chosen))
                write(folder / f"{name}.svg", self.svg(chosen))
        for outcome in frames:
            write(folder / f"{FRAMES[outcome.load.into]}.json", self.json([], [outcome]))

    def _in(self, outcomes: Sequence[Outcome], frames: Sequence[FramesOutcome]) -> list[Server]:
        """Those that the outcomes speak of."""
        names = {name for outcome in outcomes for name in (*outcome.turns, *outcome.unable)}
        names |= {SERVER} if frames else set()
        return [server for server in self.servers if server.name in names]
