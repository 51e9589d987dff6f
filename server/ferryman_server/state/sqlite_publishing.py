"""Publishing: one transaction that makes or changes media, says which entries are frames, and puts out work.

Each function does its part inside the caller's transaction; what raises undoes all of it.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from ferryman_server.state.media import Group, Publication, Published, PublishError
from ferryman_server.state.media_slugs import NAMELESS, RESERVED, make_slug, numbered
from ferryman_server.state.media_words import search_text, title_key
from ferryman_server.state.sqlite_entries import write_frames
from ferryman_server.state.sqlite_outbox import put
from ferryman_server.state.sqlite_waiting import arrive

_TOLD: Final = """
    SELECT media.id, slug, number, upload_id, replaced FROM generations JOIN media ON media.id = media_id
    WHERE together = (SELECT together FROM generations WHERE upload_id = ?) ORDER BY place
"""
_UPLOAD: Final = """
    SELECT phase, EXISTS (SELECT 1 FROM leftover_uploads WHERE upload_id = id) FROM uploads WHERE id = ?
"""
_SHOWN: Final = """
    SELECT media.id, upload_id FROM media JOIN generations ON number = generation
    WHERE media.name = ? AND ifnull(owner, '') = ?
"""
_MEDIUM: Final = """
    INSERT INTO media (slug, name, owner, title, title_key, search_text, generation, kind, size, duration,
        created_at, published_at, updated_at)
    VALUES (?2, ?3, ?4, ?5, ?6, ?7, 0, 'file', 0, 0, ?1, ?1, ?1)
"""
_FACTS: Final = ("kind", "size", "content_type", "width", "height", "format", "fps", "frames", "duration")
_GENERATION: Final = f"""
    INSERT INTO generations (number, media_id, upload_id, replaced, together, place, published_at, {", ".join(_FACTS)})
    VALUES ({", ".join("?" * (7 + len(_FACTS)))})
"""
_RENEW: Final = f"""
    UPDATE generations SET number = ?, published_at = ?, {", ".join(f"{name} = ?" for name in _FACTS)}
    WHERE upload_id = ?
"""
_SHOW: Final = """
    UPDATE media SET generation = number, kind = new.kind, size = new.size, duration = ifnull(new.duration, 0),
        published_at = new.published_at, updated_at = new.published_at
    FROM (SELECT * FROM generations WHERE upload_id = ?) AS new WHERE media.id = new.media_id
