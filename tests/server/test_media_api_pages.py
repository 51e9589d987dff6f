"""Pages of other sites change nothing, whatever a browser sends for them; everybody else does."""

from collections.abc import AsyncIterator

import httpx
import pytest

from ferryman_protocol.headers import Headers
from ferryman_protocol.problems import Refused
from ferryman_server.own_pages import refuse_foreign_pages
from ferryman_server.settings import Settings
from tests.server.media_api_rig import Rig, refused, running

OURS = "http://127.0.0.1"
CHANGES = [
    ("PATCH", "/api/media/film", {"rating": 5}),
    ("POST", "/api/media/film/view", None),
    ("POST", "/api/media/film/reprocess", None),
    ("PUT", "/api/media/active", {"slug": "film"}),
    ("POST", "/api/uploads/{}/reprocess", None),
    ("DELETE", "/api/media/film", None),
]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application that lets pages of any site upload."""
    async with running(Settings(store="memory", cors_origins=("*",))) as made:
        yield made


async def changes(rig: Rig, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
    """The answers to every change of a medium that is there."""
    medium = await rig.medium()
    for method, path, content in CHANGES:
        yield await rig.client.request(method, path.format(medium["upload"]), json=content, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
    ],
    ids=str,
)
async def test_a_page_of_another_site_changes_nothing(rig: Rig, headers: dict[str, str]) -> None:
    """403 in words, also where it may upload."""
    async for answer in changes(rig, headers):
        document = refused(answer, 403, "foreign-page")
        assert "another site" in document["detail"] or headers["Origin"] in document["detail"]
    medium = await rig.get("/api/media/film")
    assert (medium["rating"], medium["views"], medium["generation"]) == (0, 0, 1)
    refused(await rig.client.get("/api/media/active"), 404, "no-such-medium")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": OURS},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://films.example.org"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": OURS},
        {"Origin": "HTTP://LOCALHOST:1080", "Host": "localhost:1080"},
        {"Origin": "https://localhost", "Host": "localhost:443"},
        {"Origin": "http://localhost:1080", "Host": "LocalHost:1080"},
        {"Origin": "http://[::1]:1080", "Host": "[::1]:1080"},
    ],
    ids=str,
)
async def test_programs_and_pages_of_the_server_change_things(rig: Rig, headers: dict[str, str]) -> None:
    """Those that name no site, and those whose site is the server's own."""
    async for answer in changes(rig, headers):
        assert answer.status_code in (200, 202, 204), answer.text


@pytest.mark.parametrize("origin", ["null", "", "http://", "localhost"])
def test_an_origin_that_names_no_site_is_not_ours(origin: str) -> None:
    """Not even where the request names no host."""
    with pytest.raises(Refused, match="foreign-page"):
        refuse_foreign_pages(Headers((("origin", origin),)))


async def test_reading_needs_no_proof(rig: Rig) -> None:
    """A foreign page cannot read an answer anyway, and a link from anywhere may be followed."""
    await rig.medium()
    assert (await rig.client.get("/api/media", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
    assert (await rig.client.head("/api/media/film", headers={"Origin": "http://evil.example"})).status_code == 200
