"""The player on the page in a real Chromium: films, and what the browser plays by itself."""

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.archive import FILM
from tests.support.media_page import (
    COUNT,
    NONE_CHOSEN,
    archive,
    colour,
    colours,
    library,
    published,
    sound,
    visit,
    when,
)
from tests.support.process import Server, eventually, serving
from tests.zips.film import frames_folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of these tests: each film has a file name and a title of its own."""
    with serving(tmp_path_factory.mktemp("player") / "data") as running:
        yield running


def kept(server: Server, title: str) -> dict[str, Any]:
    """What the library says of a medium."""
    return next(medium for medium in library(server) if medium["title"] == title)


@pytest.mark.parametrize("suffix", ["", "png", "webp"])
def test_a_film_is_played_and_gone_about_in(server: Server, suffix: str) -> None:
    """It stands still until it is told to play; the keyboard does it all; each picture is that of its frame."""
    title = f"Colours as {suffix or 'raw'}"
    published(server, f"{title}.zip", colours(title, suffix))
    seen = visit(server.url, "plays", title=title, frames=COUNT)
    for name, n in {"first": 0, "second": 2, "back": 1, "last": COUNT - 1, "chosen": 5}.items():
        assert seen[name] == {"n": n, "size": [32, 24], "colour": list(colour(n))}, name
    stopped = seen["stopped"]
    assert 3 < stopped["n"] < COUNT
    assert stopped["colour"] == list(colour(stopped["n"]))
    assert (seen["still"], seen["running"]) == ("Play", "Pause")
    assert seen["said"] == f"2 of 0 to {COUNT - 1}, 0:00.08"
    assert seen["where"] == f"Frame {COUNT - 1} of 0–{COUNT - 1} · 0:01.95 of 0:02.00"
    assert kept(server, title)["views"] == 1


def test_a_film_starts_by_itself_where_motion_is_welcome(server: Server) -> None:
    """Nothing needs to be pressed; going back in the browser closes the player."""
    published(server, "off.zip", colours("Off by itself"))
    assert visit(server.url, "starts", title="Off by itself") == ""


def test_over_a_slow_network_frames_are_missed(server: Server) -> None:
    """The film goes on to its end with fewer of them, evenly, and never back."""
    frames = sorted(frames_folder().glob("frames/*"))
    said = json.loads((frames_folder() / "metadata.json").read_text())
    whole = archive({f"frames/{path.name}": path.read_bytes() for path in frames}, **said)
    published(server, "bunny.zip", whole)
    seen = visit(server.url, "slow", title="Big Buck Bunny", frames=len(frames), rate=150_000)
    passed = seen["passed"]
    assert passed == sorted(passed)
    assert passed[-1] == len(frames) - 1
    assert any(later - earlier > 1 for earlier, later in pairwise(passed))
    assert len(set(passed)) < len(frames)


def test_a_damaged_frame_is_passed_over(tmp_path: Path) -> None:
    """The film plays to its end; who looks at that frame is told that it cannot be shown."""
    bad = 20
    frames = {f"frames/{path.name}": path.read_bytes() for path in sorted(frames_folder("png").glob("frames/*"))}
    name = list(frames)[bad]
    frames[name] = frames[name][:60] + bytes(len(frames[name]) - 60)
    expected = (*NONE_CHOSEN, "status of 422")  # of the small picture of that frame, on every page that shows it
    with serving(tmp_path / "data") as server:
        published(server, "bunny.zip", archive(frames, width=160, height=90, format="png", fps=24, title="Bunny"))
        seen = visit(server.url, "damaged", expected=expected, title="Bunny", bad=bad, frames=len(frames))
    assert seen == {"pictures": 4, "trouble": f"frame {bad} cannot be shown", "after": ""}


def test_sounds_videos_and_pictures_are_shown_by_the_browser(server: Server) -> None:
    """Each with its own element; a video does not start by itself."""
    picture = io.BytesIO()
    Image.new("RGB", (60, 40), "navy").save(picture, "PNG")
    published(server, "bell.wav", sound(), "audio/wav")
    published(server, "meadow.mp4", FILM.read_bytes(), "video/mp4")
    published(server, "sea.png", picture.getvalue(), "image/png")
    seen = visit(server.url, "others", titles={"audio": "bell", "video": "meadow", "image": "sea"})
    assert {kind: tile.split() for kind, tile in seen["tiles"].items()} == {
        "audio": ["WAV", "Sound"],
        "video": ["MP4", "Video"],
        "image": ["PNG", "Picture"],
    }
    assert seen["seconds"] == 0.5
    assert seen["video"] == {"size": [1920, 1080], "playing": False}
    assert seen["image"] == {"size": [60, 40], "alt": "sea"}


def test_what_is_made_in_the_background_appears(tmp_path: Path) -> None:
    """Posters and waveforms when they are there, a film's preview while somebody points at it."""
    signal = tmp_path / "ready"
    with serving(tmp_path / "data", "--previews") as server:
        published(server, "colours.zip", colours())
        published(server, "meadow.mp4", FILM.read_bytes(), "video/mp4")
        eventually(lambda: all(medium["ready"] for medium in library(server)), 60)
        with when(signal, lambda: published(server, "bell.wav", sound(2.5), "audio/wav")):
            seen = visit(server.url, "derived", film="Colours", video="meadow", late="bell", signal=str(signal))
    assert seen["meadow"]["size"] == [640, 360]
    assert seen["meadow"]["badge"] == "Video"
    assert "30.0 s" in seen["meadow"]["facts"]
    assert seen["bell"]["size"] == [800, 120]
    assert seen["bell"]["badge"] == "Sound"
    assert seen["atRest"] == 0
    assert seen["preview"]["muted"]
    assert not seen["preview"]["hidden"]


def test_a_film_can_be_linked_to(server: Server) -> None:
    """The page opened at its address shows it; an address of nothing says so."""
    published(server, "linked.zip", colours("Linked to"))
    slug = kept(server, "Linked to")["slug"]
    seen = visit(server.url, "link", address=f"{server.url}/#play/{slug}", title="Linked to")
    assert seen["first"]["colour"] == list(colour(0))
    assert seen["gone"] is False
    assert seen["words"] == "There is no such medium or frame: There is no medium 'no-such-thing'."
