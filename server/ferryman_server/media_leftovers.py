"""Freeing what a deleted medium consisted of, also when the server was stopped in between.

A medium is deleted in one commit, which leaves its uploads over (:meth:`.library.Library.leftovers`). Each is then
terminated as its client would do it, and by that commit is left over no more. So whatever happens in between, it is
done at the next start; and what a store refuses, a while later.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from ferryman_protocol import problems
from ferryman_server.house import House
from ferryman_server.refusals import problem_of
from ferryman_server.uploads import Uploads

log = structlog.get_logger("ferryman.leftovers")

_MOST: Final = 10_000  # in one round
_LOOK_AGAIN: Final = 60.0  # seconds
_OVER: Final = (problems.NOT_FOUND, problems.GONE)


async def run_leftovers(house: House, uploads: Uploads) -> None:
    """Free what is left over, now and every so often, until cancelled."""
    while True:
        try:
            await free_leftovers(house, uploads)
        except Exception as failure:  # the state is away: the next round may find it back
            log.warning("looking for leftovers failed, it is tried again", error=str(failure))
        await asyncio.sleep(_LOOK_AGAIN)


async def free_leftovers(house: House, uploads: Uploads) -> None:
    """Free all that is left over and can be freed. Raises StateError."""
    left = await house.state.library.leftovers(_MOST)
    await free_uploads(uploads, left.uploads)


async def free_uploads(uploads: Uploads, ids: Sequence[str]) -> None:
    """Terminate these uploads. One that cannot be terminated stays left over, and holds up no other."""
    for upload_id in ids:
        try:
            await uploads.end(upload_id)
        except Exception as failure:
            problem = problem_of(failure)
            if problem is None or problem.kind not in _OVER:  # else somebody was quicker
                log.warning("freeing an upload failed, it is tried again", upload_id=upload_id, error=str(failure))
