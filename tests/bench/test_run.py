"""What a run writes, and where."""

import json
from pathlib import Path

from bench.results import Outcome
from bench.run import Run
from bench.servers import Missing
from tests.bench.made_up import outcome, scenario, server

MACHINE: dict[str, str | int | float] = {"processor": "Some CPU", "cores": 2, "file_system": "ext4"}
RUN = Run(
    day="2026-01-02",
    rounds=1,
    machine=MACHINE,
    servers=[server("ferryman", "ours"), server("straight", "floor"), server("floor-each", "floor")],
    missing=[Missing(name="tusd", title="tusd", why="get it")],
)
DISK = outcome(scenario(), ferryman=[1.0], floor_each=[2.0])
INTO_MINIO = outcome(scenario("s3-8mib", into="minio"), ferryman=[1.0], straight=[2.0])


def published(folder: Path, *outcomes: Outcome) -> dict[str, list[str]]:
    """Publish these; each file of figures with the scenarios in it."""
    RUN.publish(outcomes, folder=folder)
    return {path.name: list(json.loads(path.read_text())["scenarios"]) for path in sorted(folder.glob("*.json"))}


def test_what_goes_into_minio_is_published_apart(tmp_path: Path) -> None:
    """Figures and a picture for each."""
    told = published(tmp_path, DISK, INTO_MINIO)
    assert told == {"performance-minio.json": ["s3-8mib"], "performance.json": ["one-patch"]}
    assert {path.name for path in tmp_path.glob("*.svg")} == {"performance.svg", "performance-minio.svg"}


def test_run_of_one_kind_leaves_the_other_as_it_was(tmp_path: Path) -> None:
    """Figures of another day are not lost."""
    assert published(tmp_path, INTO_MINIO) == {"performance-minio.json": ["s3-8mib"]}


def test_figures_name_the_servers_that_took_part_and_those_that_are_missing() -> None:
    """A server that has nothing to do with the scenarios is not in it; promises about one that is missing are."""
    told = json.loads(RUN.json([INTO_MINIO]))
    assert list(told["servers"]) == ["ferryman", "straight"]
    assert told["missing"] == {"tusd": "get it"}
    assert {each["promise"]: each["reached"] for each in told["promises"]} == {
        "title of s3-8mib: Ferryman ≥ 0.85 × Straight": False,
        "title of s3-8mib: Ferryman ≥ 1.5 × tusd": None,
    }


def test_picture_says_whose_it_is_and_who_is_missing() -> None:
    """At its foot."""
    assert "Some CPU, 2 cores, ext4; 1 round, 2026-01-02; missing here: tusd" in RUN.svg([DISK])
