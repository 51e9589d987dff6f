"""What frames cost: small measurements of the real thing, each a line with its budget."""

import json
import subprocess
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from bench import frames_memory
from bench.background import await_alone
from bench.errors import CannotMeasure
from bench.frames import a_depot
from bench.frames_costs import main
from bench.frames_memory import deflated_archive, memory
from bench.frames_written import Written, judge, written
from bench.fresh_server import fresh_server
from bench.idle import idle
from bench.library import library, questions
from bench.library_filling import fill
from bench.processes import running
from bench.servers import Server, chosen
from ferryman_server.benching.address import Address


def ours() -> Server:
    """Ferryman."""
    (found,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
    return found


def test_deflated_archive_is_a_film_again_and_again() -> None:
    """As large as is asked for; everybody can read it, and its metadata count its frames."""
    archive = deflated_archive(2_000_000)
    assert 2_000_000 < archive.size < 2_500_000
    with zipfile.ZipFile(BytesIO(b"".join(archive.pieces))) as read:
        assert read.testzip() is None
        said = json.loads(read.read("metadata.json"))
        assert said["frames"] == len(read.namelist()) - 1
        assert {info.compress_type for info in read.infolist()[1:]} == {zipfile.ZIP_DEFLATED}


@pytest.mark.parametrize("into_minio", [False, True], ids=["disk", "minio"])
def test_memory_is_compared(
    into_minio: bool, minio_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of stored frames and of deflated ones, each with indexing and without."""
    monkeypatch.setattr(frames_memory, "STORED", 20)
    monkeypatch.setattr(frames_memory, "DEFLATED_MB", 1)
    if into_minio:
        with a_depot(tmp_path) as depot:
            lines = memory(ours(), 1, tmp_path, depot)
    else:
        lines = memory(ours(), 1, tmp_path)
    assert [line.name for line in lines] == ["memory: 3 MB stored", "memory: 1 MB deflated"]
    assert all("not indexed" in line.text for line in lines)


@pytest.mark.parametrize("into_minio", [False, True], ids=["disk", "minio"])
def test_bytes_written_are_told(into_minio: bool, minio_program: Path, tmp_path: Path) -> None:
    """Everything received is there, and hardly twice."""
    if into_minio:
        with a_depot(tmp_path) as depot:
            bare, _ = written(ours(), tmp_path, depot)
    else:
        bare, _ = written(ours(), tmp_path)
    assert bare.name == "written: 23 MB"
    assert bare.text.startswith("for each byte received 1.0")


def found(grown: int, dirtied: int = 0, kinds: int = 3) -> Written:
    """What a million bytes came to."""
    return Written(received=1_000_000, dirtied=dirtied, handed=0, grown=grown, made=20_000, kinds=kinds)


@pytest.mark.parametrize(
    ("bare", "whole", "held"),
    [
        (found(1_010_000), found(1_040_000), [True, True]),
        (found(1_010_001), found(1_040_000), [False, True]),
        (found(1_000_000, dirtied=1_010_001), found(1_000_000), [False, True]),
        (found(1_000_000), found(1_030_001), [True, False]),
        (found(1_000_000), found(1_030_001, kinds=0), [True, None]),
    ],
)
def test_budgets_of_bytes_are_judged(bare: Written, whole: Written, held: list[bool | None]) -> None:
    """A hundredth more than what came, three with derived pictures; where there are none nothing is promised."""
    assert [verdict.held for verdict in judge(bare, whole, into_minio=False)] == held


def test_into_minio_only_what_is_kept_counts() -> None:
    """There the server's own writing is its database's."""
    lines = judge(found(1_000_000, dirtied=5_000_000), found(1_000_000), into_minio=True)
    assert lines[0].held is True


def test_idle_server_is_watched(tmp_path: Path) -> None:
    """Fresh, and after an archive; `main` would go on until its jobs process is gone."""
    lines = idle(ours(), tmp_path, seconds=0.2, patient=False)
    assert [line.name for line in lines] == ["idle: fresh", "idle: after an archive"]
    assert all("% of a core" in line.text for line in lines)


def test_children_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they have ended, and not for ever."""
    monkeypatch.setattr("bench.background.GONE_WITHIN", 10)
    with subprocess.Popen(["sh", "-c", "sleep 0.3; read over"], stdin=subprocess.PIPE) as shell:
        await_alone(shell.pid)
        assert shell.poll() is None
    monkeypatch.setattr("bench.background.GONE_WITHIN", 0.1)
    with subprocess.Popen(["sh", "-c", "sleep 1; true"]) as shell:
        time.sleep(0.1)
        with pytest.raises(CannotMeasure, match="still there"):
            await_alone(shell.pid)


def test_library_is_filled_and_asked(tmp_path: Path) -> None:
    """Every question gets an answer, with several pages where there are so many media."""
    lines = library(ours(), tmp_path, 450)
    assert [line.name for line in lines] == [f"450 media: {what}" for what in questions()]
    assert all(" p95 " in line.text for line in lines)


def test_filled_library_has_every_kind(tmp_path: Path) -> None:
    """With words, tags, hearts and ratings to look for."""
    (tmp_path / "data").mkdir()
    fill(tmp_path / "data", 300)
    with running(ours(), tmp_path / "data") as target:
        address = Address("http", "127.0.0.1", target.port)
        media = address.ask("GET", "/api/media?limit=500").document()["media"]
    assert len(media) == 300
    assert {each["kind"] for each in media} == {"video", "audio", "image", "file"}
    assert any(each["tags"] for each in media)
    assert any(each["favourite"] for each in media)
    assert len({each["rating"] for each in media}) == 6


def test_what_cannot_be_rated_cannot_be_measured(tmp_path: Path) -> None:
    """A server that goes is told in the bench's own words."""
    with pytest.raises(CannotMeasure), fresh_server(ours(), tmp_path) as fresh:
        Address("http", "127.0.0.1", 1).ask("GET", "/")
    assert not Path(f"/proc/{fresh.process.pid}").exists()


def test_command_tells_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not asked for is not measured; 1 when a budget was missed."""
    code = main(["--what", "library", "--into", "disk", "--media", "60", "--dir", str(tmp_path)])
    told = capsys.readouterr().out
    assert "60 media: two words" in told
    assert "memory" not in told
    assert code == int("MISSED" in told)
    assert list(tmp_path.iterdir()) == []
