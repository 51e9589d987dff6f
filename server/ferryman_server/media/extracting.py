"""The frames of every film kept as plain files in a folder, beside the running server (setting `extract_to`).

    published ─▶ due ─▶ extracted into FOLDER/SLUG, by a job or in a thread
    its upload ended ─▶ due ─▶ the folder removed, or another generation extracted
    at start, and every so often: all of the library is held against all of the folder

What is in the folder is all that is remembered: each film's metadata.json has the generation it was made of. So it does
not matter what was missed, or where a process died. The film that the player shows comes before the others.

Only folders with the mark of this very store are removed or replaced. What cannot be done (no room, damaged frames) is
said in the log once, and tried again later; the folder is left as it was.
"""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from ferryman_server.events import Event, Events
from ferryman_server.media.atomic_folder import FolderRefused, cleared, removed
from ferryman_server.media.extracted import Mark, mark_of, not_ours
from ferryman_server.media.extraction import Extraction, NoRoom, entries_of, extracted
from ferryman_server.state.library import Library
from ferryman_server.state.media import Medium, Selection
from ferryman_server.state.media_slugs import is_slug
from ferryman_server.storage.base import Store
from ferryman_server.tasks import cancel

log = structlog.get_logger("ferryman.extracting")

Extract: TypeAlias = Callable[[Medium, Path], Awaitable[None]]
"""Brings a film into a folder. Raises ExtractionFailed, FolderRefused, StateError and StoreError."""

LOOK_AGAIN: Final = 60.0  # seconds between looks at everything
LONGEST: Final = 3600.0  # seconds until what has failed is tried again: a minute, two, four … up to this
PAGE: Final = 500  # media asked for at once

