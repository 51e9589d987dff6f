"""What was made of uploads and lies in the store, though the library does not name it.

A place that is given up is told by the library until it is freed (:mod:`.media_leftovers`). Nobody tells of one where a
killed process had put something and not said so yet, or of all of them where a database was restored from a backup.
They are found by walking through the store. Nothing is lost with them: what is missing can be made again.

Whoever makes something puts it in the store first and tells the library then, so two places are left alone: one where
something was put in the last hour, and one where what the library wants will be put.
"""

import itertools
from collections.abc import Sequence

from ferryman_server.humane import human_size
from ferryman_server.media.derivatives import read_place
from ferryman_server.reaper import BATCH, SPARED, Report
from ferryman_server.state.library import Library
from ferryman_server.state.media import Derived
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.derived import DerivedFiles, KeepsDerived, Kept
from ferryman_server.threads import in_thread


def is_named(rows: Sequence[Derived], place: str) -> bool:
    """Whether one of these rows says that what it is about lies here. `rows`: all of the place's upload."""
    return any(row.place == place for row in rows)


def is_awaited(rows: Sequence[Derived], place: str) -> bool:
    """Whether what one of these rows is about may be put here soon."""
    told = read_place(place)
    return told is not None and any(row.state == "wanted" and row.kind == told[2] for row in rows)


async def free_unnamed(library: Library, store: Store, report: Report, *, now: float, dry_run: bool = False) -> None:
    """Free what the library neither names nor awaits, and what was left half written; say so in the report. `now`:
    seconds since the epoch. A dry run reads only. Raises StateError, and StoreError when the store cannot be walked."""
    if not isinstance(store, KeepsDerived):
        return
    derived = store.derived
    if not dry_run:
        report.freed += await in_thread(derived.tidy, now)
    walk = derived.places()
    while batch := await in_thread(lambda: list(itertools.islice(walk, BATCH))):
        old = [kept for kept in batch if kept.modified_at + SPARED <= now]
        for kept in await _unnamed(library, old):
            await in_thread(_free, derived, kept, report, dry_run)


async def _unnamed(library: Library, found: Sequence[Kept]) -> list[Kept]:
    rows: dict[str, Sequence[Derived]] = {}
    unnamed = []
    for kept in found:
        told = read_place(kept.place)
        if told is not None:
            if told[0] not in rows:
                rows[told[0]] = await library.derived(told[0])
            if not is_named(rows[told[0]], kept.place) and not is_awaited(rows[told[0]], kept.place):
                unnamed.append(kept)
    return unnamed


def _free(derived: DerivedFiles, kept: Kept, report: Report, dry_run: bool) -> None:
    try:
        if not dry_run:
            derived.free(kept.place)
    except StoreError as failure:
        report.failed += 1
        report.lines.append(f"{kept.place}: could not be freed: {failure}")
        return
    report.leftovers += 1
    report.freed += kept.size
    would = "would be freed" if dry_run else "freed"
    report.lines.append(f"{kept.place}: made of what is not there any more, {human_size(kept.size)} {would}")
