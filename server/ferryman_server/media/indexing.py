"""One upload's index while it is made: from its first committed byte to a medium, or to why it is none."""

import asyncio
import time
from typing import Final, Literal

import structlog

from ferryman_server.events import Event, Name
from ferryman_server.media import checkpoints
from ferryman_server.media.committed import Committed, Stretch
from ferryman_server.media.entries import Entry
from ferryman_server.media.following import Following
from ferryman_server.media.frame_set import BadFrames, FrameSet, NotFrames
from ferryman_server.media.publishing import frames_publication
from ferryman_server.media.reach import Reach
from ferryman_server.media.stages import Stages
from ferryman_server.media.unpacking import content
from ferryman_server.media.workshop import Workshop
from ferryman_server.state.base import StateError
from ferryman_server.state.media import Archive, NotIndexing, PublishError
from ferryman_server.storage.base import StoreError
from ferryman_server.threads import in_thread

log = structlog.get_logger("ferryman.indexing")

KEEP: Final = 1.0  # seconds that what was found may wait to be kept …
MOST: Final = 2000  # … or entries
AGAIN: Final = 5.0  # seconds after which what the store or the state could not do is tried again …
SELDOM: Final = 600.0  # … at first, and at last


class Indexing:
    """Makes the index of one upload. Everything but the walk itself runs on the event loop."""

    def __init__(self, workshop: Workshop, upload_id: str, reach: Reach) -> None:
        self.upload_id = upload_id
        self.reach = reach
        self.following: Following | None = None  # once it has begun
        self._workshop = workshop
        self._committed = Committed(workshop.store, upload_id, reach)
        self._stages = Stages()
        self._kept_at = time.monotonic()
        self._told = 0  # frames

    async def run(self) -> None:
        """Index to the end, and tell what has come of it. Raises nothing that an archive, the store or the state may
        bring about."""
        pause = AGAIN
        self._committed.open()  # here: of a task that is cancelled before it has begun, nothing is run, no end either
        try:
            while not await self._attempt():
                self.following = None  # what was kept is where it begins again
                await self.reach.wait(pause)
                pause = min(2 * pause, SELDOM)
        finally:
            self._committed.close()

    async def _attempt(self) -> bool:
        try:
            await self._run()
        except NotIndexing:
            pass  # the upload is gone
        except (StoreError, StateError) as failure:
            log.warning("indexing failed, it is tried again", upload_id=self.upload_id, error=str(failure))
            return False
        return True

    async def _run(self) -> None:
        archive = await self._workshop.archives.begin(self.upload_id, self._workshop.clock())
        if archive.phase != "indexing":
            return
        following = self.following = await self._following(archive)
        while not self._at_end(following):
            stretch = self._committed.after(following.offset)
            if stretch is not None:
                await self._walk(following, stretch)
                self._tell(following)
                if self._keeps(following):
                    await self._keep(following)
            elif not await self.reach.wait(KEEP if following.gaining else None):
                await self._keep(following)
        await self._conclude(following)

    async def _following(self, archive: Archive) -> Following:
        begun = None
        if archive.checkpoint is not None:
            archives = self._workshop.archives
            entries = await archives.entries(self.upload_id)
            thumbs = await archives.thumb_numbers(self.upload_id)
            begun = checkpoints.begun(archive.checkpoint, entries, len(thumbs))
        return Following(self._workshop.limits, begun)

    def _keeps(self, following: Following) -> bool:
        late = time.monotonic() - self._kept_at >= KEEP
        return late or following.has_thumbs or following.gaining >= MOST

    def _at_end(self, following: Following) -> bool:
        return following.refused is not None or (self.reach.whole and following.offset >= self.reach.offset)

    async def _walk(self, following: Following, stretch: Stretch) -> None:
        try:
            with self._stages.timed("wait"):
                await self._workshop.turns.acquire()
            try:
                with self._stages.timed("index"):
                    await _until_stopped(in_thread(following.feed, stretch.pieces), following)
            finally:
                self._workshop.turns.release()
        finally:
            stretch.release()

    def _tell(self, following: Following) -> None:
        """Frames are there."""
        if following.frames > self._told:
            self._told = following.frames
            name = following.entries[-1].name
            self._publish("frame", {"count": following.frames, "entries": len(following.entries), "name": name})

    async def _keep(self, following: Following) -> None:
        gained = following.gained()
        self._kept_at = time.monotonic()
        with self._stages.timed("commit"):
            await self._workshop.archives.advance(
                self.upload_id,
                offset=gained.checkpoint.offset,
                checkpoint=checkpoints.text(gained.checkpoint),
                now=self._workshop.clock(),
                entries=gained.entries,
                thumbs=gained.thumbs,
            )

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _conclude(self, following: Following) -> None:
        verdict = await in_thread(following.finish, self._fetch) if following.refused is None else None
        if isinstance(verdict, FrameSet):
            await self._publish_frames(following, verdict)
        elif isinstance(verdict, NotFrames):
            await self._settle("not-frames", verdict.reason)
        elif isinstance(verdict, BadFrames):
            await self._fail(verdict.reason)
        elif following.described or following.frames:
            await self._fail(str(following.refused))
        else:
            await self._settle("not-frames", f"As an archive it is not taken: {following.refused}")

    def _fetch(self, entry: Entry) -> bytes:
        return content(self._workshop.store, self.upload_id, entry)

    async def _publish_frames(self, following: Following, frames: FrameSet) -> None:
        workshop = self._workshop
        record = await workshop.state.get(self.upload_id)
        if record is None:
            return
        try:
            with self._stages.timed("publish"):  # in this order, at once: what is asked for together is one commit
                publishing = workshop.publish(frames_publication(record, frames), record)
                _, published = await asyncio.gather(self._keep(following), publishing)
        except PublishError as error:
            await self._fail(f"It cannot be published: {error.reason}.")
            return
        if published:
            self._stages.ready(workshop.metrics, record, len(frames.frames), workshop.clock())

    async def _settle(self, phase: Literal["not-frames", "failed"], reason: str) -> None:
        workshop = self._workshop
        drop = phase == "failed" and workshop.drops_failed
        await workshop.archives.settle(self.upload_id, phase, reason, workshop.clock(), drop=drop)
        log.info("an archive holds no frames", upload_id=self.upload_id, phase=phase, reason=reason)

    async def _fail(self, reason: str) -> None:
        await self._settle("failed", reason)
        self._publish("retracted", {"reason": reason})

    def _publish(self, name: Name, data: dict[str, object]) -> None:
        self._workshop.events.publish(Event(name, self.upload_id, self._workshop.clock(), data))


async def _until_stopped(walk: "asyncio.Future[None]", following: Following) -> None:
    """Wait for a walk. Where nobody wants it any more, it is stopped and waited for: its bytes are about to be let
    go."""
    try:
        await asyncio.shield(walk)
    except asyncio.CancelledError:
        following.stop()
        await asyncio.wait([walk])
        raise