_OVER: Final = ("terminated", "expired", "failed", "retracted")
_ALL: Final = Selection(sort="date", descending=True, kind="frames")


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a film is not there."""

    generation: int
    why: str
    pause: float  # seconds
    again_at: float  # by the monotonic clock


class Extractor:
    """Keeps the folder as the library is. Everything but the work itself is done on the event loop."""

    def __init__(
        self,
        library: Library,
        store: Store,
        folder: Path,
        *,
        durable: bool,
        extract: Extract | None = None,
        look_again: float = LOOK_AGAIN,
    ) -> None:
        """`durable`: each film is synced before it is there. `extract`: what brings a film into a folder; None: a
        thread here. `look_again`: seconds between looks at everything."""
        self._library = library
        self._store = store
        self._folder = folder.absolute()
        self._durable = durable
        self._bring_there = extract or self._extract_here
        self._look_again = look_again
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ferryman-extract")
        self._due: OrderedDict[str, None] = OrderedDict()
        self._more = asyncio.Event()
        self._slugs: dict[str, str] = {}  # of what is extracted, by upload
        self._failures: dict[str, _Failure] = {}
        self._away: str | None = None  # why nothing can be looked at

    def listen(self, event: Event) -> None:
        """Hear what happens to media; subscribe this to the events."""
        if event.name == "published":
            slug = event.data.get("slug")
        elif event.name in _OVER:
            slug = self._slugs.get(event.upload_id)
        else:
            return
        if isinstance(slug, str):
            self._due[slug] = None
            self._due.move_to_end(slug, last=False)
            self._more.set()

    @asynccontextmanager
    async def at_work(self, events: Events) -> AsyncIterator[None]:
        """Hear, run, and close at the end of the `async with`."""
        unsubscribe = events.subscribe(self.listen)
        running = asyncio.create_task(self.run())
        try:
            yield
        finally:
            unsubscribe()
            await cancel([running])
            self.close()

    async def run(self) -> None:
        """Keep the folder as the library is, until cancelled."""
        while True:
            await self._look()
            next_look = time.monotonic() + self._look_again
            while await self._wait_until(next_look):
                slug, _ = self._due.popitem(last=False)
                await self._bring(slug)

    def close(self) -> None:
        """Let the thread go, once `run` has ended. Idempotent."""
        self._pool.shutdown()

    async def _wait_until(self, moment: float) -> bool:
        """Wait until something is due, at most until this moment; False: nothing is."""
        while not self._due:
            self._more.clear()
            try:
                async with asyncio.timeout(moment - time.monotonic()):
                    await self._more.wait()
            except TimeoutError:
                return False
        return True

    # -- everything ---------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Find out what is missing, outdated or too much."""
        try:
            marks = await asyncio.get_running_loop().run_in_executor(self._pool, self._marks)
            generations = await self._generations()
        except Exception as failure:  # disk or state are away: the next look may find them back
            if self._away != str(failure):
                log.warning(
                    "films cannot be extracted, it is tried again", folder=str(self._folder), error=str(failure)
                )
            self._away = str(failure)
            return
        self._away = None
        self._slugs = {mark.upload_id: slug for slug, mark in marks.items()}
        too_many = [slug for slug in marks if slug not in generations]
        outdated = [
            slug for slug, number in generations.items() if slug not in marks or marks[slug].generation != number
        ]
        for slug in (*too_many, *outdated):  # what is removed makes room
            if self._may_be_tried(slug, generations.get(slug)):
                self._due.setdefault(slug)
        self._failures = {slug: failed for slug, failed in self._failures.items() if slug in generations}

    def _marks(self) -> dict[str, Mark]:
        """What is extracted there, by slug; what crashes have left is removed. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        cleared(self._folder, not_ours)
        found = {slug: self._mark(slug) for slug in os.listdir(self._folder) if is_slug(slug)}
        return {slug: mark for slug, mark in found.items() if mark is not None}

    def _mark(self, slug: str) -> Mark | None:
        """The mark of a film that this server extracted; a folder that a person has renamed is theirs."""
        mark = mark_of(self._folder / slug)
        ours = mark is not None and mark.slug == slug and mark.store_id == self._store.store_id
        return mark if ours else None

    async def _generations(self) -> dict[str, int]:
        """Every film's active generation; that of the one which the player shows comes first. Raises StateError."""
        active = await self._library.active()
        found = {active.slug: active.generation} if active is not None and active.kind == "frames" else {}
        cursor: str | None = None
        while True:
            page = await self._library.listing(_ALL, PAGE, cursor)
            found |= {medium.slug: medium.generation for medium in page.media}
            cursor = page.next
            if cursor is None:
                return found

    def _may_be_tried(self, slug: str, generation: int | None) -> bool:
        failed = self._failures.get(slug)
        return failed is None or failed.generation != generation or failed.again_at <= time.monotonic()

    # -- one film -----------------------------------------------------------------------------------------------------

    async def _bring(self, slug: str) -> None:
        """Have one film there as the library has it."""
        medium: Medium | None = None
        try:
            medium = await self._library.get(slug)
            if medium is not None and medium.kind == "frames":
                await self._extract(medium)
            else:
                await self._remove(slug)
        except Exception as failure:  # whatever it is: it must not hold up the others
            self._note(slug, 0 if medium is None else medium.generation, failure)
        else:
            self._failures.pop(slug, None)

    async def _extract(self, medium: Medium) -> None:
        loop, slug = asyncio.get_running_loop(), medium.slug
        mark = await loop.run_in_executor(self._pool, mark_of, self._folder / slug)
        if mark is not None and mark.store_id != self._store.store_id:
            raise FolderRefused(f"{self._folder / slug} was extracted by another server: give each a folder of its own")
        self._slugs[medium.upload_id] = slug  # before: who sees the folder may have its upload deleted at once
        if mark is None or (mark.slug, mark.generation) != (slug, medium.generation):
            await self._bring_there(medium, self._folder / slug)
            log.info("a film was extracted", slug=slug, generation=medium.generation, frames=medium.frames)
        if mark is not None and mark.upload_id != medium.upload_id:
            self._forget(mark.upload_id, slug)
        now = await self._library.get(slug)
        if now is None or now.generation != medium.generation:  # its events may have come before it was known here
            self._due.setdefault(slug)

    async def _extract_here(self, medium: Medium, folder: Path) -> None:
        extraction = Extraction(
            store=self._store,
            store_id=self._store.store_id,
            medium=medium,
            entries=await entries_of(self._library, medium),
            folder=folder,
            durable=self._durable,
        )
        await extracted(extraction, self._pool)

    async def _remove(self, slug: str) -> None:
        loop = asyncio.get_running_loop()
        mark = await loop.run_in_executor(self._pool, self._mark, slug)
        if mark is not None:
            await loop.run_in_executor(self._pool, removed, self._folder / slug, not_ours)
            self._forget(mark.upload_id, slug)
            log.info("a film's folder was removed", slug=slug)

    def _forget(self, upload_id: str, slug: str) -> None:
        if self._slugs.get(upload_id) == slug:  # else it is extracted under another name by now
            del self._slugs[upload_id]

    def _note(self, slug: str, generation: int, failure: Exception) -> None:
        """Say it once. Room is looked for each time; what takes an archive to be read waits longer and longer."""
        why = "no room" if isinstance(failure, NoRoom) else str(failure)  # how much room there is changes all the time
        before = self._failures.get(slug)
        again = before is not None and before.generation == generation
        if before is None or not again or before.why != why:
            log.warning("a film was not extracted, it is tried again", slug=slug, error=str(failure))
        if isinstance(failure, NoRoom):
            pause = 0.0
        elif before is not None and again:
            pause = min(max(2 * before.pause, self._look_again), LONGEST)
        else:
            pause = self._look_again
        self._failures[slug] = _Failure(generation, why, pause, time.monotonic() + pause)
