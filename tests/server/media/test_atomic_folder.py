"""A folder that is replaced as a whole is the old one or the new one, whatever happens, and only ours is touched."""

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from ferryman_server.media import atomic_folder, folder_calls
from ferryman_server.media.atomic_folder import FolderRefused, cleared, removed, replaced
from tests.server.media.folder_rig import LEFT, MARK, Broken, breaks, others, put, put_while, refused, text

WAYS = ["at-once", "one-by-one"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which folders change places."""
    chosen: str = request.param
    if chosen == "one-by-one":
        monkeypatch.setattr(atomic_folder, "exchange", refused)
    return chosen


@pytest.mark.usefixtures("way")
def test_what_was_filled_is_there_and_nothing_else(tmp_path: Path) -> None:
    """It is made, made in the place of an empty folder, and replaced; nothing is left beside it."""
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "new", tmp_path / "empty"):
        put(target, "one")
        assert text(target) == "one"
        put(target, "two")
        assert text(target) == "two"
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]


def test_until_the_end_the_old_one_is_there(tmp_path: Path) -> None:
    """While it is filled, and where filling it fails."""
    target = tmp_path / "film"
    put(target, "old")
    seen: list[str | None] = []
    put_while(target, lambda: seen.append(text(target)))
    assert seen == ["old"]
    put(target, "old")
    with pytest.raises(Broken):
        put_while(target, breaks)
    assert text(target) == "old"
    assert os.listdir(tmp_path) == ["film"]


@pytest.mark.parametrize("before", ["old", "nothing"])
@pytest.mark.parametrize("way", WAYS)
def test_a_process_that_dies_anywhere_leaves_it_whole(tmp_path: Path, way: str, before: str) -> None:
    """At each line in turn: the old one or the new one is there, and the next process finds nothing left over. Where
    two names cannot be exchanged there may be none for a moment; then it is the old one that comes back."""
    command = [sys.executable, "-m", "tests.server.media.extraction_deaths", str(tmp_path / "films"), before, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    told = [tuple(each) for each in json.loads(done.stdout)]
    assert len(told) > 50
    assert {after for _, after, _ in told} == {before, "new"}
    assert all(left == ([] if after == "nothing" else ["film"]) for _, after, left in told)
    assert {(at_death, after) for at_death, after, _ in told if at_death != after} == (
        {("nothing", "old")} if (way, before) == ("one-by-one", "old") else set()
    )


def test_somebody_elses_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A folder that is not ours, a file, a link to a folder of ours, a place that does not exist, a disk."""
    theirs, file, link = tmp_path / "theirs", tmp_path / "file", tmp_path / "link"
    theirs.mkdir()
    (theirs / "notes.txt").write_text("mine")
    file.write_text("mine")
    put(tmp_path / "ours", "old")
    link.symlink_to(tmp_path / "ours")
    for target, why in (
        (theirs, "holds no mark"),
        (file, "is not a folder"),
        (link, "is a symbolic link"),
        (Path(f"{link}/"), "is a symbolic link"),
        (tmp_path / "no" / "film", "there is no folder"),
        (tmp_path / "file" / "film", "there is no folder"),
        (Path("/proc"), "is where a file system begins"),
        (Path("/"), "is where a file system begins"),
    ):
        with pytest.raises(FolderRefused, match=why):
            put(target, "new")
        with pytest.raises(FolderRefused, match=why):
            removed(target, others)
    assert (theirs / "notes.txt").read_text() == file.read_text() == "mine"
    assert text(link) == "old"
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "ours", "theirs"]


@pytest.mark.usefixtures("way")
def test_one_that_becomes_somebody_elses_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """It is looked at again before it is replaced."""
    target = tmp_path / "film"
    put(target, "old")
    with pytest.raises(FolderRefused):
        put_while(target, (target / MARK).unlink)
    assert text(target) == "old"
    assert os.listdir(tmp_path) == ["film"]


