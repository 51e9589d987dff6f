"""Pages of the library over HTTP: every order, narrowed in every way, and words for what cannot be asked for."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.media_api_rig import Rig, archive, refused, running


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


@pytest.fixture
async def shelf(rig: Rig) -> Rig:
    """Three media: archives of 1 and 20 frames, and a picture."""
    await rig.medium("beta 10.zip", archive(1))
    await rig.medium("beta 9.zip", archive(20))
    await rig.medium("Alpha.png", b"x" * 500)
    for slug, edit in (
        ("beta-10", {"rating": 2, "tags": ["night", "blue"]}),
        ("beta-9", {"rating": 1, "favourite": True, "tags": ["night"]}),
        ("alpha", {"rating": 3}),
    ):
        assert (await rig.client.patch(f"/api/media/{slug}", json=edit)).status_code == 200
    for slug in ("alpha", "beta-10", "beta-10"):
        await rig.client.post(f"/api/media/{slug}/view")
    return rig


async def slugs(rig: Rig, query: str = "") -> list[str]:
    """Which media a listing has, in its order."""
    return [medium["slug"] for medium in (await rig.get(f"/api/media?{query}"))["media"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "alpha beta-9 beta-10"),
        ("sort=date", "alpha beta-9 beta-10"),
        ("sort=date&order=asc", "beta-10 beta-9 alpha"),
        ("sort=name", "alpha beta-9 beta-10"),
        ("sort=name&order=desc", "beta-10 beta-9 alpha"),
        ("sort=size", "beta-9 alpha beta-10"),
        ("sort=duration", "beta-9 beta-10 alpha"),
        ("sort=rating", "alpha beta-10 beta-9"),
        ("sort=views", "beta-10 alpha beta-9"),
        ("sort=views&order=asc", "beta-9 alpha beta-10"),
        ("tag=night&sort=name", "beta-9 beta-10"),
        ("tag=blue", "beta-10"),
        ("tag=none", ""),
        ("kind=image", "alpha"),
        ("kind=frames&sort=name", "beta-9 beta-10"),
        ("kind=audio", ""),
        ("favourite=true", "beta-9"),
        ("favourite=false&sort=name", "alpha beta-10"),
        ("search=BETA&sort=name", "beta-9 beta-10"),
        ("search=beta%20blue", "beta-10"),
        ("search=", "alpha beta-9 beta-10"),
        ("search=%00%22'*", ""),
        ("kind=frames&tag=night&favourite=false&search=10", "beta-10"),
    ],
)
async def test_the_library_comes_in_every_order_and_part(shelf: Rig, query: str, expected: str) -> None:
    """Names go up, all else goes down, unless it is said; what is narrowed twice is in both."""
    assert await slugs(shelf, query) == expected.split()


@pytest.mark.parametrize("query", ["sort=name", "sort=views&order=asc", "kind=frames&sort=size", "search=a"])
async def test_pages_make_up_the_whole(shelf: Rig, query: str) -> None:
    """One by one, each medium comes once, in the order of the whole; the last page has no next."""
    cursor, found = "", list[str]()
    while True:
        page = await shelf.get(f"/api/media?{query}&limit=1{cursor}")
        found += [medium["slug"] for medium in page["media"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={quote(page['next'])}"
    assert found == await slugs(shelf, query)
    assert len(found) > 1


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("sort=colour", "sort", "sort is 'colour'; one of name, date, size, duration, rating, views is expected"),
        ("order=up", "order", "order is 'up'; one of asc, desc is expected"),
        ("limit=0", "limit", "limit is '0'; a whole number from 1 to 500 is expected"),
        ("limit=501", "limit", "limit is '501'; a whole number"),
        ("limit=", "limit", "limit is ''; a whole number"),
        ("limit=-1", "limit", "limit is '-1'; a whole number"),
        ("limit=%C2%B2", "limit", "limit is '²'; a whole number"),
        ("limit=" + "9" * 5000, "limit", "a whole number from 1 to 500 is expected"),
        ("cursor=", "cursor", "leave it out to start anew"),
        ("cursor=%F0%9F", "cursor", "leave it out to start anew"),
        ("search=" + "x" * 201, "search", "search has 201 characters; at most 200 are taken"),
        ("tag=", "tag", "tag is ''; 1 to 60 characters are expected"),
        ("tag=a%0Ab", "tag", "no control characters among them"),
        ("kind=film", "kind", "kind is 'film'; one of frames, video, audio, image, file is expected"),
        ("favourite=1", "favourite", "favourite is '1'; one of true, false is expected"),
        ("favorite=true", "favorite", "there is no parameter 'favorite' here; there are: sort, order, limit"),
        ("sort=name&sort=size", "sort", "sort stands there twice; once is expected"),
    ],
)
async def test_what_cannot_be_asked_for_is_named(rig: Rig, query: str, parameter: str, detail: str) -> None:
    """400: which parameter, what stood there, what is expected."""
    document = refused(await rig.client.get(f"/api/media?{query}"), 400, "bad-request")
    assert document["parameter"] == parameter
    assert detail in document["detail"]


async def test_a_cursor_belongs_to_its_order(shelf: Rig) -> None:
    """In another order it would lead anywhere."""
    cursor = quote((await shelf.get("/api/media?sort=name&limit=1"))["next"])
    assert await slugs(shelf, f"sort=name&cursor={cursor}") == ["beta-9", "beta-10"]
    for order in ("sort=size", "sort=name&order=desc"):
        refused(await shelf.client.get(f"/api/media?{order}&cursor={cursor}"), 400, "bad-request")


WORDS = st.text(max_size=30) | st.sampled_from(["name", "asc", "true", "frames", "5", ""])
NAMES = st.sampled_from(["sort", "order", "limit", "cursor", "search", "tag", "kind", "favourite"]) | st.text(
    max_size=4
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.lists(st.tuples(NAMES, WORDS), max_size=4))
async def test_any_query_is_answered_or_refused_in_words(shelf: Rig, query: list[tuple[str, str]]) -> None:
    """Never a mistake of the server."""
    encoded = "&".join(f"{quote(name, errors='replace')}={quote(value, errors='replace')}" for name, value in query)
    answer = await shelf.client.get(f"/api/media?{encoded}")
    if answer.status_code != 200:
        assert refused(answer, 400, "bad-request")["parameter"] is not None


async def test_tags_are_listed_with_how_often_they_are_used(shelf: Rig) -> None:
    """Each once, in order; one that nothing has any more is gone."""
    told: dict[str, Any] = await shelf.get("/api/tags")
    assert told == {"tags": [{"tag": "blue", "media": 1}, {"tag": "night", "media": 2}]}
    await shelf.client.patch("/api/media/beta-10", json={"tags": []})
    assert await shelf.get("/api/tags") == {"tags": [{"tag": "night", "media": 1}]}
