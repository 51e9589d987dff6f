"""Media as rows: what is read of one, and what people and viewers change of it.

Each function does one thing to the database inside the caller's transaction.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ferryman_server.state.media import Edit, Medium, SlugTaken
from ferryman_server.state.media_words import search_text, title_key

MEDIUM: Final = """
    media.id, slug, title, name, owner, upload_id, number, generations.kind, generations.size, content_type, width,
    height, format, fps, frames, generations.duration, created_at, generations.published_at, updated_at, favourite,
    rating, views,
    (SELECT json_group_array(tag) FROM tags WHERE media_id = media.id),
    (SELECT json_group_array(kind) FROM derived WHERE derived.upload_id = generations.upload_id AND state = 'ready')
"""
"""The columns of a medium, for :func:`from_row`, of media and their generations that are joined."""

_SELECT: Final = f"SELECT {MEDIUM} FROM media JOIN generations ON number = generation"
_IN_GENERATION: Final = f"""
    SELECT {MEDIUM} FROM generations JOIN media ON media.id = media_id WHERE number = ? AND slug = ?
"""
_BY_UPLOAD: Final = f"{_SELECT} WHERE media.id = (SELECT media_id FROM generations WHERE upload_id = ?)"
_EDIT: Final = """
    UPDATE media SET title = ?, slug = ?, favourite = ?, rating = ?, title_key = ?, search_text = ?, updated_at = ?
    WHERE id = ?
"""


def from_row(row: Sequence[Any]) -> Medium:
    """The medium of a row whose values come in the order of :data:`MEDIUM`."""
    (
        number,
        slug,
        title,
        name,
        owner,
        upload_id,
        generation,
        kind,
        size,
        content_type,
        width,
        height,
        form,
        fps,
        frames,
        duration,
        created_at,
        published_at,
        updated_at,
        favourite,
        rating,
        views,
        tags,
        ready,
    ) = row
    return Medium(
        id=number,
        slug=slug,
        title=title,
        name=name,
        owner=owner,
        upload_id=upload_id,
        generation=generation,
        kind=kind,
        size=size,
        content_type=content_type,
        width=width,
        height=height,
        format=form,
        fps=fps,
        frames=frames,
        duration=duration,
        created_at=created_at,
        published_at=published_at,
        updated_at=updated_at,
        favourite=bool(favourite),
        rating=rating,
        views=views,
        tags=tuple(sorted(json.loads(tags))),
        ready=tuple(sorted(json.loads(ready))),
    )


def fetch(connection: sqlite3.Connection, slug: str, generation: int | None = None) -> Medium | None:
    """One medium, as it is in this generation; None: in the active one."""
    if generation is None:
        return _medium(connection, f"{_SELECT} WHERE slug = ?", slug)
    return _medium(connection, _IN_GENERATION, generation, slug)


def fetch_by_upload(connection: sqlite3.Connection, upload_id: str) -> Medium | None:
    """The medium that an upload is a generation of."""
    return _medium(connection, _BY_UPLOAD, upload_id)


def fetch_active(connection: sqlite3.Connection) -> Medium | None:
    """What the player shows."""
    return _medium(connection, f"{_SELECT} WHERE media.id = (SELECT active FROM library WHERE only_row = ?)", 1)


def set_active(connection: sqlite3.Connection, slug: str | None) -> bool:
    """Say what the player shows. False: there is no such medium."""
    if slug is None:
        connection.execute("UPDATE library SET active = NULL")
        return True
    changed = connection.execute("UPDATE library SET active = id FROM (SELECT id FROM media WHERE slug = ?)", (slug,))
    return changed.rowcount == 1


def fetch_tags(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Every tag and how many media have it."""
    return connection.execute("SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY tag").fetchall()


def edit(connection: sqlite3.Connection, slug: str, changes: Edit, now: float) -> Medium | None:
    """Change what people give a medium. Raises SlugTaken."""
    medium = fetch(connection, slug)
    if medium is None:
        return None
    new_slug = medium.slug if changes.slug is None else changes.slug
    if new_slug != slug and connection.execute("SELECT 1 FROM media WHERE slug = ?", (new_slug,)).fetchone():
        raise SlugTaken(new_slug)
    title = medium.title if changes.title is None else changes.title
    tags = medium.tags if changes.tags is None else sorted(set(changes.tags))
    marks = (
        medium.favourite if changes.favourite is None else changes.favourite,
        medium.rating if changes.rating is None else changes.rating,
    )
    words = title_key(title), search_text(title, medium.name, tags)
    connection.execute(_EDIT, (title, new_slug, *marks, *words, now, medium.id))
    if changes.tags is not None:
        connection.execute("DELETE FROM tags WHERE media_id = ?", (medium.id,))
        connection.executemany("INSERT INTO tags VALUES (?, ?)", ((medium.id, tag) for tag in tags))
    return fetch(connection, new_slug)


def count_view(connection: sqlite3.Connection, slug: str) -> int | None:
    """One view more. How many there are."""
    counted = "UPDATE media SET views = views + 1 WHERE slug = ? RETURNING views"
    rows = connection.execute(counted, (slug,)).fetchall()
    return rows[0][0] if rows else None


def remove(connection: sqlite3.Connection, slug: str) -> list[str] | None:
    """Remove a medium; its uploads are left over."""
    row = connection.execute("SELECT id FROM media WHERE slug = ?", (slug,)).fetchone()
    if row is None:
        return None
    query = "SELECT upload_id FROM generations WHERE media_id = ? ORDER BY number"
    uploads = [upload_id for (upload_id,) in connection.execute(query, row).fetchall()]
    connection.executemany("INSERT INTO leftover_uploads VALUES (?)", ((upload_id,) for upload_id in uploads))
    connection.execute("DELETE FROM media WHERE id = ?", row)
    return uploads


def _medium(connection: sqlite3.Connection, query: str, *values: str | int) -> Medium | None:
    row = connection.execute(query, values).fetchone()
    return None if row is None else from_row(row)
