"""Archives on the page in a real Chromium: frames as they arrive, and what becomes of archives."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.archive import FRAMES, HEIGHT, WIDTH, frames_archive
from tests.support.media_page import COUNT, NONE_CHOSEN, archive, colours, send, visit, when
from tests.support.process import Server, eventually, serving
from tests.support.proxy import Proxy
from tests.support.uploading import MIB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty library."""
    with serving(tmp_path / "data") as running:
        yield running


def test_frames_are_seen_while_the_archive_is_on_its_way(server: Server, tmp_path: Path) -> None:
    """Halfway, some are counted and shown; at the end all are there, in the library and in the player."""
    film, signal = frames_archive(), tmp_path / "seen"
    with Proxy(server.port) as proxy:
        proxy.at(12 * MIB, lambda: eventually(signal.exists, 30))
        task: dict[str, Any] = {"file": str(film), "name": film.name, "title": "Big Buck Bunny", "signal": str(signal)}
        seen = visit(proxy.url, "arrives", **task)
    assert seen["before"] is False
    halfway = re.fullmatch(r"([0-9]+) frames so far, ([0-9]+) % received", seen["halfway"]["words"])
    assert halfway is not None, seen
    assert 0 < int(halfway[1]) < FRAMES
    assert 0 < int(halfway[2]) < 100
    shown = [int(alt.removeprefix("Frame ")) for alt in seen["halfway"]["alts"]]
    assert shown == sorted(set(shown))
    assert max(shown) < FRAMES
    assert seen["halfway"]["library"] == []
    done = seen["done"]
    assert done["words"] == f"{FRAMES} frames, ready – Play"
    assert done["news"] == f"{film.name}: {FRAMES} frames, ready"
    assert done["facts"] == f"{FRAMES} frames · {WIDTH} × {HEIGHT} · 24 fps · 8.3 s · 23.1 MB"
    assert done["pictures"] == 24
    assert done["contact"][0] == [320, 180]
    assert done["contact"][1:] == [[80, 45]] * 5
    assert seen["first"]["size"] == [WIDTH, HEIGHT]


def test_a_bad_archive_says_why(server: Server, tmp_path: Path) -> None:
    """Its reason stands beside it and in the list of uploads, and is told to screen readers."""
    bad = archive({"frames/1.rgb": bytes(32), "frames/2.rgb": bytes(31)}, width=4, height=4, format="rgb565le", fps=25)
    signal = tmp_path / "ready"
    with when(signal, lambda: send(server, "bad.zip", bad)):
        seen = visit(server.url, "fate", name="bad.zip", signal=str(signal))
    reason = "no film: frames/2.rgb has 31 bytes; 4 × 4 × 2 = 32 are expected of rgb565le"
    assert seen["words"] == f"{reason} – Download"
    assert (seen["wrong"], seen["strip"], seen["library"]) == (True, False, [])
    assert seen["state"] == f"complete, {reason}"
    assert seen["news"] == f"bad.zip: {reason}"
    assert httpx.get(server.url + seen["link"]).content == bad


def test_an_ordinary_archive_is_not_called_wrong(server: Server, tmp_path: Path) -> None:
    """It is kept as a file, and what would make frames of it is told."""
    letters, signal = archive({"a.txt": b"a", "b.txt": b"b"}), tmp_path / "ready"
    with when(signal, lambda: send(server, "letters.zip", letters)):
        seen = visit(server.url, "fate", name="letters.zip", signal=str(signal))
    assert seen["words"].startswith("kept as an ordinary file: There is no metadata.json")
    assert (seen["wrong"], seen["state"]) == (False, "complete, kept as an ordinary file")


def test_without_the_stream_of_events_the_page_asks(server: Server, tmp_path: Path) -> None:
    """What others upload appears all the same."""
    signal = tmp_path / "ready"
    with when(signal, lambda: send(server, "colours.zip", colours())):
        expected = (*NONE_CHOSEN, "net::ERR_FAILED")
        seen = visit(server.url, "polls", expected=expected, name="colours.zip", title="Colours", signal=str(signal))
    assert seen == {"words": f"{COUNT} frames, ready – Play", "library": ["Colours"]}


def test_names_from_strangers_are_shown_as_text(server: Server, tmp_path: Path) -> None:
    """Markup in a title or a file name is what it is: characters."""
    title, name = "<img src=x onerror=hit=1>", "<b>bold.zip"
    signal = tmp_path / "ready"
    with when(signal, lambda: send(server, name, colours(title))):
        seen = visit(server.url, "markup", name=name, title=title, signal=str(signal))
    assert seen == {"question": f"Delete “{title}”?", "injected": [0, False]}
