"""A server keeps a folder of plain files as its library is, whatever happened while it looked and while it did not."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from ferryman_server.media import extracting
from ferryman_server.media.atomic_folder import cleared
from ferryman_server.media.extracted import not_ours
from ferryman_server.media.extracting import Extractor
from ferryman_server.media.extraction import Extraction, ExtractionFailed
from ferryman_server.settings import Settings, contradictions
from tests.server.media.extraction_rig import described, extract, extraction, files
from tests.server.media_api_rig import SIZE, TUS, Rig, archive, ordinary, running, until
from tests.support.small_disk import can_mount, lasting_small_disk

LOOK = 0.01  # seconds
LEFT = ".ferryman-" + "a" * 26


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Where films are extracted to."""
    return tmp_path / "films"


@asynccontextmanager
async def serving(tmp_path: Path, **fields: Any) -> AsyncIterator[Rig]:
    """A server with its data in this folder, that extracts films beside them."""
    settings = Settings(**{"data": tmp_path / "data", "extract_to": tmp_path / "films", "durability": "os", **fields})
    async with running(settings) as rig:
        yield rig


@asynccontextmanager
async def beside(rig: Rig, films: Path) -> AsyncIterator[Extractor]:
    """Something that looks at everything all the time, of a server that does not extract."""
    house = rig.house
    extractor = Extractor(house.state.library, house.store, films, durable=False, look_again=LOOK)
    async with extractor.at_work(house.events):
        yield extractor


async def reached(look: Callable[[], object]) -> None:
    """Wait until it is so."""

    async def asked() -> bool:
        try:
            return bool(look())
        except OSError:  # it was replaced, or is not there yet
            return False

    await until(asked)


def frames(folder: Path) -> list[int]:
    """The first byte of each frame, by which the rig's are told apart."""
    return [content[0] for _, content in files(folder)]


def generation(folder: Path) -> Any:
    """Of which one it was made."""
    return described(folder)["generation"]


async def test_a_film_is_there_once_it_is_published(tmp_path: Path, films: Path) -> None:
    """Under its slug; other media have no folder."""
    async with serving(tmp_path) as rig:
        medium = await rig.medium("Some film.zip", archive(3, said={"title": "Some film"}))
        await rig.medium("a picture.png", b"no picture")
        await rig.upload(ordinary(), "documents.zip")
        await reached(lambda: frames(films / "some-film") == [0, 1, 2])
        assert described(films / "some-film")["title"] == "Some film"
        assert generation(films / "some-film") == medium["generation"]
    assert os.listdir(films) == ["some-film"]


async def test_a_newer_upload_takes_its_place(tmp_path: Path, films: Path) -> None:
    """And when that is deleted, the older one is there again."""
    async with serving(tmp_path) as rig:
        await rig.medium("film.zip", archive(3))
        await reached(lambda: frames(films / "film") == [0, 1, 2])
        newer = await rig.upload(archive(2, first=7), "film.zip")
        await reached(lambda: frames(films / "film") == [7, 8])
        assert (await rig.client.delete(f"/files/{newer}", headers=TUS)).status_code == 204
        await reached(lambda: frames(films / "film") == [0, 1, 2] and os.listdir(films) == ["film"])


async def test_a_deleted_medium_has_no_folder(tmp_path: Path, films: Path) -> None:
    """The others have."""
    async with serving(tmp_path) as rig:
        for name in ("one", "two"):
            await rig.medium(f"{name}.zip")
            await reached((films / name).exists)
        assert (await rig.client.delete("/api/media/one")).status_code == 204
        await reached(lambda: os.listdir(films) == ["two"])


async def test_one_that_is_no_film_any_more_has_no_folder(tmp_path: Path, films: Path) -> None:
    """An upload of the same name that holds no frames takes its place."""
    async with serving(tmp_path) as rig:
        await rig.medium("film.zip")
        await reached((films / "film").exists)
        await rig.upload(b"RIFF", "film.zip", filetype="audio/wav")
        await reached(lambda: os.listdir(films) == [])


async def test_an_archive_that_is_indexed_anew_is_extracted_anew(tmp_path: Path, films: Path) -> None:
    """It is another generation then; until it is there, the old files are."""
    async with serving(tmp_path) as rig:
        medium = await rig.medium("film.zip")
        await reached((films / "film").exists)
        assert (await rig.client.post("/api/media/film/reprocess")).status_code == 202
        await reached(lambda: generation(films / "film") > medium["generation"])
        assert frames(films / "film") == [0, 1, 2]


