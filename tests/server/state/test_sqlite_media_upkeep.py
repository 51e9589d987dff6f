"""What media cost the SQLite state's uploads, and what is left of media that are gone."""

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import Lease
from ferryman_server.state.media import Derived, Edit, Group, Thumb
from ferryman_server.state.rows import COLUMNS, to_row
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.sqlite_schema import migrations
from ferryman_server.state.sqlite_sessions import connect
from ferryman_server.state.sqlite_writes import Insert, Update, prepare, write
from ferryman_server.state.testing_media_records import (
    a_file,
    a_film,
    end,
    entry,
    indexed,
    published,
    published_file,
    slugs,
    to_phase,
    upload_in,
)
from ferryman_server.state.testing_records import new_record

MEDIA = (
    *("archives", "entries", "frames", "thumbs", "media", "tags", "generations", "derived", "waiting"),
    *("leftover_uploads", "media_to_forget"),
)
"""The tables whose rows end with what they belong to."""


async def on_writer(state: SqliteState, query: str, values: Any = ()) -> list[Any]:
    """What the writing connection says to a query."""
    assert state._writer is not None
    rows: list[Any] = await state._writer.submit(lambda connection: connection.execute(query, values).fetchall())
    return rows


async def rows_of_media(state: SqliteState) -> dict[str, int]:
    """How many rows each table of media has, if any."""
    counts = {table: (await on_writer(state, f"SELECT count(*) FROM {table}"))[0][0] for table in MEDIA}
    return {table: count for table, count in counts.items() if count}


def test_writing_an_upload_prepares_for_no_virtual_table(tmp_path: Path) -> None:
    """The search index is out of reach of every upload's write: reaching it would have each commit look after it."""
    connection = connect(tmp_path / "state.db", "rwc")
    for script in migrations():
        connection.executescript(script)
    prepare(connection)
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    record = new_record(phase=Phase.COMPLETE)
    write(connection, [Insert(record), Update(record, Lease(upload_id=record.upload.id, fence=1))])
    connection.set_trace_callback(None)
    operations = {row[1] for row in connection.execute(f"EXPLAIN {seen[0]}")}
    assert "Program" in operations  # the triggers are there
    assert not operations & {"VBegin", "VUpdate"}
    connection.close()


@pytest.mark.parametrize("phase", [Phase.TERMINATED, None])
async def test_nothing_is_left_of_what_has_ended(state: SqliteState, phase: Phase | None) -> None:
    """When the last upload is over, not a row of all that came of them is there; only bytes that are to be freed."""
    uploads = [await indexed(state) for _ in range(4)]
    for upload_id in uploads[:3]:
        await state.archives.advance(upload_id, offset=9000, checkpoint="x", now=3.0, thumbs=[Thumb(0, b"jpeg")])
        told = await published(state, a_film(upload_id, derived=["poster"]))
    ready = Derived(upload_id=uploads[2], kind="poster", state="ready", place="p/1", size=1, content_type="image/jpeg")
    await state.library.put_derived(told.generation, [ready])
    await state.library.edit("a-film", Edit(tags=["x", "y"]), 4.0)
    await state.library.set_active("a-film")
    await state.library.publish([a_file(uploads[3])], 5.0, Group("trip", 2))
    deleted = await published_file(state, "other.txt")
    await state.library.delete(deleted.slug)
    assert set(await rows_of_media(state)) == set(MEDIA)
    for upload_id in (*uploads, deleted.upload_id):
        await end(state, upload_id, phase)
    assert await rows_of_media(state) == {"media_to_forget": 2}
    assert (await state.library.leftovers(9)).places == ("p/1",)
    assert await on_writer(state, "PRAGMA foreign_key_check") == []


async def test_search_forgets_what_is_gone(state: SqliteState) -> None:
    """It finds nothing by what is gone, and with the next medium its index is exactly what it should be."""
    check = "INSERT INTO media_search (media_search, rank) VALUES ('integrity-check', 1)"
    told = [await published_file(state, f"{number}.txt", title="Same") for number in range(5)]
    await on_writer(state, check)
    await state.library.edit(told[0].slug, Edit(title="Other"), 1.0)
    await on_writer(state, check)
    await state.library.delete(told[1].slug)
    await to_phase(state, told[2].upload_id, Phase.TERMINATED)
    assert await slugs(state, search="same") == ["same-4", "same-5"]
    await published_file(state, "new.txt", title="Same")
    await on_writer(state, check)
    assert await on_writer(state, "SELECT count(*) FROM media_search WHERE media_search MATCH 'sam'") == [(3,)]
    assert "media_to_forget" not in await rows_of_media(state)


async def test_many_entries_are_few_statements(state: SqliteState) -> None:
    """Each statement gives the interpreter lock up, and a busy event loop is slow to hand it back."""
    upload_id = await upload_in(state)
    await state.archives.begin(upload_id, 1.0)
    seen: list[str] = []
    assert state._writer is not None
    await state._writer.submit(lambda connection: connection.set_trace_callback(seen.append))
    entries = [entry(number) for number in range(5000)]
    await state.archives.advance(upload_id, offset=1, checkpoint=None, now=2.0, entries=entries)
    statements = [text for text, _ in itertools.groupby(seen)]
    assert sum(text.startswith("INSERT") for text in statements) <= 30
    assert list(await state.archives.entries(upload_id)) == entries


async def test_frames_are_found_by_their_numbers(state: SqliteState) -> None:
    """One frame of a hundred thousand costs as little as one of three, and so does saying which are frames."""
    upload_id = await indexed(state)
    seen: list[str] = []
    for thread in (state._writer, state._reader):
        assert thread is not None
        await thread.submit(lambda connection: connection.set_trace_callback(seen.append))
    await published(state, a_film(upload_id))
    await state.library.frame("a-film", 1)
    plans = [await on_writer(state, f"EXPLAIN QUERY PLAN {text}") for text in list(seen) if "frames CROSS" in text]
    assert [[step[3] for step in plan] for plan in plans] == [
        [
            "SEARCH frames USING PRIMARY KEY (archive_id=? AND n>? AND n<?)",
            "SEARCH entries USING PRIMARY KEY (archive_id=? AND number=?)",
        ]
    ]
    writing = [await on_writer(state, f"EXPLAIN QUERY PLAN {text}") for text in list(seen) if "INTO frames" in text]
    assert [plan[-1][3] for plan in writing] == ["SEARCH entries USING PRIMARY KEY (archive_id=? AND number=?)"]


async def test_database_without_media_is_brought_up(tmp_path: Path) -> None:
    """Contents that were kept for redo are there, and end with their uploads as before; what is complete can be
    published."""
    record = new_record(phase=Phase.COMPLETE, offset=100)
    connection = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    connection.executescript(f"{' '.join(migrations()[:3])} PRAGMA user_version = 3;")
    names, places = ", ".join(f'"{name}"' for name in COLUMNS), ", ".join("?" * len(COLUMNS))
    connection.execute(f"INSERT INTO uploads ({names}) VALUES ({places})", to_row(record))
    connection.execute("INSERT INTO redo VALUES (?, ?)", (record.upload.id, b"content"))
    connection.close()
    state = SqliteState(tmp_path / "state.db", store_id="store")
    await state.open()
    assert list(await state.redo(9)) == [(record.upload.id, b"content")]
    await published(state, a_file(record.upload.id))
    await to_phase(state, record.upload.id, Phase.TERMINATED)
    assert list(await state.redo(9)) == []
    assert await state.library.get("notes") is None
    await state.close()
