"""The media on the page in a real Chromium: what its tests upload, and the scenarios that the browser plays."""

import base64
import io
import json
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image

from tests.support.browser import see
from tests.support.process import Server, eventually
from tests.support.uploading import append, create, id_of

# What the console says by itself about answers that are as they should be: that no medium was chosen to be shown.
NONE_CHOSEN: Final = ("status of 404",)
COUNT: Final = 48  # frames of the film of colours
FPS: Final = 24


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
