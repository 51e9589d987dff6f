"""What is made of media in the background, by a real server and its jobs process: made, served, made again, let go."""

import array
import io
import os
import signal
import sqlite3
import wave
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import av
import httpx
import pytest
from PIL import Image

from tests.minio import Minio
from tests.support.archive import FILM, FRAMES, HEIGHT, WIDTH, frames_archive
from tests.support.process import Server, eventually, serving

PATIENCE: Final = 60.0  # seconds: what is made in the background has no hurry, least of all beside other tests
OF_FRAMES: Final = {"sheet.jpg": "image/jpeg", "preview.mp4": "video/mp4", "preview.webp": "image/webp"}


@pytest.fixture(params=["local", "minio"])
def server(request: pytest.FixtureRequest, tmp_path: Path, minio: Minio, bucket: str) -> Iterator[Server]:
    """A server of its own for each test: some kill it."""
    flags: tuple[str, ...] = ("--previews",)
    keys: dict[str, str] = {}
    if request.param == "minio":
        keys = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
        flags += ("--store", f"s3://{bucket}/media", "--s3-endpoint", minio.endpoint)
    with serving(tmp_path / "data", *flags, env=keys) as server:
        yield server


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Server]:
    """A server on local files."""
    with serving(tmp_path / "data", "--previews") as server:
        yield server


