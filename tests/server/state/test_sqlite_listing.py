"""How the SQLite state finds pages of media: by indexes, and alike by each way that it may choose."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferryman_server.state import sqlite_filters, sqlite_listing
from ferryman_server.state.media import Edit, Medium, Selection, Sort
from ferryman_server.state.media_cursors import Key
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.sqlite_listing import ORDERS, fetch_page
from ferryman_server.state.sqlite_sessions import connect
from ferryman_server.state.testing_media_records import published_file
from ferryman_server.state.testing_selection import fits, place_of

SORTS: tuple[Sort, ...] = get_args(Sort)
WORDS = ("blue", "Blu", "sky", "skyline", "über", "x", "10", "2", "a-b", '"q"')
KINDS = ("video", "image")


async def _furnish(path: Path) -> list[Medium]:
    state = SqliteState(path, store_id="store", durable=False)
    await state.open()
    for number in range(60):
        title = " ".join(WORDS[number * step % len(WORDS)] for step in (1, 3, 7)[: 1 + number % 3])
        fields = {"title": title, "kind": KINDS[number % 7 == 0], "size": number % 4}
        told = await published_file(state, f"{number % 12}-{number}.bin", number // 5, **fields)
        await state.library.edit(told.slug, Edit(favourite=number % 5 == 0, tags=["t"] if number % 3 else []), 1.0)
    media = list((await state.library.listing(Selection(), 1000)).media)
    await state.close()
    return media


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, list[Medium]]]:
    """A database with sixty media that are much alike, and what it holds."""
    folder = tmp_path_factory.mktemp("media")
    media = asyncio.run(_furnish(folder / "state.db"))
    connection = connect(folder / "state.db", "rw")
    yield connection, media
    connection.close()
    shutil.rmtree(folder)


_sought = [*WORDS, "lu", "s", "bin", "-1", "ü", "q", "zz", "bluesky"]
_searches = st.none() | st.lists(st.sampled_from(_sought), max_size=3).map(" ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    selection=st.builds(
        Selection,
        sort=st.sampled_from(SORTS),
        descending=st.booleans(),
        search=_searches,
        tag=st.sampled_from([None, "t", "none"]),
        kind=st.sampled_from([None, *KINDS]),
        favourite=st.sampled_from([None, True, False]),
    ),
    small=st.sampled_from([-1, 10, 5000]),
    near=st.sampled_from([0, 7, 1000]),
    threes=st.sampled_from([0, 2, 64]),
    docs=st.sampled_from([0, 40, 50_000]),
    start=st.integers(0, 59),
    limit=st.integers(1, 20),
)
def test_every_way_finds_the_same_page(
    furnished: tuple[sqlite3.Connection, list[Medium]],
    selection: Selection,
    small: int,
    near: int,
    threes: int,
    docs: int,
    start: int,
    limit: int,
) -> None:
    """Whether a set is looked up, the next media are asked or the order is walked, whether words are found by threes or
    not: the page is what a person with a list and a pencil would write."""
    connection, media = furnished

    def place(medium: Medium) -> tuple[tuple[str, float], int]:
        return place_of(medium, selection.sort), medium.id

    ordered = sorted(media, key=place, reverse=selection.descending)
    behind = ordered[start]
    text, number = place_of(behind, selection.sort)
    key = text if selection.sort == "name" else number
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_listing, "SMALL", small)
        patch.setattr(sqlite_listing, "NEAR", near)
        patch.setattr(sqlite_filters, "MOST_THREES", threes)
        patch.setattr(sqlite_filters, "MOST_OF_THREES", docs)
        page = fetch_page(connection, selection, limit, (key, behind.id))
    expected = [medium for medium in ordered[start + 1 :] if fits(medium, selection)]
    assert list(page.media) == expected[:limit]
    assert (page.next is not None) is (len(expected) > limit)


def plan_of(connection: sqlite3.Connection, selection: Selection, after: Key | None = None) -> list[str]:
    """How SQLite goes about the statements of a page."""
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    fetch_page(connection, selection, 50, after)
    connection.set_trace_callback(None)
    statements = [text for text in seen if not text.startswith("--")]  # those are the search index's own
    return [row[3] for text in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_are_stretches_of_an_index(
    furnished: tuple[sqlite3.Connection, list[Medium]], sort: Sort, descending: bool
) -> None:
    """No order sorts the table, and a page behind a key begins there, also among many that are alike."""
    connection, _ = furnished
    selection = Selection(sort=sort, descending=descending)
    index, column = ORDERS[sort]
    assert f"SCAN media USING COVERING INDEX {index}" in plan_of(connection, selection)
    plan = plan_of(connection, selection, ("" if sort == "name" else 1, 5))
    sign = "<" if descending else ">"
    for seek in (f"{column}=? AND rowid{sign}?", f"{column}{sign}?"):
        assert f"SEARCH media USING COVERING INDEX {index} ({seek})" in plan


@pytest.mark.parametrize("sort", SORTS)
def test_sets_are_made_of_indexes(
    furnished: tuple[sqlite3.Connection, list[Medium]], monkeypatch: pytest.MonkeyPatch, sort: Sort
) -> None:
    """Where none is small and the next media do not do, the order's index is walked, and no row is read for a set."""
    connection, _ = furnished
    selection = Selection(sort=sort, search="blue", tag="t", kind="video", favourite=True)
    index, _ = ORDERS[sort]
    assert not any(index in step for step in plan_of(connection, selection))
    monkeypatch.setattr(sqlite_listing, "SMALL", -1)
    monkeypatch.setattr(sqlite_listing, "NEAR", 0)
    plan = plan_of(connection, selection)
    assert f"SCAN media USING INDEX {index}" in plan
    assert "SEARCH media USING COVERING INDEX media_by_kind (kind=?)" in plan
    assert "SEARCH tags USING COVERING INDEX tags_by_tag (tag=?)" in plan
    assert "SEARCH media USING COVERING INDEX media_favourites (favourite=?)" in plan
    assert any(step.startswith("SCAN media_search VIRTUAL TABLE") for step in plan)
    assert not any(step in ("SCAN media", "SCAN tags") for step in plan)
