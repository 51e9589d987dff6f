"""Which URLs are uploads' business, and which are the rest of the server's."""

import httpx
import pytest

from ferryman_server.app import create_app
from ferryman_server.settings import Settings


async def ask(method: str, path: str) -> httpx.Response:
    """One request to a server of its own."""
    app = create_app(Settings(store="memory"))
    async with (
        app.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        return await client.request(method, path)


@pytest.mark.parametrize(
    "path", ["/files", "/files/", f"/files/{'a' * 26}", "/files/no/such", "/files//", "/files/%0A"]
)
async def test_everything_below_files_is_answered_by_the_protocols(path: str) -> None:
    """Their OPTIONS describes them, and their answers differ by Origin."""
    answer = await ask("OPTIONS", path)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", ["/files/no/such", "/files//", "/files/%0A", f"/files/{'a' * 27}"])
async def test_what_is_no_id_names_no_upload(path: str) -> None:
    """Refused in the words of the protocols."""
    answer = await ask("HEAD", path)
    assert answer.status_code == 404
    assert answer.headers["upload-complete"] == "?0"


@pytest.mark.parametrize("path", ["/filesystem", "/file", "/nothing", "/api/files/"])
async def test_what_only_looks_like_it_is_not(path: str) -> None:
    """Nothing is there, and nothing is said to other origins."""
    answer = await ask("GET", path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:ferryman:problem:not-found"
    assert "vary" not in answer.headers