def upload(server: Server, name: str, content: bytes) -> str:
    """Upload a file in one request; its id."""
    fields = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(content)),
        "Upload-Metadata": f"filename {b64encode(name.encode()).decode()}",
        "Content-Type": "application/offset+octet-stream",
    }
    answer = httpx.post(server.files, content=content, headers=fields, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rpartition("/")[2]


def medium(server: Server, slug: str) -> dict[str, Any]:
    """What is told of a medium; nothing where there is none."""
    answer = httpx.get(f"{server.url}/api/media/{slug}")
    return answer.json() if answer.status_code == 200 else {"processing": [{"state": "wanted"}]}


def made(server: Server, slug: str) -> dict[str, Any]:
    """The medium, once nothing more is to be made of it."""
    eventually(lambda: not [each for each in medium(server, slug)["processing"] if each["state"] == "wanted"], PATIENCE)
    return medium(server, slug)


def workers(server: Server) -> list[int]:
    """The processes that the server has started."""
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def all_workers(data: Path) -> list[int]:
    """Every jobs process that has the database in this folder open."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            files = {os.readlink(file) for file in (process / "fd").iterdir()} if process.name.isdigit() else set()
        except OSError:  # it has ended
            continue
        if str(data / "jobs.db") in files:
            found.append(int(process.name))
    return found


def steps_done(data: Path) -> int:
    """How many steps of jobs DBOS knows of that are done."""
    if not (data / "jobs.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{data / 'jobs.db'}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM operation_outputs").fetchone()[0])
        except sqlite3.OperationalError:  # it is just being made
            return 0


def tone(seconds: int) -> bytes:
    """A WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(array.array("h", [(n % 80 - 40) * 700 for n in range(8000 * seconds)]).tobytes())
    return out.getvalue()


def test_an_archive_of_frames_gets_a_sheet_and_previews(server: Server) -> None:
    """All of it can be shown, is small beside the archive, and goes with its medium."""
    upload(server, "film.zip", frames_archive().read_bytes())
    film = made(server, "big-buck-bunny")
    contents = {}
    for kind, media_type in OF_FRAMES.items():
        answer = httpx.get(server.url + film["derived"][kind])
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        contents[kind] = answer.content
    assert sum(map(len, contents.values())) <= 0.03 * film["size"]
    with av.open(io.BytesIO(contents["preview.mp4"]), "r") as preview:
        shown = sum(1 for _ in preview.decode(video=0))
        assert shown == FRAMES
        assert abs((preview.duration or 0) / av.time_base - film["duration"]) < 0.2
    with Image.open(io.BytesIO(contents["preview.webp"])) as loop:
        assert getattr(loop, "n_frames", 1) > 10
        assert abs(loop.width / loop.height - WIDTH / HEIGHT) < 0.05
    with Image.open(io.BytesIO(contents["sheet.jpg"])) as sheet:
        assert sheet.width > WIDTH
    assert httpx.delete(f"{server.url}/api/media/{film['slug']}").status_code == 204
    eventually(lambda: httpx.get(server.url + film["derived"]["sheet.jpg"]).status_code == 404)
    if server.data.joinpath("files").exists():  # else its bytes are in a bucket
        eventually(lambda: not [file for file in (server.data / "derived").rglob("*") if file.is_file()], PATIENCE)


def test_other_media_get_facts_and_a_picture(server: Server) -> None:
    """A film's and a picture's size, how long film and sound are, a poster, a waveform; and all of it is told."""
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((1200, 800)).save(picture, "PNG")
    upload(server, "bunny.mp4", FILM.read_bytes())
    upload(server, "tone.wav", tone(3))
    upload(server, "moon.png", picture.getvalue())
    film, sound, image = (made(server, slug) for slug in ("bunny", "tone", "moon"))
    assert (film["width"], film["height"], film["fps"], film["duration"]) == (1920, 1080, 24.0, 30.0)
    assert (sound["duration"], sound["width"]) == (3.0, None)
    assert (image["width"], image["height"], image["duration"]) == (1200, 800, None)
    for each, kind in ((film, "poster.jpg"), (sound, "waveform.png"), (image, "poster.jpg")):
        with Image.open(io.BytesIO(httpx.get(server.url + each["derived"][kind]).content)) as shown:
            assert max(shown.size) <= 800
    longest = httpx.get(f"{server.url}/api/media?sort=duration").json()["media"]
    assert [each["slug"] for each in longest][:2] == ["bunny", "tone"]


def test_what_cannot_be_read_says_so(local: Server) -> None:
    """Damaged media stay in the library, with a reason instead of a picture; nothing is tried again."""
    upload(local, "film.mp4", b"this is no film" * 100)
    upload(local, "sound.wav", tone(1)[:20])
    for slug, kind in (("film", "poster.jpg"), ("sound", "waveform.png")):
        (told,) = made(local, slug)["processing"]
        assert (told["kind"], told["state"]) == (kind, "failed")
        assert told["reason"]
        answer = httpx.get(f"{local.url}/media/{slug}/{kind}")
        assert answer.status_code == 404
        assert told["reason"] in answer.json()["detail"]


def test_an_ordinary_upload_starts_no_process(local: Server) -> None:
    """Nothing is to be done for it; nor for an archive without frames."""
    upload(local, "notes.txt", b"text")
    upload(local, "data.bin", os.urandom(1 << 20))
    upload(local, "process.wav", tone(1))  # the first that is
    eventually(lambda: len(workers(local)) == 1, PATIENCE)
    assert made(local, "process")["ready"] == ["waveform.png"]
    assert httpx.get(f"{local.url}/api/media/notes").status_code == 404


def test_without_previews_nothing_is_made(tmp_path: Path) -> None:
    """Also when there are media."""
    with serving(tmp_path / "data", "--no-previews") as server:
        upload(server, "tone.wav", tone(1))
        eventually(lambda: "slug" in medium(server, "tone"))
        assert medium(server, "tone")["processing"] == []
        assert workers(server) == []
        assert not (tmp_path / "data/jobs.db").exists()


def test_a_killed_server_takes_its_worker_along_and_makes_the_rest_later(server: Server) -> None:
    """In the middle of it, and again: at the end everything is there."""
    upload(server, "film.zip", frames_archive().read_bytes())
    eventually(lambda: bool(all_workers(server.data)), PATIENCE)
    for _ in range(2):
        server.kill()
        eventually(lambda: not all_workers(server.data))
        server.restart()
        eventually(lambda: bool(workers(server)), PATIENCE)
    assert sorted(made(server, "big-buck-bunny")["ready"]) == sorted(OF_FRAMES)


def test_a_killed_worker_goes_on_where_it_was(local: Server) -> None:
    """The server notices, and what was made before the kill is not made again."""
    upload(local, "film.zip", frames_archive().read_bytes())
    eventually(lambda: steps_done(local.data) >= 1, PATIENCE)
    (sheet,) = (local.data / "derived").rglob("*-sheet.jpg")
    before = sheet.stat().st_ino
    (worker,) = workers(local)
    os.kill(worker, signal.SIGKILL)
    assert sorted(made(local, "big-buck-bunny")["ready"]) == sorted(OF_FRAMES)
    assert sheet.stat().st_ino == before
    assert any("tried again" in line and "SIGKILL" in line for line in local.lines)


def test_a_broken_database_of_jobs_is_begun_anew(local: Server) -> None:
    """Nothing that matters is in it alone."""
    local.stop()
    (local.data / "jobs.db").write_bytes(b"this is no database" * 1000)
    local.restart()
    upload(local, "tone.wav", tone(1))
    assert made(local, "tone")["ready"] == ["waveform.png"]
    assert (local.data / "jobs.db.broken").exists()


def test_media_are_made_anew_when_somebody_asks(local: Server) -> None:
    """Of a file that has no index too."""
    upload(local, "tone.wav", tone(1))
    before = made(local, "tone")["processing"][0]["updated_at"]
    answer = httpx.post(f"{local.url}/api/media/tone/reprocess")
    assert answer.status_code == 202
    eventually(lambda: made(local, "tone")["processing"][0]["updated_at"] > before, PATIENCE)
    assert made(local, "tone")["ready"] == ["waveform.png"]
    assert httpx.get(local.url + medium(local, "tone")["derived"]["waveform.png"]).status_code == 200


def test_films_are_extracted_by_a_job(tmp_path: Path) -> None:
    """The folder that players read is there, written by the jobs process; without its medium it goes."""
    folder = tmp_path / "player"
    with serving(tmp_path / "data", "--extract-to", str(folder), "--no-previews") as server:
        upload(server, "film.zip", frames_archive().read_bytes())
        frames = folder / "big-buck-bunny/frames"
        eventually(frames.exists, PATIENCE)
        assert len(workers(server)) == 1
        assert len(list(frames.iterdir())) == FRAMES
        first = httpx.get(f"{server.url}/media/big-buck-bunny/frames/0.raw").content
        assert (frames / "00000.rgb").read_bytes() == first
        assert httpx.delete(f"{server.url}/api/media/big-buck-bunny").status_code == 204
        eventually(lambda: not frames.exists(), PATIENCE)
