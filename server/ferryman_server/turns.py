"""A request's turn on an upload: it asks those before it to stop, and waits for them no longer than a client should."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.model import Phase
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.refusals import RETRY_SOON, finishing, not_found
from ferryman_server.claims import Claim, NotYet, Wish
from ferryman_server.house import House
from ferryman_server.refusals import Declined

PATIENCE: Final = 10.0  # seconds a request waits for another one that publishes or makes durable (DESIGN §3)


@contextlib.asynccontextmanager
async def turn(house: House, upload_id: str, wish: Wish) -> AsyncIterator[Claim]:
    """A claim that waits as long as a request may. Raises Declined (503) when it is not its turn by then."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            claim = await stack.enter_async_context(house.claims.take(upload_id, wish, patience=PATIENCE))
        except NotYet as not_yet:
            raise await _not_yet(house, upload_id) from not_yet
        yield claim


async def _not_yet(house: House, upload_id: str) -> Exception:
    record = await house.state.get(upload_id)
    if record is None:
        return Refused(not_found(upload_id))
    if record.upload.phase is Phase.FINISHING:
        return Declined(finishing(record.upload), record.upload)
    detail = "what an earlier request has sent is still being made durable"
    problem = Problem(kind=problems.STORAGE_UNAVAILABLE, detail=detail, headers=RETRY_SOON)
    return Declined(problem, record.upload)
