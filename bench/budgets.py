"""What Ferryman promises of its speed and memory, judged on the outcome of a run.

Ratios compare two servers within each round: machines differ, and the same machine differs from minute to minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.results import Outcome
from ferryman_server.benching.spread import spread

OURS: Final = "ferryman"
OURS_OS: Final = "ferryman-os"
PEAK_MB: Final = 60.0  # with one large upload
PING_P99_MS: Final = 10.0  # beside any load


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLeast:
    """So many times the rate of another server, in the median of the rounds; and perhaps in every round."""

    scenario: str
    server: str
    other: str
    median: float
    every: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A promise, the figure that was measured (None: it was not), and whether it is reached."""

    promise: str
    figure: str | None
    reached: bool | None


def _small(scenario: str) -> list[AtLeast]:
    return [
        AtLeast(scenario=scenario, server=OURS, other="tusd", median=2.0, every=1.0),
        AtLeast(scenario=scenario, server=OURS, other="tuspyserver", median=8.0),
        AtLeast(scenario=scenario, server=OURS, other="tus-node-server", median=4.0),
    ]


def _into_minio(scenario: str, straight: float, tusd: float) -> list[AtLeast]:
    return [
        AtLeast(scenario=scenario, server=OURS, other="straight", median=straight),
        AtLeast(scenario=scenario, server=OURS, other="tusd", median=tusd),
    ]


RATIOS: Final = (
    AtLeast(scenario="one-patch", server=OURS, other="floor-bounded", median=0.9),
    AtLeast(scenario="one-patch", server=OURS, other="tusd", median=1.0),
    AtLeast(scenario="one-patch", server=OURS, other="tuspyserver", median=2.0),
    AtLeast(scenario="one-patch", server=OURS, other="tus-node-server", median=2.0),
    AtLeast(scenario="one-patch", server=OURS_OS, other="floor-none", median=0.85),
    AtLeast(scenario="one-patch", server=OURS_OS, other="tusd", median=1.5),
    AtLeast(scenario="patches-8mib", server=OURS, other="floor-each", median=0.95),
    AtLeast(scenario="patches-8mib", server=OURS, other="tusd", median=0.9),
    AtLeast(scenario="patches-8mib", server=OURS_OS, other="tusd", median=1.3),
    AtLeast(scenario="mib-c16", server=OURS, other="tusd", median=1.0),
    *_small("kib-c16"),
    *_small("kib-creation-c16"),
    *_into_minio("s3-one-patch", straight=0.9, tusd=1.25),
    *_into_minio("s3-8mib", straight=0.85, tusd=1.5),
    *_into_minio("s3-mib-c16", straight=0.85, tusd=2.0),
    *_into_minio("s3-kib", straight=0.85, tusd=3.5),
    *_into_minio("s3-kib-creation", straight=0.85, tusd=3.5),
)


def judge(outcomes: Mapping[str, Outcome], titles: Mapping[str, str]) -> list[Verdict]:
    """Every promise about the scenarios that were run; `titles` names servers for people."""
    ratios = [_judge_ratio(each, outcomes[each.scenario], titles) for each in RATIOS if each.scenario in outcomes]
    peak = [_judge_peak(outcomes["one-patch"])] if "one-patch" in outcomes else []
    disk = [each for each in outcomes.values() if each.scenario.into == "disk"]
    return [*ratios, *peak, *([_judge_pings(disk)] if disk else [])]


def _judge_ratio(budget: AtLeast, outcome: Outcome, titles: Mapping[str, str]) -> Verdict:
    ours, other = (titles.get(name, name) for name in (budget.server, budget.other))
    promise = f"{outcome.scenario.title}: {ours} ≥ {budget.median:g} × {other}"
    if budget.every is not None:
        promise += f", ≥ {budget.every:g} × in every round"
    ratio = outcome.ratio(budget.server, budget.other)
    if ratio is None:
        return Verdict(promise=promise, figure=None, reached=None)
    reached = ratio.median >= budget.median and (budget.every is None or ratio.least >= budget.every)
    return Verdict(promise=promise, figure=f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.most:.2f})", reached=reached)


def _judge_peak(outcome: Outcome) -> Verdict:
    peak = outcome.spread(OURS, lambda turn: turn.peak_mb)
    promise = f"one large upload: at most {PEAK_MB:g} MB of memory"
    if peak is None:
        return Verdict(promise=promise, figure=None, reached=None)
    return Verdict(promise=promise, figure=f"{peak.median:.0f} MB", reached=peak.median <= PEAK_MB)


def _judge_pings(outcomes: Sequence[Outcome]) -> Verdict:
    """The scenario whose median is worst stands for all. Where a MinIO has the processors, it is MinIO's figure: those
    scenarios are in the tables only."""
    promise = f"a small request beside any load onto the disk: p99 at most {PING_P99_MS:g} ms"
    medians = {
        outcome.scenario.name: found.median
        for outcome in outcomes
        if (found := spread([turn.ping_p99_ms for turn in outcome.of(OURS)]))
    }
    if not medians:
        return Verdict(promise=promise, figure=None, reached=None)
    worst = max(medians, key=lambda name: medians[name])
    return Verdict(promise=promise, figure=f"{medians[worst]:.1f} ms in {worst}", reached=medians[worst] <= PING_P99_MS)
