"""The page in a real Chromium: it loads, says what the server speaks, uploads, and resumes what was broken off."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.browser import see
from tests.support.process import Server, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import MIB, append, content, create

WHOLE: Final = content(24 * MIB, seed=53)  # much more than the kernel's buffers hold between browser and server
GIANT: Final = 64 * MIB  # bytes
DOWN: Final = 1.5  # seconds

# What the console says by itself about answers and breaks that these tests bring about.
BREAKS: Final = ("status of 409", "net::ERR_")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of these tests."""
    with serving(tmp_path_factory.mktemp("page") / "data", "--max-size", "1GiB") as running:
        yield running


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to choose."""
    path = tmp_path_factory.mktemp("films") / "film – 渡し船.zip"
    path.write_bytes(WHOLE)
    return path


def visit(url: str, scenario: str, *, expected: tuple[str, ...] = (), **task: Any) -> Any:
    """Play a scenario of node/page.mjs; what it saw. Fails when the console complained of anything unexpected."""
    return see("page.mjs", {"url": url, "scenario": scenario, **task}, expected=expected)


def assert_listed(server: Server, rows: list[dict[str, Any]], name: str, whole: bytes) -> None:
    """The newest upload of this name is listed as complete, and its link gives the bytes."""
    row = next(row for row in rows if row["cells"][0] == name)
    assert row["cells"][1:3] == ["complete", "100 %"]
    assert httpx.get(server.files + row["link"].rpartition("/")[2]).content == whole


def test_the_page_says_what_the_server_speaks(server: Server) -> None:
    """It loads without a complaint, and what it says comes from the server."""
    seen = visit(f"{server.url}/", "look")
    assert seen["title"] == "Ferryman"
    described = httpx.options(server.files).headers
    for field in ("tus-version", "tus-extension", "accept-patch", "accept-encoding", "upload-limit"):
        for word in described[field].split(","):
            assert word.strip() in seen["speaks"], field


def test_chosen_files_go_up_and_appear_in_the_list(server: Server, film: Path, tmp_path: Path) -> None:
    """A large file, a small one and an empty one."""
    small, empty = tmp_path / "small <b>.txt", tmp_path / "empty"
    small.write_bytes(b"small")
    empty.touch()
    seen = visit(f"{server.url}/", "upload", files=[str(film), str(small), str(empty)])
    for path in (film, small, empty):
        assert_listed(server, seen["rows"], path.name, path.read_bytes())
    assert seen["news"].endswith(": finished")


def test_resume_after_the_network_broke(server: Server, film: Path) -> None:
    """Three breaks, and nothing is asked of the person but to press Resume; a 409 is never shown."""
    with Proxy(server.port) as proxy:
        for position, cut in ((4 * MIB, Cut.RESET), (10 * MIB, Cut.FIN), (16 * MIB, Cut.RESET)):
            proxy.at(position, cut)
        seen = visit(f"{proxy.url}/", "resume", expected=BREAKS, file=str(film))
    assert proxy.carried_out == 3
    assert set(seen["said"]) <= {"the connection broke"}
    assert_listed(server, seen["rows"], film.name, WHOLE)


def test_resume_after_the_server_was_killed(film: Path, tmp_path: Path) -> None:
    """kill -9 and, after a while, a new start: Resume works as soon as the server is there again."""
    with serving(tmp_path / "data") as server, Proxy(server.port) as proxy:
        back = threading.Timer(DOWN, server.restart)

        def go_down() -> None:
            server.kill()
            back.start()

        proxy.at(12 * MIB, go_down)
        seen = visit(f"{proxy.url}/", "resume", expected=BREAKS, file=str(film))
        back.join()
        assert_listed(server, seen["rows"], film.name, WHOLE)
    assert seen["said"] != []
    assert set(seen["said"]) <= {"the connection broke", "the server cannot be reached"}


def test_pause_and_resume(server: Server, film: Path) -> None:
    """Pause ends the request; the server keeps what came, and Resume sends the rest."""
    paused = threading.Event()
    with Proxy(server.port) as proxy:
        proxy.at(8 * MIB, lambda: assert_set(paused))
        seen = visit(f"{proxy.url}/", "pause", expected=BREAKS, file=str(film))
        paused.set()
    row = next(row for row in seen["paused"] if row["cells"][1] == "receiving")
    assert 0 < int(row["cells"][2].removesuffix(" %")) < 100
    assert_listed(server, seen["rows"], film.name, WHOLE)


def assert_set(event: threading.Event) -> None:
    """Wait for it."""
    assert event.wait(60)


def test_the_page_looks_right_in_light_and_dark(server: Server, film: Path, tmp_path: Path) -> None:
    """Pictures for people to look at; here only that they differ, and that nothing sticks out sideways."""
    seen = visit(f"{server.url}/", "pictures", file=str(film), folder=str(tmp_path))
    assert not seen["overflowing"]
    taken = [Path(path) for path in seen["taken"]]
    assert [path.name for path in taken] == ["light.png", "dark.png", "narrow.png"]
    assert len({path.read_bytes() for path in taken}) == 3


def test_a_stale_patch_is_answered_while_a_large_body_is_being_sent(server: Server) -> None:
    """Both fetch and XMLHttpRequest get to read the 409 and its problem document, not a broken connection."""
    upload = create(server, "tus", length=GIANT)
    append(server, "tus", upload, 0, b"the beginning")
    seen = visit(f"{server.url}/", "patch", expected=BREAKS, upload=upload, offset=3, size=GIANT)
    for answer in (seen["fetched"], seen["asked"]):
        assert answer["status"] == 409, answer
        assert json.loads(answer["text"])["expected-offset"] == len(b"the beginning")


def test_another_loopback_origin_can_upload_and_read_every_header(server: Server) -> None:
    """A page served elsewhere on this machine may use both protocols, and may not read the list of uploads."""
    with Proxy(server.port) as elsewhere:
        expected = (*BREAKS, "status of 404", "/api/uploads")  # 404: the icon that a browser asks every origin for
        seen = visit(f"{elsewhere.url}/healthz", "abroad", expected=expected, endpoint=server.files)
    readable = {name: set(answer["headers"]) for name, answer in seen.items() if name != "list"}
    assert readable["described"] >= {"tus-version", "tus-extension", "tus-max-size", "accept-patch", "upload-limit"}
    assert readable["created"] >= {"location", "tus-resumable", "upload-expires"}
    assert readable["appended"] >= {"upload-offset", "tus-resumable", "upload-expires"}
    assert readable["asked"] >= {"upload-offset", "upload-length", "upload-metadata", "upload-expires"}
    assert readable["downloaded"] >= {"accept-ranges", "content-disposition", "etag"}
    assert readable["whole"] >= {"location", "upload-complete", "upload-limit", "upload-offset"}
    assert readable["known"] >= {"upload-complete", "upload-length", "upload-offset"}
    assert (seen["stale"]["status"], seen["stale"]["headers"]["upload-offset"]) == (409, "5")
    assert (seen["downloaded"]["text"], seen["deleted"]["status"]) == ("1234567890", 204)
    assert seen["list"] == "refused"
