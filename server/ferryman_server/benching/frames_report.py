"""What was measured of frames: a table with a line of plain words for each size, or one JSON document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ferryman_server.benching.judging import figures, kept, rating
from ferryman_server.benching.rounds import Samples
from ferryman_server.benching.spread import spread
from ferryman_server.media.stage_names import Stage

SHOWN: Final[tuple[Stage, ...]] = ("receive", "wait", "index", "commit", "publish")
HEAD: Final = ("frames", "MB", "MB/s", "not indexed", "first ms", "ready ms", *SHOWN)


def as_text(found: Mapping[int, Samples]) -> str:
    """For people. The stages are milliseconds of the mean archive, by the server's own clock."""
    rows = [HEAD, *(_row(count, samples) for count, samples in found.items())]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", *(f"{count} frames: {rating(count, samples)}" for count, samples in found.items())])


def as_json(found: Mapping[int, Samples], rounds: int) -> dict[str, Any]:
    """For programs. Sizes are bytes, times seconds, rates bytes a second."""
    return {"format": 1, "rounds": rounds, "sizes": [_document(count, samples) for count, samples in found.items()]}


def _document(count: int, samples: Samples) -> dict[str, Any]:
    return {
        "frames": count,
        "size": samples.size,
        "rate": _spread(samples.rate),
        "rate_not_indexed": _spread(samples.plain),
        "rate_ratio": _spread(samples.ratios),
        "first_frame": _spread(samples.first),
        "ready": _spread(samples.ready),
        "stages": {stage: round(seconds, 6) for stage, seconds in samples.stages.items()},
        "promises": [{"name": each.name, "text": each.text, "kept": each.held} for each in figures(count, samples)],
        "kept": kept(count, samples),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    found = spread(values)
    return None if found is None else {name: round(value, 6) for name, value in asdict(found).items()}


def _row(count: int, samples: Samples) -> tuple[str, ...]:
    return (
        str(count),
        f"{samples.size / 1e6:.1f}",
        *(_middle(values, 1e-6, 0) for values in (samples.rate, samples.plain)),
        *(_middle(values, 1e3, 1) for values in (samples.first, samples.ready)),
        *(f"{samples.stages[stage] * 1e3:.1f}" if stage in samples.stages else "–" for stage in SHOWN),
    )


def _middle(values: Sequence[float], scale: float, digits: int) -> str:
    found = spread(values)
    return "–" if found is None else f"{found.median * scale:.{digits}f}"
