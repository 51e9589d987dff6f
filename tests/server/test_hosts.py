"""The names under which lists and figures are told."""

import httpx
import pytest

from ferryman_server.app import create_app
from ferryman_server.hosts import is_loopback
from ferryman_server.settings import Settings


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "::1"])
def test_loopback_names_are_known(name: str) -> None:
    """Only this machine can be meant by them."""
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["", "example.org", "localhost.example.org", "10.0.0.1", "127.0.0.1.example.org"])
def test_other_names_are_not_loopback(name: str) -> None:
    """Somebody else may have made them point here."""
    assert not is_loopback(name)


async def ask(settings: Settings, path: str, host: str) -> httpx.Response:
    """One GET, asked for under a name."""
    app = create_app(settings)
    async with (
        app.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        return await client.get(path, headers={"Host": host})


@pytest.mark.parametrize("path", ["/api/uploads", "/metrics"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:1080", "127.0.0.1.evil.example", ""])
async def test_on_loopback_a_foreign_name_is_told_nothing(path: str, host: str) -> None:
    """A page that made its own name point to this machine reads neither the list of uploads nor the figures."""
    answer = await ask(Settings(store="memory"), path, host)
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:ferryman:problem:unknown-host"
    assert "allowed_hosts" in answer.json()["remedy"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1080", "[::1]:1080", "uploads.example.org"])
async def test_known_names_are_answered(host: str) -> None:
    """Loopback names count, and those that the setting adds."""
    settings = Settings(store="memory", allowed_hosts=("uploads.example.org",))
    assert (await ask(settings, "/api/uploads", host)).status_code == 200


async def test_upload_urls_and_the_page_answer_under_any_name() -> None:
    """They tell nothing that the asker does not know."""
    settings = Settings(store="memory")
    assert (await ask(settings, "/", "evil.example")).status_code == 200
    assert (await ask(settings, f"/files/{'a' * 26}", "evil.example")).status_code == 404


async def test_a_server_on_a_network_answers_under_any_name_unless_told_otherwise() -> None:
    """Its operator has opened it; names are a matter of the network's own."""
    assert (await ask(Settings(store="memory", host="0.0.0.0"), "/api/uploads", "nas.local")).status_code == 200
    bound = Settings(store="memory", host="0.0.0.0", allowed_hosts=("nas.local",))
    assert (await ask(bound, "/api/uploads", "evil.example")).status_code == 421
    assert (await ask(bound, "/api/uploads", "NAS.local:80")).status_code == 200
