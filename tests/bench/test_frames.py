"""Archives of frames: measured into both stores, judged, and a part of `make bench`."""

import json
from pathlib import Path

import pytest

from bench import frames, frames_walk
from bench.__main__ import main
from bench.errors import CannotMeasure
from bench.frames import a_depot, judge, measure
from bench.frames_load import FramesLoad, FramesOutcome, frames_json, frames_loads, frames_table, frames_verdicts, run
from bench.run import Run
from bench.servers import Server, chosen, without_derived
from ferryman_server.benching.rounds import Samples
from tests.bench.made_up import server

LOAD = FramesLoad(name="frames", title="archives of frames", into="disk", counts=(3,))


def ours() -> Server:
    """Ferryman."""
    (found,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
    return found


def made_up(ready: float = 0.01) -> dict[int, Samples]:
    """What was measured of one size of archive."""
    return {500: Samples(1000, [0.1], [ready], [9e8], [1e9], {"index": 0.25})}


@pytest.mark.parametrize("into_minio", [False, True], ids=["disk", "minio"])
def test_small_archives_are_measured(into_minio: bool, minio_program: Path, tmp_path: Path) -> None:
    """Every round has its figures; a first frame only what is larger than a first checkpoint or part."""
    said: list[str] = []
    if into_minio:
        with a_depot(tmp_path) as depot:
            found = measure(ours(), (2, 70), 1, tmp_path, depot, said.append)
    else:
        found = measure(ours(), (2, 10), 2, tmp_path, None, said.append)
    small, large = found.values()
    rounds = 1 if into_minio else 2
    assert [len(small.rate), len(small.plain), len(small.ready), len(small.first)] == [rounds, rounds, rounds, 0]
    assert len(large.first) == rounds
    assert large.stages["index"] > 0
    assert len(said) == 2 * rounds


def test_every_budget_is_a_line() -> None:
    """With the walker's, where that was measured."""
    told = {verdict.name: verdict.held for verdict in judge(made_up(ready=0.2), 1.2)}
    assert told == {
        "500 frames: ready": False,
        "500 frames: first listed": True,
        "500 frames: throughput": True,
        "deflated: the walker beside zipfile": False,
    }
    assert len(judge(made_up())) == 3


def test_walker_reads_what_zipfile_reads() -> None:
    """It is compared on an archive that both take, and takes some time for it."""
    assert frames_walk.walk(1) > 0


def test_command_tells_and_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each on standard output; 1 when a budget was missed."""
    monkeypatch.setattr(frames, "COUNTS", (2,))
    code = frames.main(["--rounds", "1", "--dir", str(tmp_path)])
    told = capsys.readouterr().out
    assert "2 frames: ready" in told
    assert code == int("MISSED" in told)
    assert list(tmp_path.iterdir()) == []


def test_server_that_cannot_start_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone it is an error; in a run of many things its reason is kept, and the others go on."""
    broken = without_derived(server("ferryman", "ours"))
    with pytest.raises(CannotMeasure, match="did not start"):
        measure(broken, (2,), 1, tmp_path)
    outcome = run(LOAD, broken, 1, tmp_path, None, lambda _: None)
    assert "did not start" in (outcome.failure or "")
    assert "FAILED: it did not start" in frames_table(outcome)
    assert frames_verdicts([outcome]) == []
    assert "did not start" in frames_json([outcome])["frames"]["failed"]


def test_quick_look_leaves_out_large_archives() -> None:
    """Both stores have a load; a quick one takes less room."""
    quick, whole = frames_loads(quick=True), frames_loads(quick=False)
    assert [load.into for load in quick] == [load.into for load in whole] == ["disk", "minio"]
    assert [load.most_bytes for load in quick] < [load.most_bytes for load in whole]


def test_table_and_promises_say_the_same() -> None:
    """A row a size; a promise that was not measured is not called kept."""
    found = made_up(ready=0.2)
    found[500].first.clear()
    outcome = FramesOutcome(LOAD, 1, found)
    row = [cell.strip() for cell in frames_table(outcome).splitlines()[-1].strip("|").split("|")]
    assert row[:7] == ["500", "0.0", "900", "1,000", "0.90 (0.90–0.90)", "–", "200.0"]
    reached = [(verdict.promise.rpartition(": ")[2][:8], verdict.reached) for verdict in frames_verdicts([outcome])]
    assert reached == [("in the l", False), ("first fr", None), ("at least", True)]


def test_figures_are_published_apart(tmp_path: Path) -> None:
    """Those into each store, with the machine and the promises."""
    told = Run(day="2026-01-02", rounds=1, machine={"cores": 2}, servers=[server("ferryman", "ours")], missing=[])
    other = FramesLoad(name="s3-frames", title="into MinIO", into="minio", counts=(500,))
    told.publish([], [FramesOutcome(LOAD, 1, made_up()), FramesOutcome(other, 1, made_up())], folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"performance-frames.json", "performance-frames-minio.json"}
    document = json.loads((tmp_path / "performance-frames-minio.json").read_text())
    assert list(document["frames"]) == ["s3-frames"]
    assert list(document["servers"]) == ["ferryman"]
    assert all(promise["reached"] for promise in document["promises"])


def test_make_bench_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, like any scenario, in the table and in the JSON."""
    told = tmp_path / "told.json"
    place = tmp_path / "disk"
    place.mkdir()
    monkeypatch.setattr("bench.__main__.frames_loads", lambda *, quick: [LOAD])
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process goes on
    arguments = ["--scenarios", "frames", "--servers", "ferryman", "--rounds", "1", "--dir", str(place)]
    monkeypatch.setattr("sys.argv", ["bench", *arguments, "--json", str(told)])
    assert main() == 0
    assert "### Archives of frames" in capsys.readouterr().out
    (size,) = json.loads(told.read_text())["frames"]["frames"]["sizes"]
    assert (size["frames"], size["rate"]["median"] > 0) == (3, True)
    assert list(place.iterdir()) == []


def test_others_make_no_frames_of_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for with servers that cannot, it is nothing to measure."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["bench", "--scenarios", "frames", "--servers", "floor-none"])
    assert main() == 2
    assert "none of these servers" in capsys.readouterr().err
