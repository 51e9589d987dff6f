"""Whether this server can do jobs, and what does them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from ferryman_server.events import Event, Events
from ferryman_server.jobs.deriving import Deriving
from ferryman_server.jobs.extracting import EXTRACT, ExtractJobs
from ferryman_server.jobs.runner import Handler, Jobs
from ferryman_server.jobs.worker import Worker
from ferryman_server.media.derivatives import DERIVE
from ferryman_server.settings import Settings
from ferryman_server.state.base import State
from ferryman_server.state.media import Medium
from ferryman_server.storage.base import Store
from ferryman_server.storage.derived import KeepsDerived
from ferryman_server.storage.memory import MemoryStore

_PACKAGES: Final = {"dbos": "dbos", "av": "av", "PIL": "pillow"}  # what is imported, and what it is called


@dataclass(frozen=True, slots=True)
class Workplace:
    """What does jobs, and what puts them in."""

    jobs: Jobs
    extracting: ExtractJobs
    deriving: Deriving
    derives: bool  # whether it is wanted

    async def derive_again(self, medium: Medium) -> bool:
        """Have all that is made of a medium made anew. False: there is nothing to be made. Raises StateError."""
        if not self.derives or not await self.deriving.again(medium):
            return False
        self.jobs.wake()
        return True

    def listen(self, event: Event) -> None:
        """A medium has left a job in the outbox, if anything is made of media; subscribe this to the events."""
        if self.derives and event.name == "published":
            self.jobs.wake()


def why_not(store: Store) -> str | None:
    """Why no jobs can be done here; None: they can."""
    if isinstance(store, MemoryStore) or not isinstance(store, KeepsDerived):
        return f"the {store.name} store keeps its bytes inside the server"
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        return f"{' and '.join(missing)} missing: pip install ferryman[media]"
    return None


def open_workplace(
    settings: Settings, state: State, store: Store, events: Events, told: Callable[[str, str], None]
) -> Workplace | None:
    """What does jobs here; None: nothing can. `told` hears the kind and the outcome of each."""
    if why_not(store) is not None or not isinstance(store, KeepsDerived):
        return None
    deriving = Deriving(state, store.derived, events, clock=time.time)
    extracting = ExtractJobs(state.outbox, lambda: jobs.wake())
    handlers: dict[str, Handler] = {DERIVE: deriving, EXTRACT: extracting}
    jobs = Jobs(state.outbox, Worker(settings), handlers, clock=time.time, told=told)
    return Workplace(jobs, extracting, deriving, settings.previews)
