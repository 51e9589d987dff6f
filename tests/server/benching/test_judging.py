"""Budgets of frames: kept, missed, or not judged; and each in plain words."""

import json

import pytest

from ferryman_server.benching.frames_report import as_json, as_text
from ferryman_server.benching.judging import figures, kept, rating
from ferryman_server.benching.rounds import Samples

GOOD = {"first": [0.012], "ready": [0.005, 0.02, 0.012], "rate": [9e8, 8e8], "plain": [1e9, 1e9]}


def samples(**other: list[float]) -> Samples:
    """A machine that keeps every budget, but for these."""
    found = Samples(size=1000)
    for name, values in (GOOD | other).items():
        setattr(found, name, values)
    return found


def held(count: int, of: Samples) -> dict[str, bool | None]:
    """Which budgets are kept."""
    return {figure.name: figure.held for figure in figures(count, of)}


def test_median_counts() -> None:
    """One slow round is no broken promise."""
    assert held(500, samples(ready=[0.01, 0.02, 5.0])) == {"ready": True, "first listed": True, "throughput": True}


@pytest.mark.parametrize(
    ("other", "name", "words"),
    [
        ({"ready": [0.101]}, "ready", "missed: frames are there 101 ms after the last byte (at most 100)"),
        ({"first": [0.25]}, "first listed", "missed: the first 250 ms after its own bytes (at most 200)"),
        ({"plain": [2.5e9, 2.5e9]}, "throughput", "missed: it takes 850 MB/s, 0.34 of what it takes without indexing"),
    ],
)
def test_each_budget_may_be_missed(other: dict[str, list[float]], name: str, words: str) -> None:
    """The line for people names what was missed, and by how much."""
    of = samples(**other)
    assert [each for each, kept in held(500, of).items() if kept is False] == [name]
    assert rating(500, of).startswith(words)
    assert not kept(500, of)


def test_good_machine_is_told_when_its_frames_are_there() -> None:
    """In one line."""
    assert rating(500, samples()) == "good: frames are there 12 ms after the last byte"
    assert kept(500, samples())


def test_small_archive_is_not_held_to_a_throughput() -> None:
    """It is over before there is one."""
    of = samples(plain=[2e9, 2e9])
    assert held(499, of)["throughput"] is None
    assert held(500, of)["throughput"] is False


def test_what_was_not_measured_is_no_broken_promise() -> None:
    """An archive that is smaller than a first part has no frame before its end."""
    of = samples(first=[])
    assert held(10, of)["first listed"] is None
    assert kept(10, of)


def test_table_has_a_row_and_a_line_for_each_size() -> None:
    """Stages that a server does not tell are left open."""
    told = samples()
    told.stages = dict.fromkeys(("receive", "wait", "index", "commit", "publish", "ready"), 0.0015)
    lines = as_text({10: told, 500: samples(first=[])}).splitlines()
    assert lines[1].split() == ["10", "0.0", "850", "1000", "12.0", "12.0", *["1.5"] * 5]
    assert lines[2].split() == ["500", "0.0", "850", "1000", "–", "12.0", *["–"] * 5]
    assert lines[-2:] == [f"{count} frames: {rating(count, told)}" for count in (10, 500)]


def test_document_has_every_figure() -> None:
    """As numbers, and with what was promised."""
    document = json.loads(json.dumps(as_json({500: samples(first=[])}, 3)))
    (size,) = document["sizes"]
    assert (document["rounds"], size["frames"], size["kept"], size["first_frame"]) == (3, 500, True, None)
    assert size["ready"] == {"median": 0.012, "least": 0.005, "most": 0.02}
    assert size["rate_ratio"]["median"] == 0.85
    assert {each["name"]: each["kept"] for each in size["promises"]} == held(500, samples(first=[]))
