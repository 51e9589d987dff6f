"""A data folder whose library has many media, made without a server: rows are what a listing is about."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ferryman_protocol.ids import new_id
from ferryman_protocol.model import Phase, Upload
from ferryman_server.state.base import Record
from ferryman_server.state.media import Edit, Kind, Publication
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.local import LocalStore

TOGETHER: Final = 1000  # media that are published side by side: they share commits
EDITED: Final = 0.2  # of all: with tags, a rating, perhaps a heart
# fmt: off
WORDS: Final = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper", "kelp", "lagoon",
    "meadow", "north", "ocean", "pine", "quarry", "river", "summit", "tundra", "umber", "valley", "willow", "yarrow",
    "zephyr", "dawn", "dusk", "moon", "storm", "snow",
)
# fmt: on
TAGS: Final = ("night", "day", "city", "sea", "wood", "test", "best")
_KINDS: Final[Sequence[tuple[Kind, str, str]]] = (
    ("video", "mp4", "video/mp4"),
    ("audio", "wav", "audio/wav"),
    ("image", "jpg", "image/jpeg"),
    ("file", "bin", "application/octet-stream"),
)


def fill(data: Path, count: int) -> None:
    """Make `data` and publish so many media there, the same each time."""
    store = LocalStore(data, durability="os")
    store.open()
    asyncio.run(_fill(data / "state.db", store.store_id, count))


async def _fill(database: Path, store_id: str, count: int) -> None:
    state, chance = SqliteState(database, store_id=store_id, durable=False), random.Random(1)
    await state.open()
    try:
        for start in range(0, count, TOGETHER):
            numbers = range(start, min(start + TOGETHER, count))
            await asyncio.gather(*(_publish(state, number, chance) for number in numbers))
    finally:
        await state.close()


async def _publish(state: SqliteState, number: int, chance: random.Random) -> None:
    kind, suffix, content_type = chance.choice(_KINDS)
    title = " ".join(chance.choices(WORDS, k=3))
    size, now = chance.randrange(1 << 30), 1.6e9 + number
    timed = kind in ("video", "audio")
    publication = Publication(
        upload_id=new_id(number.to_bytes(16)),
        name=f"{title} {number}.{suffix}",
        title=title,
        kind=kind,
        size=size,
        content_type=content_type,
        duration=chance.uniform(1, 7200) if timed else None,
    )
    edit = _edit(chance) if chance.random() < EDITED else None
    upload = Upload(id=publication.upload_id, phase=Phase.COMPLETE, offset=size, length=size, filename=publication.name)
    await state.create(Record(upload=upload, created_at=now, updated_at=now, completed_at=now))
    (published,) = await state.library.publish([publication], now)
    if edit is not None:
        await state.library.edit(published.slug, edit, now)


def _edit(chance: random.Random) -> Edit:
    return Edit(
        tags=chance.sample(TAGS, chance.randrange(3)), rating=chance.randrange(6), favourite=chance.random() < 0.1
    )
