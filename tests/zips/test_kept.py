"""What is kept in the cache: made once, whole, and never changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.zips.kept import cache, kept

Write = Callable[[Path, str], None]


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def a_file(path: Path, words: str) -> None:
    """Write a file that says `words`."""
    path.write_text(words)


def a_folder(path: Path, words: str) -> None:
    """Make a folder with such a file in it."""
    path.mkdir()
    (path / "file").write_text(words)


def said(path: Path) -> str:
    """What either of them says."""
    return (path / "file" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("write", [a_file, a_folder])
def test_it_is_made_once(write: Write) -> None:
    """The second time, what is there is found."""
    first = kept("place/thing", lambda path: write(path, "first"))
    assert first == cache() / "place/thing"
    assert kept("place/thing", lambda path: write(path, "second")) == first
    assert said(first) == "first"


@pytest.mark.parametrize("write", [a_file, a_folder])
def test_of_two_at_once_the_first_stays(write: Write) -> None:
    """Who comes second gets what the first has made, in full, and leaves nothing of its own."""

    def overtaken(path: Path) -> None:
        kept("thing", lambda other: write(other, "first"))
        write(path, "second")

    assert said(kept("thing", overtaken)) == "first"
    assert list(cache().iterdir()) == [cache() / "thing"]


def test_what_failed_leaves_nothing() -> None:
    """Half of a thing is never found: the next one makes it anew."""

    def failing(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        kept("thing", failing)
    assert list(cache().iterdir()) == []
    assert said(kept("thing", lambda path: a_file(path, "whole"))) == "whole"


def test_what_was_not_made_is_told() -> None:
    """A maker that makes nothing is not taken for one that was overtaken."""
    with pytest.raises(FileNotFoundError):
        kept("thing", lambda _: None)
