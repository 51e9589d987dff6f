"""What the rooms of the server share, put together once in :mod:`ferryman_server.app`."""

from collections.abc import Callable
from dataclasses import dataclass

from ferryman_protocol.dialect import Dialect
from ferryman_protocol.model import Interim, Limits
from ferryman_server.auth import Caller, Guard
from ferryman_server.body import Body
from ferryman_server.claims import Claims
from ferryman_server.concatenation import Assembler
from ferryman_server.events import Events
from ferryman_server.finishing import Finisher
from ferryman_server.jobs.opening import Workplace
from ferryman_server.media.indexer import Indexer
from ferryman_server.metrics import Metrics
from ferryman_server.moving import Mover
from ferryman_server.settling import Settler
from ferryman_server.state.base import State
from ferryman_server.storage.base import Store
from ferryman_server.together import Together
from ferryman_server.transfer import Pace


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """The parts, wired to each other."""

    state: State
    store: Store
    events: Events
    metrics: Metrics
    claims: Claims
    finisher: Finisher
    assembler: Assembler
    settler: Settler
    together: Together
    mover: Mover
    indexer: Indexer
    workplace: Workplace | None  # None: nothing is done in the background
    guard: Guard
    limits: Limits
    pace: Pace
    location: Callable[[str], str]  # an upload's URL path from its id


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request being answered: who asks, in which dialect, its body, and how to send interim answers."""

    caller: Caller
    dialect: Dialect
    body: Body
    inform: Callable[[Interim], None]