async def test_a_start_makes_up_for_what_was_missed(tmp_path: Path, films: Path) -> None:
    """What is missing, outdated, too much, and what a crash has left; a film that is right is left as it is."""
    async with serving(tmp_path, extract_to=None) as rig:
        for name in ("missing", "outdated", "right", "gone"):
            await rig.medium(f"{name}.zip")
    async with serving(tmp_path) as rig:
        await reached(lambda: sorted(os.listdir(films)) == ["gone", "missing", "outdated", "right"])
    shutil.rmtree(films / "missing")
    right = (films / "right").stat().st_ino
    os.rename(films / "gone", films / f"{LEFT}-was-gone")  # a process died in a very short moment
    (films / f"{LEFT[:-1]}b" / "frames").mkdir(parents=True)
    async with serving(tmp_path, extract_to=None) as rig:
        await rig.medium("outdated.zip", archive(1, first=9))
        assert (await rig.client.delete("/api/media/gone")).status_code == 204
    async with serving(tmp_path) as rig:
        await reached(lambda: sorted(os.listdir(films)) == ["missing", "outdated", "right"])
        await reached(lambda: frames(films / "outdated") == [9])
    assert (films / "right").stat().st_ino == right


async def test_the_film_that_the_player_shows_comes_first(tmp_path: Path) -> None:
    """It is what somebody waits for."""
    async with serving(tmp_path, extract_to=None) as rig:
        for n in range(5):
            await rig.medium(f"film-{n}.zip")
        assert (await rig.client.put("/api/media/active", json={"slug": "film-1"})).status_code == 200
    with structlog.testing.capture_logs() as logs:
        async with serving(tmp_path):
            await reached(lambda: len(told(logs, "a film was extracted")) == 5)
    assert told(logs, "a film was extracted") == ["film-1", "film-4", "film-3", "film-2", "film-0"]


def told(logs: list[Any], event: str) -> list[str]:
    """The films of which this was logged."""
    return [line["slug"] for line in logs if line["event"] == event]


async def test_a_renamed_medium_is_found_at_the_next_look(tmp_path: Path, films: Path) -> None:
    """Nobody tells of it."""
    async with serving(tmp_path, extract_to=None) as rig, beside(rig, films):
        await rig.medium("film.zip")
        await reached((films / "film").exists)
        assert (await rig.client.patch("/api/media/film", json={"slug": "other"})).status_code == 200
        await reached(lambda: os.listdir(films) == ["other"] and frames(films / "other") == [0, 1, 2])


async def test_a_folder_that_somebody_removes_comes_back(tmp_path: Path, films: Path) -> None:
    """All of it, with the folder that it was in."""
    async with serving(tmp_path, extract_to=None) as rig, beside(rig, films):
        await rig.medium("film.zip")
        await reached((films / "film").exists)
        os.rename(films, tmp_path / "away")
        await reached(lambda: frames(films / "film") == [0, 1, 2])


async def test_folders_of_others_are_left_alone(tmp_path: Path, films: Path) -> None:
    """A person's, a copy under another name, another server's: also where a film is to be. It is said once in the log,
    and the other films are extracted."""
    (films / "theirs").mkdir(parents=True)
    (films / "theirs" / "notes.txt").touch()
    extract(extraction(films / "another-server", 9))
    with structlog.testing.capture_logs() as logs:
        async with serving(tmp_path, extract_to=None) as rig, beside(rig, films):
            for name in ("film", "theirs", "another-server"):
                await rig.medium(f"{name}.zip")
            await reached((films / "film").exists)
            shutil.copytree(films / "film", films / "copy")
            extract(extraction(films / "last-server", 9))
            await reached(lambda: len(told(logs, "a film was not extracted, it is tried again")) == 2)
            await asyncio.sleep(0.1)  # a few more looks
    there = ["another-server", "copy", "film", "last-server", "theirs"]
    assert sorted(os.listdir(films)) == there
    assert os.listdir(films / "theirs") == ["notes.txt"]
    assert len(files(films / "another-server")) == len(files(films / "last-server")) == 9
    failures = {line["slug"]: line["error"] for line in logs if line["log_level"] == "warning"}
    assert "holds notes.txt, which ferryman did not put there" in failures.pop("theirs")
    assert "was extracted by another server" in failures.pop("another-server")
    assert failures == {}
    assert len(told(logs, "a film was not extracted, it is tried again")) == 2


