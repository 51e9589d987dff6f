"""Freeing what a deleted medium consisted of, also when the server was stopped in between.

A medium is deleted in one commit, which leaves its uploads over (:meth:`.library.Library.leftovers`). Each is then
terminated as its client would do it, and by that commit is left over no more; what was made of it in the background
(:mod:`.storage.derived`) is left over from then on, until the library is told that its place is free. So whatever
happens in between, it is done at the next start; and what a store refuses, a while later.

Here also the store is walked for what nobody knows of, at the start and once a day (:mod:`.derived_strays`).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from ferryman_protocol import problems
from ferryman_server.derived_strays import free_unnamed, is_awaited, is_named
from ferryman_server.events import Event
from ferryman_server.house import House
from ferryman_server.humane import human_size
from ferryman_server.media.derivatives import read_place
from ferryman_server.reaper import DAY, Report
from ferryman_server.refusals import problem_of
from ferryman_server.state.library import Library
from ferryman_server.storage.base import Store
from ferryman_server.storage.derived import DerivedFiles, KeepsDerived
from ferryman_server.threads import in_thread
from ferryman_server.uploads import Uploads

log = structlog.get_logger("ferryman.leftovers")

_MOST: Final = 10_000  # in one round
_AT_ONCE: Final = 100  # places of which the library is told in one commit that they are free
_LOOK_AGAIN: Final = 60.0  # seconds
_GATHERED: Final = 0.2  # seconds between an upload's end and the look at what it leaves: others may end meanwhile
_ENDS: Final = ("terminated", "expired", "retracted")
_OVER: Final = (problems.NOT_FOUND, problems.GONE)


async def run_leftovers(house: House, uploads: Uploads) -> None:
    """Free what is left over, now, when an upload has ended, and every so often, until cancelled."""
    ended = asyncio.Event()

    def listen(event: Event) -> None:
        if event.name in _ENDS:
            ended.set()

    walk_at = house.pace.clock()
    unsubscribe = house.events.subscribe(listen)
    try:
        while True:
            ended.clear()
            try:
                await free_leftovers(house, uploads)
                if house.pace.clock() >= walk_at:
                    await _walk(house)
                    walk_at = house.pace.clock() + DAY
            except Exception as failure:  # the state is away: the next round may find it back
                log.warning("looking for leftovers failed, it is tried again", error=str(failure))
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await ended.wait()
                    await asyncio.sleep(_GATHERED)
    finally:
        unsubscribe()


async def free_leftovers(house: House, uploads: Uploads) -> None:
    """Free all that is left over and can be freed. Raises StateError."""
    library = house.state.library
    await free_uploads(uploads, (await library.leftovers(_MOST)).uploads)
    await free_places(library, house.store, (await library.leftovers(_MOST)).places)


async def free_uploads(uploads: Uploads, ids: Sequence[str]) -> None:
    """Terminate these uploads. One that cannot be terminated stays left over, and holds up no other."""
    for upload_id in ids:
        try:
            await uploads.end(upload_id)
        except Exception as failure:
            problem = problem_of(failure)
            if problem is None or problem.kind not in _OVER:  # else somebody was quicker
                log.warning("freeing an upload failed, it is tried again", upload_id=upload_id, error=str(failure))


async def free_places(library: Library, store: Store, places: Sequence[str]) -> None:
    """Free what lies in these places, which are left over, and tell the library. One that cannot be freed stays left
    over, and holds up no other. Raises StateError."""
    if isinstance(store, KeepsDerived):
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            freed = [place for place in some if await _is_freed(library, store.derived, place)]
            if freed:
                await library.freed(freed)


async def _is_freed(library: Library, derived: DerivedFiles, place: str) -> bool:
    """Free one; whether the library need not remember it any more. A generation that is indexed anew while another one
    is shown keeps its number, and what is made of it then comes into the places of what was made before."""
    told = read_place(place)
    rows = await library.derived(told[0]) if told is not None else ()
    if told is None or is_named(rows, place):  # nothing was ever put there, or something is again
        return True
    if is_awaited(rows, place):
        return False
    try:
        await in_thread(derived.free, place)
    except Exception as failure:
        log.warning("freeing what was made of a medium failed, it is tried again", place=place, error=str(failure))
        return False
    return True


async def _walk(house: House) -> None:
    report = Report()
    await free_unnamed(house.state.library, house.store, report, now=house.pace.clock())
    if not report.quiet:
        freed = human_size(report.freed)
        log.info("made of what is gone", leftovers=report.leftovers, freed=freed, failed=report.failed)
