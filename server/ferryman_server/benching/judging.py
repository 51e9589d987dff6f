"""What is promised of frames (DESIGN §11), and whether a machine keeps it.

Medians count. An archive of a few frames is over before there is a throughput: that is judged from 500 frames on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.benching.rounds import Samples
from ferryman_server.benching.spread import Spread, spread

MOST_FIRST: Final = 0.2  # seconds from a first MiB (a bucket's first part) to the first frame's listing
MOST_READY: Final = 0.1  # seconds from the last byte to the library
LEAST_RATE: Final = 0.75  # times the throughput of the same bytes not indexed
RATED_FROM: Final = 500  # frames


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its budget; `held` is None where nothing was promised or measured."""

    name: str
    text: str
    held: bool | None
    plain: str  # in a sentence


def figures(count: int, samples: Samples) -> list[Figure]:
    """Everything that is promised of this size of archive."""
    return [
        _time("ready", samples.ready, MOST_READY, lambda ms: f"frames are there {ms} ms after the last byte"),
        _time("first listed", samples.first, MOST_FIRST, lambda ms: f"the first {ms} ms after its own bytes"),
        _throughput(count, samples),
    ]


def rating(count: int, samples: Samples) -> str:
    """The same as one line for people."""
    judged = figures(count, samples)
    missed = [each.plain for each in judged if each.held is False]
    return f"missed: {'; '.join(missed)}" if missed else f"good: {judged[0].plain}"


def kept(count: int, samples: Samples) -> bool:
    """Whether no budget is missed."""
    return all(each.held is not False for each in figures(count, samples))


def _time(name: str, values: Sequence[float], most: float, plain: Callable[[str], str]) -> Figure:
    found = spread(values)
    if found is None:
        return Figure(name, "not measured: the archive is too small, or its store lists none so early", None, "")
    held, middle = found.median <= most, _ms(found.median)
    limit = "" if held else f" (at most {_ms(most)})"
    return Figure(name, f"{middle} ms ({_ms(found.least)} to {_ms(found.most)})", held, plain(middle) + limit)


def _throughput(count: int, samples: Samples) -> Figure:
    rate, ratio = spread(samples.rate), spread(samples.ratios)
    if rate is None or ratio is None:
        return Figure("throughput", "not measured", None, "")
    held = ratio.median >= LEAST_RATE if count >= RATED_FROM else None
    text = f"{rate.median / 1e6:.0f} MB/s, {_times(ratio)} of not indexed"
    plain = f"it takes {rate.median / 1e6:.0f} MB/s, {ratio.median:.2f} of what it takes without indexing"
    return Figure("throughput", text, held, f"{plain} (at least {LEAST_RATE:g})" if held is False else plain)


def _times(found: Spread) -> str:
    return f"× {found.median:.2f} ({found.least:.2f} to {found.most:.2f})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}" if seconds < 0.01 else f"{seconds * 1e3:.0f}"