"""
_WANT: Final = "INSERT INTO derived (upload_id, kind, state, updated_at) VALUES (?, ?, 'wanted', ?)"


def publish(
    connection: sqlite3.Connection, publications: Sequence[Publication], group: Group | None, now: float
) -> list[Published]:
    """Publish all that is not published yet, or let it wait for its group; tell what all of it has become."""
    due: list[Publication] = []
    for publication in publications:
        published = _is_published(connection, publication)
        if published and _stands(connection, publication):
            continue
        _demand_complete(connection, publication.upload_id)
        _make_ready(connection, publication, now)
        if published:
            _renew(connection, publication, now)
        else:
            due += [publication] if group is None else arrive(connection, group, publication, now)
    together = None
    for place, publication in enumerate(due):
        number = _next_number(connection)
        together = together or number
        _add(connection, publication, (number, together, place), now)
    return _told(connection, publications)


def _is_published(connection: sqlite3.Connection, publication: Publication) -> bool:
    query = "SELECT 1 FROM generations WHERE upload_id = ?"
    return connection.execute(query, (publication.upload_id,)).fetchone() is not None


def _stands(connection: sqlite3.Connection, publication: Publication) -> bool:
    """Whether there is nothing to be changed of what is published: its archive was not rewound."""
    if publication.frames is None:
        return True
    query = "SELECT 1 FROM archives WHERE upload_id = ? AND phase = 'ready'"
    return connection.execute(query, (publication.upload_id,)).fetchone() is not None


def _demand_complete(connection: sqlite3.Connection, upload_id: str) -> None:
    row = connection.execute(_UPLOAD, (upload_id,)).fetchone()
    if row is None:
        raise PublishError(upload_id, "it is gone")
    phase, deleted = row
    if phase != "complete":
        raise PublishError(upload_id, f"it is {phase}, not complete")
    if deleted:
        raise PublishError(upload_id, "its medium was deleted, and it is about to be")


def _make_ready(connection: sqlite3.Connection, publication: Publication, now: float) -> None:
    """Say which entries are its frames, and settle its archive."""
    upload_id, frames = publication.upload_id, publication.frames
    if frames is None:
        return
    row = connection.execute("SELECT id, phase FROM archives WHERE upload_id = ?", (upload_id,)).fetchone()
    if row is None:
        raise PublishError(upload_id, "it has frames and no index")
    archive_id, phase = row
    if phase not in ("indexing", "ready"):
        raise PublishError(upload_id, f"its index is {phase}")
    if write_frames(connection, archive_id, frames) != len(frames):
        raise PublishError(upload_id, "some of its frames are no entries of its index")
    connection.execute(
        "UPDATE archives SET phase = 'ready', checkpoint = NULL, updated_at = ? WHERE id = ?", (now, archive_id)
    )


def _add(connection: sqlite3.Connection, publication: Publication, at: tuple[int, int, int], now: float) -> None:
    """Make it the active generation of its medium, and the medium if there is none. `at`: the generation's number, that
    of those it is published with, and its place among them."""
    upload_id = publication.upload_id
    _demand_complete(connection, upload_id)  # also those that have waited
    connection.execute("DELETE FROM waiting WHERE upload_id = ?", (upload_id,))  # it may have, and is published alone
    shown = connection.execute(_SHOWN, (publication.name, publication.owner or "")).fetchone()
    medium, replaced = shown or (_new_medium(connection, publication, now), None)
    number, together, place = at
    row = number, medium, upload_id, replaced, together, place, now, *_facts(publication)
    connection.execute(_GENERATION, row)
    _show(connection, publication, now)


def _renew(connection: sqlite3.Connection, publication: Publication, now: float) -> None:
    """It was looked at again. The active generation gets a new number, since its frames may be others; one that was
    replaced stays where it was."""
    upload_id = publication.upload_id
    query = "SELECT number, number = generation FROM generations JOIN media ON media.id = media_id WHERE upload_id = ?"
    number, active = connection.execute(query, (upload_id,)).fetchone()
    connection.execute("DELETE FROM derived WHERE upload_id = ?", (upload_id,))
    if active:
        number = _next_number(connection)
    connection.execute(_RENEW, (number, now, *_facts(publication), upload_id))
    _show(connection, publication, now, active=active)


def _show(connection: sqlite3.Connection, publication: Publication, now: float, *, active: bool = True) -> None:
    upload_id = publication.upload_id
    if active:
        connection.execute(_SHOW, (upload_id,))
    for kind in dict.fromkeys(publication.derived):
        connection.execute(_WANT, (upload_id, kind, now))
    put(connection, publication.jobs, now)


def _new_medium(connection: sqlite3.Connection, publication: Publication, now: float) -> int:
    name, title = publication.name, publication.title or publication.name
    words = title_key(title), search_text(title, name, ())
    row = now, _free_slug(connection, title, name), name, publication.owner, title, *words
    return int(connection.execute(_MEDIUM, row).lastrowid or 0)


def _free_slug(connection: sqlite3.Connection, title: str, name: str) -> str:
    """The first that is free of slug, slug-2, slug-3…; where some in between were given back, any free one."""
    slug = make_slug(title)
    if slug == NAMELESS:
        slug = make_slug(name.rpartition(".")[0] or name)
    if not _is_taken(connection, slug):
        return slug
    taken, free = 1, 2
    while _is_taken(connection, numbered(slug, free)):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if _is_taken(connection, numbered(slug, middle)):
            taken = middle
        else:
            free = middle
    return numbered(slug, free)


def _is_taken(connection: sqlite3.Connection, slug: str) -> bool:
    return slug in RESERVED or connection.execute("SELECT 1 FROM media WHERE slug = ?", (slug,)).fetchone() is not None


def _next_number(connection: sqlite3.Connection) -> int:
    rows = connection.execute("UPDATE library SET generation = generation + 1 RETURNING generation").fetchall()
    return int(rows[0][0])


def _facts(publication: Publication) -> tuple[object, ...]:
    """The values of the columns in _FACTS."""
    return (
        publication.kind,
        publication.size,
        publication.content_type,
        publication.width,
        publication.height,
        publication.format,
        publication.fps,
        None if publication.frames is None else len(publication.frames),
        publication.duration,
    )


def _told(connection: sqlite3.Connection, publications: Sequence[Publication]) -> list[Published]:
    told: dict[str, Published] = {}
    for publication in publications:
        if publication.upload_id not in told:
            for row in connection.execute(_TOLD, (publication.upload_id,)):
                told[row[3]] = Published(*row)
    return list(told.values())
