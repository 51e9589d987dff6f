"""The library on the page in a real Chromium: its order, its pages, its looks."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.archive import frames_archive
from tests.support.media_page import library, published, send, sound, visit
from tests.support.process import Server, eventually, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty library."""
    with serving(tmp_path / "data") as running:
        yield running


def test_the_library_is_ordered_searched_and_changed(server: Server) -> None:
    """Order, search, favourites, the active one; nothing is deleted before the question was answered."""
    titles = ["Morning", "Evening", "Noon"]
    for title in titles:
        published(server, f"{title}.wav", sound(), "audio/wav")
    seen = visit(server.url, "library", titles=titles)
    one, two, three = titles
    assert seen["note"] == "Nothing here is called “no such thing”."
    assert seen["active"] == [one]
    assert seen["focused"] == "Cancel"
    assert seen["question"].startswith(f"Delete “{three}”?")
    assert f"{three}.wav" in seen["question"]
    assert seen["kept"] == sorted(titles)
    assert seen["news"] == f"{three}: deleted"
    assert seen["activeStill"] == [one]
    assert [(medium["title"], medium["favourite"]) for medium in library(server)] == [(two, False), (one, True)]
    assert httpx.get(f"{server.url}/api/media/active").json()["title"] == one


def test_a_long_library_comes_page_by_page(server: Server) -> None:
    """Each press of the button brings more, until all are there; focus goes to the first of the new ones."""
    names = [f"sound {n:02}" for n in range(60)]
    for name in names:
        send(server, f"{name}.wav", sound(0.01), "audio/wav")
    eventually(lambda: len(library(server)) == len(names))
    seen = visit(server.url, "pages", count=len(names))
    assert seen["counts"] == [24, 48, 60]
    assert sorted(seen["all"]) == names
    assert seen["focused"].endswith(seen["all"][24])


def test_the_library_and_the_player_look_right(server: Server, tmp_path: Path) -> None:
    """Pictures for people to look at; here only that they differ, and that nothing sticks out sideways."""
    published(server, "film.zip", frames_archive().read_bytes())
    published(server, "bell.wav", sound(), "audio/wav")
    seen = visit(server.url, "pictures", title="Big Buck Bunny", folder=str(tmp_path))
    assert not any(seen["overflowing"])
    assert len({Path(path).read_bytes() for path in seen["taken"]}) == 6
