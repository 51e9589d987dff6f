"""The command: a whole small run, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.__main__ import main
from bench.processes import family

ROOT = Path(__file__).parents[2]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def test_run_writes_table_json_and_chart(tmp_path: Path) -> None:
    """What was measured stands in all three, and the JSON names the machine but neither its name nor a path."""
    told, drawn = tmp_path / "told.json", tmp_path / "drawn.svg"
    place = tmp_path / "disk"
    place.mkdir()
    arguments = ["--mib", "16", "--rounds", "2", "--scenarios", "one-p*", "--servers", "ferryman", "floor-bounded"]
    done = bench(*arguments, "--dir", place, "--json", told, "--svg", drawn)
    assert done.returncode == 0, done.stderr
    assert "### 16 MiB, one PATCH" in done.stdout
    assert "16 MiB, one PATCH: Ferryman, durable ≥ 0.9 × C floor, at most 8 MiB unsynced" in done.stdout
    assert "round 2 of 2, floor-bounded" in done.stderr
    document = json.loads(told.read_text())
    one = document["scenarios"]["one-patch"]
    assert [len(turns) for turns in one["turns"].values()] == [2, 2]
    rates = {name: [turn["rate"] for turn in turns] for name, turns in one["turns"].items()}
    ratio = one["ratios"]["ferryman / floor-bounded"]
    pairs = zip(rates["ferryman"], rates["floor-bounded"], strict=True)
    assert sorted([ratio["least"], ratio["most"]]) == pytest.approx(sorted(a / b for a, b in pairs), abs=0.001)
    assert {"processor", "cores", "memory_gib", "kernel", "file_system", "sync_4k_ms"} <= set(document["machine"])
    assert str(tmp_path) not in told.read_text()
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")
    assert list(place.iterdir()) == []


def test_run_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM in the middle of a turn: no data on the disk, no server that goes on."""
    command = [
        sys.executable,
        "-m",
        "bench",
        "--servers",
        "floor-none",
        "--scenarios",
        "kib-c16",
        "--dir",
        str(tmp_path),
    ]
    with subprocess.Popen([*command, "--rounds", "1000"], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "warm-up" in process.stderr.readline()
        children = family(process.pid)[1:]
        process.terminate()
        process.stderr.read()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_names_may_have_commas_between_them() -> None:
    """As other commands take them."""
    done = bench("--list", "--scenarios", "s3-kib,mib-c1", "--servers", "ferryman,straight", "floor-none")
    names = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert names == ["mib-c1", "s3-kib", "ferryman", "straight", "floor-none"]


def test_run_without_minio_goes_on_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with its reason, like a rival that is missing; alone it is nothing to measure."""

    def no_minio() -> Path:
        raise RuntimeError("MinIO was not built")

    monkeypatch.setattr("bench.bucket.program", no_minio)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process goes on
    arguments = ["bench", "--mib", "16", "--rounds", "1", "--servers", "ferryman", "--dir", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*arguments, "--scenarios", "one-patch", "s3-one-patch"])
    assert main() == 0
    told = capsys.readouterr().out
    assert "- MinIO: MISSING: MinIO was not built" in told
    assert "### 16 MiB, one PATCH" in told
    assert "into MinIO" not in told
    monkeypatch.setattr("sys.argv", [*arguments, "--scenarios", "s3-one-patch"])
    assert main() == 2
    assert "bench: MinIO: MinIO was not built" in capsys.readouterr().err


def test_list_names_scenarios_and_servers() -> None:
    """And measures nothing."""
    done = bench("--list")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert {"one-patch", "head-million", "ferryman", "tusd", "tus-node-server", "tuspyserver", "floor-none"} <= set(
        names
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenarios", "x"], "no scenario is called x; there are: one-patch,"),
        (
            ["--scenarios", "s3-kib", "--servers", "floor-none"],
            "none of these servers stores where these scenarios ask",
        ),
        (["--servers", "x"], "no server is called x; there are: ferryman,"),
        (["--publish", "--quick"], "--publish is for all servers and 5 rounds or more"),
        (["--mib", "17"], "--mib is a multiple of 16"),
        (["--rounds", "0"], "--rounds"),
        (["--dir", "/no/such/folder"], "/no/such/folder is no folder"),
        (["--mib", str(1 << 30)], "GB free, a turn needs"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(arguments: list[str], words: str) -> None:
    """With exit code 2, before anything is started."""
    done = bench(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
