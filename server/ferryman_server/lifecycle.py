"""From open to closed: what has to be there before the first request is taken, and what goes on beside the requests.

Opening recovers what the last end left. Closing is the reverse, and waits a moment for requests that were cut short:
what they still write in worker threads must be over before another process may have the data.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from ferryman_protocol.model import Phase
from ferryman_server.backends import Backends, opened
from ferryman_server.house import House
from ferryman_server.jobs.opening import why_not
from ferryman_server.media.extracting import Extractor
from ferryman_server.media_leftovers import run_leftovers
from ferryman_server.reaper import run_reaper
from ferryman_server.recovery import is_final, recover
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record
from ferryman_server.state.boot import kernel_boot_id
from ferryman_server.tasks import cancel
from ferryman_server.uploads import Uploads

log = structlog.get_logger("ferryman.lifecycle")

_LOOK_AGAIN: Final = 30.0  # seconds between looks at what a failure left in FINISHING or WAITING
_LAST_WRITES: Final = 10.0  # seconds that requests cut short have to let go of their uploads


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    backends: Backends,
    house: House,
    uploads: Uploads,
    *listeners: contextlib.AbstractAsyncContextManager[object],
) -> AsyncIterator[None]:
    """Everything open and recovered, background work under way; all of it stopped and closed at the end. `listeners`
    are open from before the first event until after the last one, and the backends longer still."""
    async with contextlib.AsyncExitStack() as stack:
        if backends.lock is not None:
            backends.lock.acquire()
            stack.callback(backends.lock.release)
        await stack.enter_async_context(opened(backends))
        for listener in listeners:
            await stack.enter_async_context(listener)
        previous, current = backends.previous_boot(), kernel_boot_id()
        await recover(house, same_boot=None if previous is None or current is None else previous == current)
        stack.push_async_callback(house.indexer.close)
        await house.indexer.resume()
        stack.push_async_callback(house.mover.move)
        stack.push_async_callback(house.settler.close)
        stack.push_async_callback(house.assembler.close)
        background = [
            asyncio.create_task(house.settler.run()),
            asyncio.create_task(house.mover.run()),
            asyncio.create_task(run_reaper(house.state, house.store, settings, house.claims.busy, house.events)),
            asyncio.create_task(go_on_with_pending(house, uploads)),
            asyncio.create_task(run_leftovers(house, uploads)),
        ]
        stack.push_async_callback(cancel, background)
        await _open_workplace(settings, house, stack)
        yield
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITES):
                await house.claims.idle()


async def _open_workplace(settings: Settings, house: House, stack: contextlib.AsyncExitStack) -> None:
    """Begin what is done in the background, where it can be."""
    workplace = house.workplace
    if workplace is not None:
        await stack.enter_async_context(workplace.jobs.at_work())
    elif settings.previews:
        log.warning("no previews are made", reason=why_not(house.store))
    if settings.extract_to is not None:
        extractor = Extractor(
            house.state.library,
            house.store,
            settings.extract_to,
            durable=settings.durability == "disk",
            extract=None if workplace is None else workplace.extracting.extract,
        )
        await stack.enter_async_context(extractor.at_work(house.events))


async def go_on_with_pending(house: House, uploads: Uploads) -> None:
    """Finish what a crash or a failing store left half-way; look again every so often."""
    while True:
        try:
            for record in await house.state.in_phases((Phase.FINISHING, Phase.WAITING)):
                await _go_on_with(record, house, uploads)
        except Exception as failure:  # the state is away: the next round may find it back
            log.warning("looking for unfinished work failed, it is tried again", error=str(failure))
        await asyncio.sleep(_LOOK_AGAIN)


async def _go_on_with(record: Record, house: House, uploads: Uploads) -> None:
    upload = record.upload
    try:
        if upload.phase is Phase.WAITING:
            await house.assembler.reconsider(upload.id)
        elif is_final(record):
            house.assembler.start(upload.id)
        else:
            await uploads.publisher.finish_pending(upload.id)
    except Exception as failure:  # one that cannot be finished yet must not hold up the others
        log.warning("finishing an upload failed, it is tried again", upload_id=upload.id, error=str(failure))