async def test_what_is_damaged_is_told_and_holds_up_nobody(tmp_path: Path, films: Path) -> None:
    """The film's older files stay."""
    with structlog.testing.capture_logs() as logs:
        async with serving(tmp_path) as rig:
            await rig.medium("film.zip")
            await reached((films / "film").exists)
        async with serving(tmp_path, extract_to=None) as rig:
            upload_id = (await rig.medium("film.zip", archive(3, first=4)))["upload"]
        (stored,) = (tmp_path / "data" / "files").rglob(upload_id)
        stored.write_bytes(stored.read_bytes().replace(bytes([5]) * SIZE, bytes([6]) * SIZE))
        async with serving(tmp_path) as rig:
            await rig.medium("other.zip")
            await reached((films / "other").exists)
            assert told(logs, "a film was not extracted, it is tried again") == ["film"]
    assert frames(films / "film") == [0, 1, 2]
    (why,) = [line["error"] for line in logs if line["log_level"] == "warning"]
    assert why.startswith("frame 1 is not what was uploaded")


async def test_what_fails_again_and_again_is_tried_less_and_less(
    tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To find out that an archive is damaged takes reading it."""
    tries = list[float]()

    async def fails(extraction: Extraction, pool: Executor) -> None:
        tries.append(time.monotonic())
        raise ExtractionFailed("it is damaged")

    monkeypatch.setattr(extracting, "extracted", fails)
    async with serving(tmp_path, extract_to=None) as rig, beside(rig, films):
        await rig.medium("film.zip")
        await reached(lambda: len(tries) == 5)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert all(pause >= LOOK * 2**n for n, pause in enumerate(pauses))


@pytest.mark.parametrize("_", ["small disk"] if can_mount() else [])
async def test_a_full_disk_keeps_the_old_film(tmp_path: Path, _: str) -> None:
    """It is said in the log, once; when there is room, the film is extracted."""
    with lasting_small_disk(tmp_path / "disk", 4 << 20) as (_prefix, disk), structlog.testing.capture_logs() as logs:
        async with serving(tmp_path, extract_to=None) as rig, beside(rig, disk):
            await rig.medium("film.zip")
            await reached((disk / "film").exists)
            (disk / "ballast").write_bytes(bytes(3 << 20))
            await rig.medium("film.zip", archive(2, first=5))
            await reached(lambda: told(logs, "a film was not extracted, it is tried again"))
            await asyncio.sleep(0.1)  # a few more looks
            assert frames(disk / "film") == [0, 1, 2]
            (disk / "ballast").unlink()
            await reached(lambda: frames(disk / "film") == [5, 6])
    (why,) = [line["error"] for line in logs if line["log_level"] == "warning"]
    assert "make room" in why


async def test_a_place_that_cannot_be_used_is_told_once(tmp_path: Path, films: Path) -> None:
    """It may be a disk that is not there yet."""
    os.symlink(tmp_path / "no" / "disk", films)
    with structlog.testing.capture_logs() as logs:
        async with serving(tmp_path, extract_to=None) as rig, beside(rig, films):
            await rig.medium("film.zip")
            await reached(lambda: [line for line in logs if line["log_level"] == "warning"])
            await asyncio.sleep(0.1)  # a few more looks
            os.remove(films)
            await reached(lambda: frames(films / "film") == [0, 1, 2])
    assert len([line for line in logs if line["event"] == "films cannot be extracted, it is tried again"]) == 1


async def test_a_server_that_stops_leaves_nothing_half(tmp_path: Path, films: Path) -> None:
    """Whatever it is at; the next one does it."""
    async with serving(tmp_path, extract_to=None) as rig:
        await rig.medium("old.zip")
        await rig.medium("film.zip", archive(250))
    async with serving(tmp_path):
        await reached(lambda: os.listdir(films))
    cleared(films, not_ours)
    assert set(os.listdir(films)) <= {"film", "old"}
    async with serving(tmp_path):
        await reached(lambda: len(frames(films / "film")) == 250 and len(frames(films / "old")) == 3)
    assert sorted(os.listdir(films)) == ["film", "old"]


@pytest.mark.parametrize("place", ["data", "data/films", "elsewhere/../data/films"])
def test_the_data_folder_is_no_place_for_films(tmp_path: Path, place: str) -> None:
    """It is the server's own."""
    (told,) = contradictions(Settings(data=tmp_path / "data", extract_to=tmp_path / place))
    assert told.startswith("extract_to (")
    assert contradictions(Settings(data=tmp_path / "data", extract_to=tmp_path / "data2")) == []