@pytest.mark.usefixtures("way")
def test_one_that_becomes_somebody_elses_at_the_last_moment_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more when it was taken out of its place."""
    target, checked = tmp_path / "film", atomic_folder.checked
    put(target, "old")

    def just_before(place: Path, ours: atomic_folder.Ours) -> Path:
        found = checked(place, ours)
        if len(os.listdir(tmp_path)) > 1:  # the new one is there: this is the last look
            (target / MARK).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(atomic_folder, "checked", just_before)
    with pytest.raises(FolderRefused):
        put(target, "new")
    assert text(target) == "old"
    assert os.listdir(tmp_path) == ["film"]


def test_permissions_stay(tmp_path: Path) -> None:
    """Who was allowed to read it is, and nobody else."""
    target = tmp_path / "film"
    put(target, "old")
    target.chmod(0o750)
    put(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o750


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    """Unfinished ones and old ones; what only looks like it is not."""
    (tmp_path / LEFT / "deep").mkdir(parents=True)
    put(tmp_path / f"{LEFT}-was-film", "old")
    put(tmp_path / "film", "new")
    kept = [f"{LEFT}a", ".ferryman-notes", ".ferryman"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / f"{LEFT[:-1]}b").write_text("a file")
    (tmp_path / f"{LEFT[:-1]}c").symlink_to(tmp_path / "film")
    put(tmp_path / "other", "one")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, f"{LEFT[:-1]}b", f"{LEFT[:-1]}c", "film", "other"])
    assert text(tmp_path / "film") == "new"


def test_what_was_moved_away_comes_back(tmp_path: Path) -> None:
    """A crash between two renames leaves no film: whoever works beside it next brings it back."""
    put(tmp_path / f"{LEFT}-was-film", "old")
    cleared(tmp_path, others)
    assert text(tmp_path / "film") == "old"
    assert os.listdir(tmp_path) == ["film"]


def test_what_was_moved_away_and_is_not_ours_stays(tmp_path: Path) -> None:
    """Where its place is taken and somebody has put something else there."""
    put(tmp_path / "film", "old")
    theirs = tmp_path / f"{LEFT}-was-film"
    theirs.mkdir()
    (theirs / "notes.txt").write_text("mine")
    put(tmp_path / "film", "new")
    assert text(tmp_path / "film") == "new"
    assert (theirs / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("way")
def test_what_is_under_way_is_not_left_over(tmp_path: Path) -> None:
    """Of two in the same place, neither takes the other's for what a crash has left."""
    with replaced(tmp_path / "one", others, durable=False) as fresh:
        (fresh / "deep").mkdir()
        put(tmp_path / "two", "two")
        (fresh / "deep" / "text").write_text("one")
        (fresh / MARK).touch()
    assert (text(tmp_path / "one"), text(tmp_path / "two")) == ("one", "two")


def test_one_that_another_program_has_locked_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever."""
    target = tmp_path / "film"
    put(target, "old")
    descriptor = os.open(target, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with monkeypatch.context() as patch:
        patch.setattr(atomic_folder, "PATIENCE", 0.05)
        with pytest.raises(FolderRefused, match="is locked by another program"):
            put(target, "new")
    assert text(target) == "old"
    ends = threading.Timer(0.05, os.close, [descriptor])
    ends.start()
    put(target, "new")
    ends.join()
    assert text(target) == "new"
    assert os.listdir(tmp_path) == ["film"]


def test_where_there_are_no_locks_nothing_is_taken_for_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be under way. The rest is as everywhere."""

    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    (tmp_path / LEFT).mkdir()
    put(tmp_path / "film", "old")
    put(tmp_path / "film", "new")
    assert text(tmp_path / "film") == "new"
    assert sorted(os.listdir(tmp_path)) == [LEFT, "film"]


@pytest.mark.usefixtures("way")
def test_many_at_once(tmp_path: Path) -> None:
    """Threads that replace the same folder again and again: in the end it is whole, and nothing is beside it."""
    target, failed = tmp_path / "film", list[BaseException]()

    def work(name: str) -> None:
        try:
            for n in range(20):
                put(target, f"{name}{n}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert text(target) in ("a19", "b19", "c19")
    cleared(tmp_path, others)
    assert os.listdir(tmp_path) == ["film"]


def test_a_reader_always_finds_one(tmp_path: Path) -> None:
    """It is there at every moment, and one who has opened it reads all of one and the same."""
    target, over, seen = tmp_path / "film", threading.Event(), list[str | None]()
    put(target, "0")

    def read() -> None:
        while not over.is_set():
            with opened(target) as folder:
                seen.append(folder("deep/text"))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(200):
        put(target, str(n))
    over.set()
    reader.join()
    assert set(seen) - {None} <= {str(n) for n in range(200)}


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[str], str | None]]:
    """What is in this very folder: None for what was removed with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def content(name: str) -> str | None:
        with suppress(FileNotFoundError), closing(open(name, opener=beneath)) as file:
            return file.read()
        return None

    def beneath(name: str, flags: int) -> int:
        return os.open(name, flags, dir_fd=descriptor)

    try:
        yield content
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("trusted", [True, False])
def test_all_of_it_is_synced_before_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool) -> None:
    """By one sync where that tells what went wrong, else each file and folder too; then the folder that it is in."""
    synced, target, fsync = list[str](), tmp_path / "film", os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        assert target.exists() == (synced[-1] == str(tmp_path))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(folder_calls, "tells_failures", lambda folder: trusted)
    monkeypatch.setattr(folder_calls, "sync_filesystem", lambda descriptor: synced.append("all"))
    put(target, "new", durable=True)
    alone = [] if trusted else ["", f"/{MARK}", "/deep", "/deep/text"]
    assert synced[0] == "all"
    assert synced[-1] == str(tmp_path)
    fresh = os.path.commonpath(synced[1:-1]) if alone else ""
    assert sorted(synced[1:-1]) == [fresh + name for name in sorted(alone)]


def test_a_disk_that_fails_to_sync_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not have been stored is never put in the place of what was."""
    target = tmp_path / "film"
    put(target, "old")

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folder_calls, "sync_filesystem", fails)
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        put(target, "new", durable=True)
    assert text(target) == "old"
    assert os.listdir(tmp_path) == ["film"]
