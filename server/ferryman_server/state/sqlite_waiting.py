"""Groups that have not arrived whole: what is to be published of them, kept until it can be published at once."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from ferryman_server.state.media import Group, Publication, PublishError, Waiting
from ferryman_server.state.outbox import Job

_OF_GROUP: Final = "group_name = ? AND ifnull(owner, '') = ?"
_ARRIVE: Final = """
    INSERT INTO waiting (upload_id, group_name, group_size, owner, name, publication, since)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""


def arrive(connection: sqlite3.Connection, group: Group, publication: Publication, now: float) -> list[Publication]:
    """One of the group is there. Once all are, they are told, in the order in which they came, and wait no more.

    Raises PublishError when the others say that the group has another size.
    """
    key = group.name, publication.owner or ""
    connection.execute(
        f"DELETE FROM waiting WHERE upload_id = ? OR ({_OF_GROUP} AND name = ?)",
        (publication.upload_id, *key, publication.name),
    )
    query = f"SELECT publication, group_size FROM waiting WHERE {_OF_GROUP} ORDER BY since, rowid"
    others = connection.execute(query, key).fetchall()
    for _, size in others:
        if size != group.size:
            message = f"it belongs to a group {group.name} of {group.size}, and others say that this group has {size}"
            raise PublishError(publication.upload_id, message)
    if len(others) + 1 >= group.size:
        connection.execute(f"DELETE FROM waiting WHERE {_OF_GROUP}", key)
        return [*(_from_json(text) for text, _ in others), publication]
    row = group.name, group.size, publication.owner, publication.name, _to_json(publication), now
    connection.execute(_ARRIVE, (publication.upload_id, *row))
    return []


def fetch_waiting(connection: sqlite3.Connection, upload_id: str) -> Waiting | None:
    """The group that an upload waits for."""
    query = "SELECT group_name, group_size, ifnull(owner, '') FROM waiting WHERE upload_id = ?"
    row = connection.execute(query, (upload_id,)).fetchone()
    if row is None:
        return None
    name, size, owner = row
    arrived = connection.execute(
        f"SELECT upload_id FROM waiting WHERE {_OF_GROUP} ORDER BY since, rowid", (name, owner)
    )
    return Waiting(Group(name, size), tuple(upload_id for (upload_id,) in arrived))


def _to_json(publication: Publication) -> str:
    """Which entries are its frames is in the database by now: their number is enough."""
    count = None if publication.frames is None else len(publication.frames)
    return json.dumps(asdict(replace(publication, frames=None)) | {"frames": count})


def _from_json(text: str) -> Publication:
    values: dict[str, Any] = json.loads(text)
    jobs: Sequence[dict[str, str]] = values.pop("jobs")
    count = values.pop("frames")
    frames = None if count is None else range(count)
    return Publication(**values, frames=frames, jobs=[Job(**job) for job in jobs])
