"""Indexing archives while they are uploaded, from committed bytes, and publishing what they turn out to be.

    commit of an upload's bytes ─▶ read what is committed and not read yet ─▶ walk ─▶ keep entries and checkpoint
    last commit ─▶ the same to the end ─▶ judge ─▶ publish (one transaction), or say why not

Rules (DESIGN §7):

- What begins as an archive is indexed, unless the upload's metadata say `process=none`. The upload's answers are the
  same either way, and no request waits for it.
- Only committed bytes are read, so a walk never has to go back. What was found is kept with a checkpoint, about each
  second; after a crash, or in another process, the walk goes on from there.
- A few archives are walked at a time, each so many bytes in a turn.
- A store whose unfinished uploads cannot be read is read when the upload is complete.
- An archive that holds no frames stays an ordinary file. One that should, and breaks a rule, is told as failed, with
  the reason; its bytes stay.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Final

import structlog

from ferryman_protocol.model import Concat, Phase
from ferryman_server.events import Event
from ferryman_server.media.coded import LOOKED_AT, begins_as_archive, why_not_frames
from ferryman_server.media.indexing import Indexing
from ferryman_server.media.kinds import kind_of
from ferryman_server.media.publishing import file_publication
from ferryman_server.media.reach import Reach
from ferryman_server.media.wishes import wishes_of
from ferryman_server.media.workshop import Workshop
from ferryman_server.read_along import ARCHIVE
from ferryman_server.state.base import Record, StateError
from ferryman_server.state.media import NotIndexing, PublishError
from ferryman_server.storage.base import StoreError
from ferryman_server.tasks import cancel
from ferryman_server.threads import in_thread

log = structlog.get_logger("ferryman.indexer")

REMEMBERED: Final = 65_536  # unfinished uploads of which is remembered that they need no index
LATEST: Final = 500  # uploads that a start looks at …
LATELY: Final = 60.0  # … if they were made so many seconds before the last one
_OVER: Final = ("failed", "terminated", "expired")


class Indexer:
    """Knows which uploads are being indexed. Everything here is called on the event loop."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._under_way: dict[str, Indexing] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._others: OrderedDict[str, None] = OrderedDict()

    def wants(self, record: Record) -> bool:
        """Whether this upload is to be indexed if it begins as an archive does."""
        return _wanted(record)

    def follows(self, upload_id: str) -> bool:
        """Whether this upload is being indexed."""
        return upload_id in self._under_way

    def get(self, upload_id: str) -> Indexing | None:
        """The index that is being made of this upload."""
        return self._under_way.get(upload_id)

    def begun(self, record: Record, *, archive: bool) -> None:
        """The first bytes of an upload are known; told before its first commit is."""
        upload_id = record.upload.id
        if upload_id in self._under_way or upload_id in self._others:
            return
        if archive and _wanted(record):
            self._start(upload_id, Reach())
        else:
            self._remember(upload_id)

    def listen(self, event: Event) -> None:
        """Hear what happens to uploads; subscribe this to the events."""
        upload_id, indexing = event.upload_id, self._under_way.get(event.upload_id)
        if event.name in _OVER and indexing is not None:
            self._tasks[upload_id].cancel()
        elif event.name == "progress" and indexing is not None and event.record is not None:
            indexing.reach.move(event.record.upload.offset)
        elif event.name == "complete" and event.record is not None:
            if indexing is not None:
                indexing.reach.end(event.record.upload.offset)
            else:
                self._completed(event.record)

    def again(self, record: Record) -> None:
        """Index a complete upload anew; its index was rewound before."""
        if record.upload.id not in self._under_way:
            reach = Reach()
            reach.end(record.upload.offset)
            self._start(record.upload.id, reach)

    async def resume(self) -> None:
        """Go on with what an earlier process has begun, and with what it would have begun next: an upload that came
        whole may be complete when that process died, and no more."""
        for archive in await self._workshop.archives.unsettled():
            record = await self._workshop.state.get(archive.upload_id)
            if record is not None and archive.upload_id not in self._under_way:
                reach = Reach(record.upload.offset)
                if record.upload.phase is Phase.COMPLETE:
                    reach.end(record.upload.offset)
                self._start(archive.upload_id, reach)
        newest = (await self._workshop.state.page(limit=LATEST)).records
        late = [record for record in newest if record.created_at >= newest[0].created_at - LATELY]
        known = await self._workshop.archives.get_many([record.upload.id for record in late])
        for record in late:
            upload = record.upload
            if upload.phase is Phase.COMPLETE and upload.id not in known and upload.concat is not Concat.PARTIAL:
                self._run(upload.id, self._consider(record, seen=False))

    async def close(self) -> None:
        """Leave off; what was found is kept at the last checkpoint. Idempotent."""
        await cancel(list(self._tasks.values()))

    def _completed(self, record: Record) -> None:
        """An upload that is not being indexed is complete. Of most of them there is nothing more to be done."""
        upload_id = record.upload.id
        seen = self._others.pop(upload_id, self) is None
        if record.upload.concat is Concat.PARTIAL:
            return
        if (not seen and _wanted(record)) or _is_medium(record):
            self._run(upload_id, self._consider(record, seen=seen))
        elif record.upload.content_encoding is not None and wishes_of(record.upload).process:
            self._run(upload_id, self._consider_coded(record, record.upload.content_encoding))

    async def _consider(self, record: Record, *, seen: bool) -> None:
        """Look at an upload's first bytes, if that was not done while they came; publish one that is a medium by
        itself."""
        upload_id = record.upload.id
        try:
            if not seen and _wanted(record) and await in_thread(self._begins_as_archive, record):
                reach = Reach()
                reach.end(record.upload.offset)
                indexing = self._under_way[upload_id] = Indexing(self._workshop, upload_id, reach)
                await indexing.run()
            elif _is_medium(record) and await self._workshop.library.by_upload(upload_id) is None:
                await self._workshop.publish(file_publication(record, kind_of(record.upload)), record)
        except (StoreError, StateError, PublishError) as failure:
            log.warning("a complete upload was not looked at", upload_id=upload_id, error=str(failure))

    async def _consider_coded(self, record: Record, coding: str) -> None:
        """Tell the client of a coded archive why there are no frames."""
        upload, archives = record.upload, self._workshop.archives
        try:
            coded = self._workshop.store.read(upload.id, 0, min(LOOKED_AT, upload.offset))
            if await in_thread(begins_as_archive, coding, coded):
                now = self._workshop.clock()
                await archives.begin(upload.id, now)
                await archives.settle(upload.id, "not-frames", why_not_frames(coding), now)
        except (StoreError, StateError, NotIndexing) as failure:
            log.warning("a complete upload was not looked at", upload_id=upload.id, error=str(failure))

    def _begins_as_archive(self, record: Record) -> bool:
        if record.upload.offset < len(ARCHIVE):
            return False
        pieces = self._workshop.store.read(record.upload.id, 0, len(ARCHIVE))
        return b"".join(bytes(piece) for piece in pieces) == ARCHIVE

    def _start(self, upload_id: str, reach: Reach) -> None:
        indexing = self._under_way[upload_id] = Indexing(self._workshop, upload_id, reach)
        self._run(upload_id, indexing.run())

    def _run(self, upload_id: str, work: Coroutine[None, None, None]) -> None:
        task = self._tasks[upload_id] = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._ended(upload_id, done))

    def _ended(self, upload_id: str, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(upload_id) is task:
            del self._tasks[upload_id]
            self._under_way.pop(upload_id, None)
            self._remember(upload_id)
        if not task.cancelled() and task.exception() is not None:
            log.error("indexing failed", upload_id=upload_id, exc_info=task.exception())

    def _remember(self, upload_id: str) -> None:
        self._others[upload_id] = None
        if len(self._others) > REMEMBERED:
            self._others.popitem(last=False)


def _wanted(record: Record) -> bool:
    """Whether an upload is to be indexed if it is an archive. A coded one cannot be read from its middle, and a partial
    one is no archive by itself."""
    upload = record.upload
    return upload.content_encoding is None and upload.concat is not Concat.PARTIAL and wishes_of(upload).process


def _is_medium(record: Record) -> bool:
    """Whether an upload is shown in the library though it holds no frames."""
    upload = record.upload
    if upload.content_encoding is not None or not wishes_of(upload).process:
        return False
    return kind_of(upload) != "file" or wishes_of(upload).group is not None
