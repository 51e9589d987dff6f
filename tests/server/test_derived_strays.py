"""What was made of uploads and is named by nobody is found and freed by `ferryman gc`; what is named or new stays."""

import asyncio
import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ferryman_cli import main
from ferryman_protocol.model import Phase
from ferryman_server.derived_strays import free_unnamed
from ferryman_server.media.derivatives import POSTER, place_of
from ferryman_server.reaper import SPARED, Report
from ferryman_server.state.media import Publication
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing_derived import FIRST, OTHERS, SECOND
from tests.server import derived_rig
from tests.server.bucket_folder import Bucket
from tests.server.data_folder import DataFolder, data_folder, id_of, record_of

DATA = b"some bytes"


async def published(folder: DataFolder, number: int) -> int:
    """The generation that an upload is made; it is a video."""
    await folder.add(record_of(number, Phase.COMPLETE, DATA), DATA)
    publication = Publication(
        upload_id=id_of(number),
        name=f"{number}.mp4",
        title=str(number),
        kind="video",
        size=len(DATA),
        content_type="video/mp4",
    )
    (made,) = await folder.state.library.publish([publication], 1.0)
    return made.generation


def left(path: Path) -> set[str]:
    """The names of all files of what was made."""
    return {file.name for file in path.glob("derived/*/*")}


def age(path: Path, names: Sequence[str]) -> None:
    """Let these be put there some hours ago."""
    then = time.time() - 2 * SPARED
    for name in names:
        (file,) = path.glob(f"derived/*/{name}")
        os.utime(file, (then, then))


def fill(path: Path) -> dict[str, str]:
    """A folder with what is named and what is not; the places by what they are."""

    async def work() -> dict[str, str]:
        async with data_folder(path) as folder:
            library, store = folder.state.library, folder.store
            first, second = await published(folder, 1), await published(folder, 2)
            named = await derived_rig.make(library, store, id_of(1), POSTER, generation=first)
            await derived_rig.record(library, id_of(2), POSTER, "wanted", generation=second)
            awaited = place_of(id_of(2), second, POSTER)
            older = place_of(id_of(1), 77, POSTER)
            for place in (awaited, older, FIRST, SECOND):
                store.derived.put(place, DATA)
            return {"named": named, "awaited": awaited, "older": older, "unknown": FIRST, "new": SECOND}

    places = asyncio.run(work())
    age(path, [place for what, place in places.items() if what != "new"])
    return places


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ferryman.toml of somebody else's is in the way."""
    monkeypatch.chdir(tmp_path)


def test_gc_frees_what_is_named_by_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run tells of it first. What is named, awaited or new stays."""
    places = fill(tmp_path / "data")
    assert main(["gc", "--dry-run"]) == 0
    told = capsys.readouterr().out
    for what in ("older", "unknown"):
        assert f"{places[what]}: made of what is not there any more, 10 B would be freed\n" in told
    assert told.endswith("Would free 20 B: 0 expired, 0 without a row, 0 old rows removed, 2 left over.\n")
    assert left(tmp_path / "data") == set(places.values())
    assert main(["gc"]) == 0
    assert "10 B freed\n" in capsys.readouterr().out
    assert left(tmp_path / "data") == {places[what] for what in ("named", "awaited", "new")}
    assert main(["gc"]) == 0
    assert capsys.readouterr().out == "There is nothing to clear away.\n"


def test_gc_frees_what_was_left_half_written(tmp_path: Path) -> None:
    """By a process that was killed; a dry run leaves it."""
    places = fill(tmp_path / "data")
    (file,) = (tmp_path / "data").glob(f"derived/*/{places['named']}")
    half = file.with_name(f"{file.name}.0123456789ab.new")
    half.write_bytes(b"half")
    age(tmp_path / "data", [half.name])
    main(["gc", "--dry-run"])
    assert half.exists()
    main(["gc"])
    assert not half.exists()
    assert file.exists()


async def test_what_could_not_be_freed_is_told(tmp_path: Path) -> None:
    """With the reason, and the rest is freed all the same."""
    failures = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def sync(descriptor: int) -> None:
        if failures:
            raise failures.pop()

    async with data_folder(tmp_path / "data") as folder:
        for place in (FIRST, SECOND):
            folder.store.derived.put(place, DATA)
        store, report = LocalStore(tmp_path / "data", sync_entries=sync), Report()
        await free_unnamed(folder.state.library, store, report, now=time.time() + 2 * SPARED)
        assert (report.failed, report.leftovers, report.freed) == (1, 1, len(DATA))
        assert [line for line in report.lines if "could not be freed: cannot delete" in line]
        assert not list(store.derived.places())


def test_doctor_and_status_count_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are neither uploads nor files without a row."""
    fill(tmp_path / "data")
    main(["doctor", "--verify", "--port", "0"])
    told = capsys.readouterr().out
    assert "read back 2 complete uploads" in told
    assert "without a row" not in told
    main(["status", "--port", "1"])
    assert "20 B" in capsys.readouterr().out


def test_gc_frees_it_in_a_bucket(place: Bucket) -> None:
    """The same rules, and no upload's object is touched."""

    async def work() -> None:
        async with place.folder() as folder:
            upload_id = await folder.add(record_of(1, Phase.COMPLETE, DATA), DATA)
            derived = derived_rig.files_of(folder.store)
            for name in (FIRST, OTHERS, place_of(upload_id, 1, POSTER)):
                derived.put(name, DATA)
            now, report = time.time(), Report()
            await free_unnamed(folder.state.library, folder.store, report, now=now)
            assert (report.leftovers, len(list(derived.places()))) == (0, 3)
            await free_unnamed(folder.state.library, folder.store, report, now=now + 2 * SPARED)
            assert (report.leftovers, report.freed, list(derived.places())) == (3, 30, [])
            assert [stray.upload_id for stray in folder.store.strays()] == [upload_id]

    asyncio.run(work())
