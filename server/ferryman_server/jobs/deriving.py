"""What is made of a published medium in the background: what is asked of the jobs process, and what is recorded.

The rows are written when all of it is done, in one commit, and only while the generation is what it was; what was made
for one that is gone is freed again. A medium that can be watched is not waited for: it is published long before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ferryman_server.events import Event, Events
from ferryman_server.jobs.errors import JobFailed
from ferryman_server.jobs.messages import Request
from ferryman_server.jobs.worker import Worker
from ferryman_server.media.derivatives import DERIVE, MEDIA_TYPES, OF_KIND, derive_job, place_of
from ferryman_server.state.base import State, StateError
from ferryman_server.state.media import NO_FACTS, Derived, Facts, Medium
from ferryman_server.state.outbox import Job
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.derived import DerivedFiles
from ferryman_server.threads import in_thread


class Deriving:
    """The handler of such jobs."""

    def __init__(self, state: State, files: DerivedFiles, events: Events, *, clock: Callable[[], float]) -> None:
        """`clock`: seconds since the epoch."""
        self._library = state.library
        self._outbox = state.outbox
        self._files = files
        self._events = events
        self._clock = clock

    async def do(self, job: Job, worker: Worker) -> None:
        """Have it made, and record it. Raises JobFailed."""
        upload_id = job.key
        try:
            medium = await self._library.by_upload(upload_id)
            if medium is None or not OF_KIND[medium.kind]:
                return
            answer = await worker.ask(_request(medium))
            await self._record(medium, answer)
        except (StateError, StoreError) as failure:
            raise JobFailed(str(failure), again=True) from failure

    async def again(self, medium: Medium) -> bool:
        """Have it made anew, at the same places. False: there is nothing to be made of such a medium. Raises
        StateError."""
        kinds = OF_KIND[medium.kind]
        places = {each.kind: each.place for each in await self._library.derived(medium.upload_id)}
        wanted = [self._wanted(medium, kind, places.get(kind)) for kind in kinds]
        if not wanted or not await self._library.put_derived(medium.generation, wanted):
            return False
        await self._outbox.add([derive_job(medium.upload_id)], self._clock())
        return True

    async def give_up(self, job: Job, reason: str) -> None:
        """Tell that nothing more can be made."""
        medium = await self._library.by_upload(job.key)
        if medium is None:
            return
        wanted = [each.kind for each in await self._library.derived(job.key) if each.state == "wanted"]
        await self._put(medium, [self._failed(medium, kind, reason) for kind in wanted], NO_FACTS)

    async def _record(self, medium: Medium, answer: Mapping[str, Any]) -> None:
        made = [each for each in answer["made"] if not (each.get("gone") or each.get("kept"))]
        rows = [self._row(medium, each) for each in made]
        recorded = await self._put(medium, rows, _facts(answer["facts"]))
        if not recorded:
            await in_thread(self._free, [row.place for row in rows if row.place is not None])

    async def _put(self, medium: Medium, rows: Sequence[Derived], facts: Facts) -> bool:
        if not await self._library.put_derived(medium.generation, rows, facts):
            return False
        for row in rows:
            data = {"slug": medium.slug, "generation": medium.generation, "kind": row.kind, "state": row.state}
            self._events.publish(Event("derived", medium.upload_id, row.updated_at, data))
        return True

    def _row(self, medium: Medium, made: Mapping[str, Any]) -> Derived:
        kind = made["kind"]
        if "reason" in made:
            return self._failed(medium, kind, made["reason"])
        return Derived(
            upload_id=medium.upload_id,
            kind=kind,
            state="ready",
            place=place_of(medium.upload_id, medium.generation, kind),
            size=made["size"],
            content_type=MEDIA_TYPES[kind],
            updated_at=self._clock(),
        )

    def _wanted(self, medium: Medium, kind: str, place: str | None) -> Derived:
        return Derived(upload_id=medium.upload_id, kind=kind, state="wanted", place=place, updated_at=self._clock())

    def _failed(self, medium: Medium, kind: str, reason: str) -> Derived:
        return Derived(upload_id=medium.upload_id, kind=kind, state="failed", reason=reason, updated_at=self._clock())

    def _free(self, places: Sequence[str]) -> None:
        for place in places:
            self._files.free(place)


def _request(medium: Medium) -> Request:
    data = {"generation": medium.generation, "facts": medium.kind != "frames", "kinds": list(OF_KIND[medium.kind])}
    return Request(DERIVE, medium.upload_id, data)


def _facts(found: Mapping[str, Any]) -> Facts:
    return Facts(**{field.name: found.get(field.name) for field in fields(Facts)})
