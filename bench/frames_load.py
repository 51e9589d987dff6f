"""The archives of frames as a part of `make bench`: two loads beside its scenarios, one into each store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.bucket import Depot
from bench.budgets import Verdict
from bench.errors import CannotMeasure
from bench.frames import measure
from bench.report import table
from bench.scenarios import INTO_MINIO, Place
from bench.servers import Server
from ferryman_server.benching.archives import FRAME
from ferryman_server.benching.frames_report import HEAD, SHOWN, as_json
from ferryman_server.benching.judging import LEAST_RATE, MOST_FIRST, MOST_READY, figures
from ferryman_server.benching.rounds import COUNTS, Samples
from ferryman_server.benching.spread import spread

SERVER: Final = "ferryman"  # nobody else makes frames of archives
QUICK: Final = COUNTS[:2]
_PROMISES: Final = {
    "first listed": f"first frame listed at most {MOST_FIRST * 1e3:.0f} ms after a first MiB or part",
    "ready": f"in the library at most {MOST_READY * 1e3:.0f} ms after the last byte",
    "throughput": f"at least {LEAST_RATE:g} of the throughput without indexing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesLoad:
    """Archives of these numbers of frames, into one store."""

    name: str  # as typed after --scenarios
    title: str
    into: Place
    counts: Sequence[int]

    @property
    def most_bytes(self) -> int:
        """The room that it needs on the disk: what is deleted is freed a moment later."""
        return 3 * max(self.counts) * FRAME


@dataclass(frozen=True, slots=True)
class FramesOutcome:
    """What was measured, or why not."""

    load: FramesLoad
    rounds: int
    found: Mapping[int, Samples]  # by number of frames
    failure: str | None = None


def frames_loads(*, quick: bool) -> list[FramesLoad]:
    """Both."""
    counts, title = QUICK if quick else COUNTS, "archives of frames"
    return [
        FramesLoad(name="frames", title=title, into="disk", counts=counts),
        FramesLoad(name="s3-frames", title=f"{INTO_MINIO}{title}", into="minio", counts=counts),
    ]


def run(
    load: FramesLoad, server: Server, rounds: int, place: Path, depot: Depot | None, say: Callable[[str], None]
) -> FramesOutcome:
    """Measure it; what fails is kept with its reason."""
    try:
        found = measure(server, load.counts, rounds, place, depot, lambda text: say(f"{load.name}, {text}"))
    except CannotMeasure as error:
        say(f"{load.name}: failed: {error}")
        return FramesOutcome(load, rounds, {}, str(error))
    return FramesOutcome(load, rounds, found)


def frames_table(outcome: FramesOutcome) -> str:
    """A row for each size, with medians, and the ratios' spread."""
    lines = [f"### {outcome.load.title[0].upper()}{outcome.load.title[1:]}", ""]
    if outcome.failure is not None:
        return "\n".join([*lines, f"- FAILED: {outcome.failure}"])
    head = [*HEAD[:4], "× not indexed", *HEAD[4:6], *(f"{stage} ms" for stage in SHOWN)]
    return "\n".join([*lines, table([head, *(_row(count, each) for count, each in outcome.found.items())])])


def frames_verdicts(outcomes: Sequence[FramesOutcome]) -> list[Verdict]:
    """Every promise about each size of archive."""
    return [
        Verdict(
            promise=f"{outcome.load.title}, {count:,}: {_PROMISES[figure.name]}",
            figure=None if figure.held is None else figure.text,
            reached=figure.held,
        )
        for outcome in outcomes
        for count, samples in outcome.found.items()
        for figure in figures(count, samples)
        if figure.held is not None or figure.name == "first listed"
    ]


def frames_json(outcomes: Sequence[FramesOutcome]) -> dict[str, Any]:
    """Every figure, by the load's name."""
    return {
        outcome.load.name: {
            "title": outcome.load.title,
            "into": outcome.load.into,
            "failed": outcome.failure,
            **as_json(outcome.found, outcome.rounds),
        }
        for outcome in outcomes
    }


def _row(count: int, samples: Samples) -> list[str]:
    ratio = spread(samples.ratios)
    return [
        f"{count:,}",
        f"{samples.size / 1e6:,.1f}",
        _middle(samples.rate, 1e-6, 0),
        _middle(samples.plain, 1e-6, 0),
        f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.most:.2f})" if ratio else "–",
        _middle(samples.first, 1e3, 1),
        _middle(samples.ready, 1e3, 1),
        *(f"{samples.stages[stage] * 1e3:,.1f}" if stage in samples.stages else "–" for stage in SHOWN),
    ]


def _middle(values: Sequence[float], scale: float, digits: int) -> str:
    found = spread(values)
    return "–" if found is None else f"{found.median * scale:,.{digits}f}"
