"""What people change of a medium over HTTP: all that an edit names, or nothing, and words for what cannot be."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferryman_server.json_content import MOST
from tests.server.media_api_rig import Rig, refused, running

MERGE = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


async def edited(rig: Rig, slug: str, fields: Any) -> httpx.Response:
    """The answer to an edit, of which everything that Python writes as JSON is sent, halves of surrogate pairs too."""
    return await rig.client.patch(f"/api/media/{slug}", content=json.dumps(fields), headers=JSON)


@pytest.mark.parametrize("headers", [JSON, MERGE, {"Content-Type": "Application/JSON; charset=utf-8"}])
async def test_an_edit_changes_what_it_names_and_nothing_else(rig: Rig, headers: dict[str, str]) -> None:
    """Title, slug, tags, favourite and rating, alone and together; the answer is the medium as it is now."""
    before = await rig.medium()
    answer = await rig.client.patch("/api/media/film", content=b'{"rating": 4.0}', headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {**before, "rating": 4, "updated_at": answer.json()["updated_at"]}
    changes = {"title": " Zwölf Monde ", "slug": "moons", "tags": [" b", "a"], "favourite": True}
    answer = await rig.client.patch("/api/media/film", json=changes)
    after = {**before, "rating": 4, "title": "Zwölf Monde", "slug": "moons", "tags": ["a", "b"], "favourite": True}
    told = answer.json()
    assert {name: told[name] for name in ("rating", "title", "slug", "tags", "favourite")} == {
        name: after[name] for name in ("rating", "title", "slug", "tags", "favourite")
    }
    assert told["frame_url"] == "/media/moons/frames/{n}?g=1"
    assert told["updated_at"] > before["updated_at"]
    assert await rig.get("/api/media/moons") == told
    refused(await rig.client.get("/api/media/film"), 404, "no-such-medium")


async def test_an_edit_that_names_nothing_changes_nothing(rig: Rig) -> None:
    """Not even the time of the last change."""
    before = await rig.medium()
    assert (await rig.client.patch("/api/media/film", json={})).json() == before


async def test_a_slug_belongs_to_one_medium(rig: Rig) -> None:
    """409 for another's; one's own may be said again."""
    await rig.medium("one.zip")
    await rig.medium("two.zip")
    document = refused(await rig.client.patch("/api/media/one", json={"slug": "two", "rating": 5}), 409, "slug-taken")
    assert document["detail"].startswith("there is a medium two already")
    assert (await rig.get("/api/media/one"))["rating"] == 0
    assert (await rig.client.patch("/api/media/one", json={"slug": "one"})).status_code == 200


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"titel": "x"}, "titel", "there is no field 'titel' here; is title meant?"),
    (
        {"colour": "x"},
        "colour",
        "there is no field 'colour' here; there are: title, slug, tags, favourite, rating",
    ),
    ({"title": 5}, "title", "title is 5; text is expected"),
    ({"title": None}, "title", "title is null; text is expected"),
    ({"title": " "}, "title", "title is empty; text is expected"),
    ({"title": "x" * 201}, "title", "title has 201 characters; at most 200 are taken"),
    ({"title": "a\nb"}, "title", "title is 'a\\nb'; text without control characters is expected"),
    ({"title": "\ud800"}, "title", "title is '\\ud800'; text without control characters is expected"),
    ({"slug": "Moon"}, "slug", "slug is 'Moon'; 1 to 80 characters of a-z, 0-9 and single hyphens"),
    ({"slug": "active"}, "slug", "slug is 'active'; "),
    ({"slug": "12-34"}, "slug", "slug is '12-34'; "),
    ({"slug": ["a"]}, "slug", "slug is a list; "),
    ({"tags": "a"}, "tags", "tags is 'a'; a list of text is expected"),
    ({"tags": None}, "tags", "tags is null; a list of text is expected"),
    ({"tags": ["a", 1]}, "tags", "tags[1] is 1; text is expected"),
    ({"tags": ["a", " "]}, "tags", "tags[1] is ' '; 1 to 60 characters are expected"),
    ({"tags": ["x" * 61]}, "tags", "1 to 60 characters are expected"),
    ({"tags": ["a\tb"]}, "tags", "no control characters among them"),
    ({"tags": ["é", "e\u0301"]}, "tags", "which is there already; each is expected once"),
    ({"tags": [str(n) for n in range(51)]}, "tags", "tags has 51 of them; at most 50 are taken"),
    ({"favourite": 1}, "favourite", "favourite is 1; true or false is expected"),
    ({"rating": 6}, "rating", "rating is 6; a whole number from 0 (none) to 5 is expected"),
    ({"rating": 2.5}, "rating", "rating is 2.5; a whole number"),
    ({"rating": True}, "rating", "rating is true; a whole number"),
    ({"rating": "3"}, "rating", "rating is '3'; a whole number"),
    ({"rating": 10**400}, "rating", "rating is Infinity; a whole number"),
]


@pytest.mark.parametrize(("fields", "field", "detail"), REFUSALS)
async def test_a_field_that_breaks_a_rule_is_named(rig: Rig, fields: dict[str, Any], field: str, detail: str) -> None:
    """With what stood there and what is expected; and nothing is changed, not what was right either."""
    before = await rig.medium()
    document = refused(await edited(rig, "film", {"favourite": True, **fields}), 422, "invalid-content")
    assert document["field"] == field
    assert detail in document["detail"]
    assert await rig.get("/api/media/film") == before


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "it is not JSON: it is empty"),
        (b'{"title": "a",}', "it is not JSON: line 1, column 15"),
        (b"[]", "it is an empty list; an object is expected"),
        (b'"title"', "it is 'title'; an object is expected"),
        (b"null", "it is null; an object is expected"),
        (b'{"rating": NaN}', "NaN is not JSON"),
        (b'{"rating": -Infinity}', "-Infinity is not JSON"),
        (b'{"title": "a", "title": "b"}', "'title' stands twice in one object"),
        (b'{"title": "\xff"}', "it is not UTF-8, see its byte 11"),
        (b"[" * 50_000, "too deep to be read"),
        (b"9" * 5000, "it is Infinity; an object is expected"),
    ],
)
async def test_content_that_is_no_object_is_told_why(rig: Rig, content: bytes, detail: str) -> None:
    """400, with the place where it goes wrong."""
    await rig.medium()
    answer = await rig.client.patch("/api/media/film", content=content, headers=JSON)
    assert detail in refused(answer, 400, "bad-request")["detail"]


async def test_content_of_another_type_is_not_looked_at(rig: Rig) -> None:
    """415 tells which are: a form of another site's page cannot send them."""
    await rig.medium()
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {}):
        answer = await rig.client.patch("/api/media/film", content=b'{"rating": 5}', headers=headers)
        refused(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"
        answer = await rig.client.put("/api/media/active", content=b'{"slug": "film"}', headers=headers)
        refused(answer, 415, "unsupported-media-type")
    coded = {**JSON, "Content-Encoding": "gzip"}
    answer = await rig.client.patch("/api/media/film", content=b'{"rating": 5}', headers=coded)
    refused(answer, 415, "unsupported-coding")
    assert answer.headers["accept-encoding"] == "identity"
    assert (await rig.get("/api/media/film"))["rating"] == 0


async def test_content_has_a_bound_whether_its_length_is_told_or_not(rig: Rig) -> None:
    """413 beyond 64 KiB; exactly so much is read."""
    await rig.medium()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MOST // 4096 + 1):
            yield b" " * 4096

    for content in (b" " * (MOST + 1), pieces()):
        refused(await rig.client.patch("/api/media/film", content=content, headers=JSON), 413, "content-too-large")
    whole = b'{"rating": 5}'.ljust(MOST)
    assert (await rig.client.patch("/api/media/film", content=whole, headers=JSON)).status_code == 200


REFUSED_AS = {400: (400, "bad-request"), 422: (422, "invalid-content")}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["title", "slug", "tags", "favourite", "rating"]) | st.text(max_size=5),
    JSON_VALUES | st.lists(st.text(max_size=3), max_size=3) | st.integers(0, 6),
    max_size=3,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=FIELDS | JSON_VALUES)
async def test_any_json_is_taken_or_refused_in_words(rig: Rig, fields: Any) -> None:
    """Never a mistake of the server; what is taken is what the medium then says."""
    if await rig.house.state.library.active() is None:
        await rig.client.put("/api/media/active", json={"slug": (await rig.medium())["slug"]})
    slug = (await rig.get("/api/media/active"))["slug"]
    answer = await edited(rig, slug, fields)
    if answer.status_code == 200:
        assert await rig.get(f"/api/media/{answer.json()['slug']}") == answer.json()
        for name, value in fields.items():
            if name in ("favourite", "rating", "slug"):
                assert answer.json()[name] == value
    else:
        assert refused(answer, *REFUSED_AS[answer.status_code])["detail"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(alphabet='{}[]":,0e.\\ud8tags', max_size=40).map(str.encode))
async def test_any_bytes_are_refused_in_words(rig: Rig, content: bytes) -> None:
    """So is what is no JSON at all, as an edit and as what is to be shown."""
    if await rig.house.state.library.get("film") is None:
        await rig.medium()
    for method, path in (("PATCH", "film"), ("PUT", "active")):
        answer = await rig.client.request(method, f"/api/media/{path}", content=content, headers=JSON)
        assert answer.status_code < 500, answer.text
