"""`ferryman extract` writes a medium's frames into a folder, beside a server and without one, from disk or bucket."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ferryman_cli import main
from ferryman_server.media.entries import DEFLATED
from ferryman_server.settings import Settings
from tests.server.bucket_folder import Bucket
from tests.server.media.extraction_rig import described, files
from tests.server.media_api_rig import HEIGHT, WIDTH, Rig, archive, running
from tests.server.media_rig import film
from tests.support.small_disk import NEW_MOUNTS, can_mount
from tests.zips.film import FRAMES, frames_folder
from tests.zips.producers import archive as produced


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ferryman.toml of somebody else's is in the way."""
    monkeypatch.chdir(tmp_path)


def served(work: Callable[[Rig], Awaitable[object]], settings: Settings | None = None) -> None:
    """Do something with a server on `./data`, and stop it."""

    settings = settings or Settings(data=Path("data").absolute(), durability="os")

    async def run() -> None:
        async with running(settings) as rig:
            await work(rig)

    asyncio.run(run())


def fill(*names: str, data: bytes | None = None) -> None:
    """Have the library hold these media."""

    async def work(rig: Rig) -> None:
        for name in names:
            await rig.medium(name, data)

    served(work)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Why it cannot run; nothing else is printed, and nothing is made."""
    before = sorted(os.listdir())
    assert main(["extract", *argv]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("ferryman extract: ")
    assert sorted(os.listdir()) == before
    return told.err


def test_a_real_film(capsys: pytest.CaptureFixture[str]) -> None:
    """Its frames are what they were before they were packed and uploaded; twice gives the same."""
    fill("film.zip", data=produced("bsdtar").read_bytes())
    before = [path.read_bytes() for path in sorted(frames_folder().glob("frames/*"))]
    for _ in range(2):
        assert main(["extract", "big-buck-bunny", "player"]) == 0
        assert [content for _, content in files(Path("player"))] == before
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{Path('player').absolute()}: {FRAMES} frames of 160 × 90, rgb565le, 24 a second"
    assert sorted(os.listdir()) == ["data", "player"]


def test_programs_are_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What is in the folder, and of which generation it is."""
    fill("film.zip")
    capsys.readouterr()
    assert main(["extract", "film", "player", "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told == {
        "slug": "film",
        "title": "film",
        "generation": 1,
        "folder": str(Path("player").absolute()),
        "frames": 3,
        "format": "rgb565le",
        "width": WIDTH,
        "height": HEIGHT,
        "fps": 10,
    }
    assert described(Path("player"))["generation"] == 1


def test_beside_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    """Also of a small upload that is complete this very moment, of which there is no file yet."""

    async def work(rig: Rig) -> None:
        for n in range(3):
            await rig.medium("film.zip", archive(2, first=n))
            assert await asyncio.to_thread(main, ["extract", "film", "player"]) == 0
            assert [content[0] for _, content in files(Path("player"))] == [n, n + 1]

    served(work)


@pytest.mark.parametrize(("format", "ending"), [("png", ".png"), ("jpg", ".jpg")])
def test_as_pictures(format: str, ending: str) -> None:
    """Of raw frames."""
    fill("film.zip", data=film(count=2).archive())
    assert main(["extract", "film", "player", "--format", format]) == 0
    assert [name for name, _ in files(Path("player"))] == [f"00000{ending}", f"00001{ending}"]
    assert main(["extract", "film", "player", "--format", "raw"]) == 0
    assert [name for name, _ in files(Path("player"))] == ["00000.rgb", "00001.rgb"]


def test_out_of_a_bucket(place: Bucket) -> None:
    """The bytes come from MinIO, the rest from the database; the server may run or not."""
    made = film(count=40)

    async def work(rig: Rig) -> None:
        await rig.medium("film.zip", made.archive())
        assert await asyncio.to_thread(main, ["extract", "film", "beside"]) == 0

    served(work, place.settings)
    assert main(["extract", "film", "alone"]) == 0
    for folder in ("beside", "alone"):
        assert [content for _, content in files(Path(folder))] == list(made.contents)


def test_what_it_cannot_extract(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is wrong, in words."""
    assert "no server has run on this folder yet" in said(capsys, "film", "player")
    fill("film.zip", data=film("png").archive())
    fill("song.wav", data=b"RIFF")
    capsys.readouterr()
    assert "there is no medium 'filn'" in said(capsys, "filn", "player")
    assert "there is no medium '../\\x07'" in said(capsys, "../\x07", "player")
    assert "song is of kind audio: it holds no frames" in said(capsys, "song", "player")
    assert "the frames of film are png pictures, not raw" in said(capsys, "film", "player", "--format", "raw")
    assert "the memory store keeps its bytes inside the server" in said(capsys, "film", "x", "--store", "memory")


def test_where_it_does_not_extract_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of anybody's is replaced."""
    fill("film.zip")
    capsys.readouterr()
    for folder in ("data", "data/player", "data/../data/files"):
        assert "lies in the data folder" in said(capsys, "film", folder)
    os.symlink("data", "link")
    assert "lies in the data folder" in said(capsys, "film", "link/player")
    assert "holds data, which ferryman did not put there" in said(capsys, "film", ".")
    assert "there is no folder" in said(capsys, "film", "no/player")
    Path("notes").write_text("mine")
    assert "is not a folder" in said(capsys, "film", "notes")
    Path("theirs").mkdir()
    Path("theirs/metadata.json").write_text('{"width": 1}')
    assert "holds a metadata.json that ferryman did not write" in said(capsys, "film", "theirs")
    os.symlink("theirs", "elsewhere")
    assert "is a symbolic link" in said(capsys, "film", "elsewhere")


def test_a_full_disk(tmp_path: Path) -> None:
    """It says so. Files that may not grow any more are as good as one."""
    fill("film.zip", data=film(width=320, height=240).archive())
    limit = ("prlimit", "--fsize=100000:unlimited")  # bytes: enough for SQLite's index of its log, not for a frame
    command = [*limit, sys.executable, "-m", "ferryman_cli", "extract", "film", "player"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == f"ferryman extract: the disk of {tmp_path / 'player'} is full: make room\n"
    assert done.returncode == 2
    assert os.listdir() == ["data"]


@pytest.mark.parametrize(
    ("mount", "folder", "why"),
    [
        ("--bind place place", "place", "place is mounted there, it cannot be replaced: name a folder in it"),
        ("-t tmpfs none place", "place", "place is where a file system begins, which cannot be replaced"),
        ("-t tmpfs -o nr_inodes=30 none place", "place/film", "place/film takes only 28 files more: remove some"),
        ("-t tmpfs -o size=2m none place", "place/film", "until the old one is gone, and 2.1 MB are free there"),
    ]
    if can_mount()
    else [],
)
def test_places_that_do_not_do(tmp_path: Path, mount: str, folder: str, why: str) -> None:
    """Mounts, in disguise too, and disks without room for so many files or so much."""
    fill("film.zip", data=film(count=30, width=320, height=240).archive())
    Path("place").mkdir()
    script = f'mount {mount} && exec "$0" -m ferryman_cli extract film {folder}'
    done = subprocess.run(
        [*NEW_MOUNTS, "sh", "-c", script, sys.executable], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith("ferryman extract: ")
    assert why in done.stderr
    assert done.returncode == 2
    assert os.listdir("place") == []


def test_ctrl_c_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """It has the exit code that shells expect."""
    fill("film.zip", data=film(count=2).archive())
    assert main(["extract", "film", "player"]) == 0
    fill("film.zip", data=film(width=640, height=480, count=60).archive(DEFLATED))
    command = [sys.executable, "-m", "ferryman_cli", "extract", "film", "player", "--format", "png"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not any(name.startswith(".ferryman-") for name in os.listdir()):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.communicate() == (b"", b"")
    assert sorted(os.listdir()) == ["data", "player"]
    assert len(files(Path("player"))) == 2
