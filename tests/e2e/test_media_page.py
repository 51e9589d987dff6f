"""The media on the page in a real Chromium: frames as they arrive, the library, and the player."""

import base64
import io
import json
import re
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from PIL import Image

from tests.support.archive import FILM, FRAMES, HEIGHT, WIDTH, frames_archive
from tests.support.browser import see
from tests.support.process import Server, eventually, serving
from tests.support.proxy import Proxy
from tests.support.uploading import MIB, append, create, id_of
from tests.zips.film import frames_folder

# What the console says by itself about answers that are as they should be: that no medium was chosen to be shown.
NONE_CHOSEN: Final = ("status of 404",)
COUNT: Final = 48  # frames of the film of colours
FPS: Final = 24


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty library."""
    with serving(tmp_path / "data") as running:
        yield running


def visit(url: str, scenario: str, *, expected: tuple[str, ...] = NONE_CHOSEN, **task: Any) -> Any:
    """Play a scenario of node/media_page.mjs; what it saw. Fails when the console complained of anything else."""
    return see("media_page.mjs", {"url": f"{url}/", "scenario": scenario, **task}, expected=expected)


def send(server: Server, name: str, body: bytes, media_type: str = "") -> str:
    """Upload a file; the path of the upload."""
    pairs = {"filename": name, **({"filetype": media_type} if media_type else {})}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())
    path = create(server, "tus", "Content-Length: 0", f"Upload-Metadata: {metadata}", length=len(body))
    if body:
        assert append(server, "tus", path, 0, body).status == 204
    return path


def published(server: Server, name: str, body: bytes, media_type: str = "") -> None:
    """Upload a file, and wait until the library has it."""
    upload = id_of(send(server, name, body, media_type))
    eventually(lambda: upload in (medium["upload"] for medium in library(server)))


def library(server: Server) -> list[dict[str, Any]]:
    """All media."""
    media: list[dict[str, Any]] = httpx.get(f"{server.url}/api/media?limit=500").json()["media"]
    return media


@contextmanager
def when(signal: Path, act: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as the browser has left a sign, which it does within the `with`."""

    def wait_and_act() -> None:
        eventually(signal.exists, 30)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def archive(files: dict[str, bytes], /, **metadata: Any) -> bytes:
    """A ZIP of files with what is said of them."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        if metadata:
            made.writestr("metadata.json", json.dumps(metadata))
        for name, content in files.items():
            made.writestr(name, content)
    return whole.getvalue()


def colour(n: int) -> tuple[int, int, int]:
    """Of frame n of the film of colours."""
    return 5 * n, 255 - 5 * n, n


def colours(title: str = "Colours", suffix: str = "") -> bytes:
    """A film each frame of which has one colour of its own; raw, or exact pictures."""
    size = (32, 24)
    frames = {}
    for n in range(COUNT):
        if suffix:
            picture = io.BytesIO()
            Image.new("RGB", size, colour(n)).save(picture, suffix, lossless=True)
            frames[f"frames/{n:03}.{suffix}"] = picture.getvalue()
        else:
            frames[f"frames/{n:03}.rgb"] = bytes(colour(n)) * (size[0] * size[1])
    return archive(frames, width=size[0], height=size[1], format=suffix or "rgb888", fps=FPS, title=title)


def sound(seconds: float = 0.5) -> bytes:
    """A silent WAV."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(8000)
        made.writeframes(bytes(2 * int(8000 * seconds)))
    return whole.getvalue()


# -- as they arrive ---------------------------------------------------------------------------------------------------


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


# -- the player -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", "png", "webp"])
def test_a_film_is_played_and_gone_about_in(server: Server, suffix: str) -> None:
    """It stands still until it is told to play; the keyboard does it all; each picture is that of its frame."""
    published(server, "colours.zip", colours(suffix=suffix))
    seen = visit(server.url, "plays", title="Colours", frames=COUNT)
    for name, n in {"first": 0, "second": 2, "back": 1, "last": COUNT - 1, "chosen": 5}.items():
        assert seen[name] == {"n": n, "size": [32, 24], "colour": list(colour(n))}, name
    stopped = seen["stopped"]
    assert 3 < stopped["n"] < COUNT
    assert stopped["colour"] == list(colour(stopped["n"]))
    assert (seen["still"], seen["running"]) == ("Play", "Pause")
    assert seen["said"] == f"2 of 0 to {COUNT - 1}, 0:00.08"
    assert seen["where"] == f"Frame {COUNT - 1} of 0–{COUNT - 1} · 0:01.95 of 0:02.00"
    assert library(server)[0]["views"] == 1


def test_a_film_starts_by_itself_where_motion_is_welcome(server: Server) -> None:
    """Nothing needs to be pressed; going back in the browser closes the player."""
    published(server, "colours.zip", colours())
    assert visit(server.url, "starts", title="Colours") == ""


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


def test_a_damaged_frame_is_passed_over(server: Server) -> None:
    """The film plays to its end; who looks at that frame is told that it cannot be shown."""
    bad = 20
    frames = {f"frames/{path.name}": path.read_bytes() for path in sorted(frames_folder("png").glob("frames/*"))}
    name = list(frames)[bad]
    frames[name] = frames[name][:60] + bytes(len(frames[name]) - 60)
    published(server, "bunny.zip", archive(frames, width=160, height=90, format="png", fps=24, title="Bunny"))
    expected = (*NONE_CHOSEN, "status of 422")  # of the small picture of that frame
    seen = visit(server.url, "damaged", expected=expected, title="Bunny", bad=bad, frames=len(frames))
    assert seen == {"pictures": 4, "trouble": f"frame {bad} cannot be shown", "after": ""}


def test_sounds_videos_and_pictures_are_shown_by_the_browser(server: Server) -> None:
    """Each with its own element; a video does not start by itself."""
    picture = io.BytesIO()
    Image.new("RGB", (60, 40), "navy").save(picture, "PNG")
    published(server, "bell.wav", sound(), "audio/wav")
    published(server, "bunny.mp4", FILM.read_bytes(), "video/mp4")
    published(server, "sea.png", picture.getvalue(), "image/png")
    seen = visit(server.url, "others", titles={"audio": "bell", "video": "bunny", "image": "sea"})
    assert {kind: tile.split() for kind, tile in seen["tiles"].items()} == {
        "audio": ["WAV", "Sound"],
        "video": ["MP4", "Video"],
        "image": ["PNG", "Picture"],
    }
    assert seen["seconds"] == 0.5
    assert seen["video"] == {"size": [1920, 1080], "playing": False}
    assert seen["image"] == {"size": [60, 40], "alt": "sea"}


def test_a_film_can_be_linked_to(server: Server) -> None:
    """The page opened at its address shows it; an address of nothing says so."""
    published(server, "colours.zip", colours())
    slug = library(server)[0]["slug"]
    seen = visit(server.url, "link", address=f"{server.url}/#play/{slug}", title="Colours")
    assert seen["first"]["colour"] == list(colour(0))
    assert seen["gone"] is False
    assert seen["words"] == "There is no such medium or frame: There is no medium 'no-such-thing'."


# -- the library ------------------------------------------------------------------------------------------------------


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
