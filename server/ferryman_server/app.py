"""The server put together: settings in, ASGI application out.

    Observe → CORS (for the upload URLs only) → FilesEndpoint
            → API, health, metrics, page

The lifespan opens state and store, recovers what the last end left, and only then lets requests in.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from ferryman_protocol.model import Limits
from ferryman_server.api import Api, problem_handlers
from ferryman_server.auth import Guard, allow_everyone
from ferryman_server.backends import Backends, open_backends
from ferryman_server.claims import Claims
from ferryman_server.concatenation import Assembler
from ferryman_server.cors import Cors
from ferryman_server.events import Events
from ferryman_server.files_endpoint import FilesEndpoint
from ferryman_server.finishing import Finisher
from ferryman_server.hosts import KnownHosts, known_hosts
from ferryman_server.house import House
from ferryman_server.jobs.opening import open_workplace
from ferryman_server.lifecycle import running
from ferryman_server.media.indexer import Indexer
from ferryman_server.media.limits import limits_of
from ferryman_server.media.workshop import Workshop
from ferryman_server.media_api import MediaApi
from ferryman_server.media_endpoint import MediaEndpoint
from ferryman_server.metrics import Metrics
from ferryman_server.moving import Mover
from ferryman_server.observe import Observe
from ferryman_server.progress_log import ProgressLog
from ferryman_server.settings import Settings
from ferryman_server.settling import Settler
from ferryman_server.site import page_routes
from ferryman_server.storage.base import Concatenates, Store
from ferryman_server.storage.ledger import CopiesWhole, KeepsNoBooks
from ferryman_server.together import Together
from ferryman_server.transfer import Pace
from ferryman_server.uploads import Uploads

log = structlog.get_logger("ferryman.app")

WALKS: Final = 2  # archives that are walked at once: each takes a processor
TAIL_AFTER: Final = 30.0  # seconds after which bytes that do not fill a part become durable all the same


def build_house(settings: Settings, backends: Backends, *, guard: Guard, events: Events, metrics: Metrics) -> House:
    """Wire the parts to each other."""
    store, state, claims = backends.store, backends.state, Claims(metrics.takeovers.inc, metrics.claim_waited)
    by_themselves = isinstance(store, KeepsNoBooks)  # bytes become durable, part by part
    pace = Pace(
        checkpoint_size=settings.checkpoint_size if settings.durability == "disk" and not by_themselves else None,
        checkpoint_interval=TAIL_AFTER if by_themselves else settings.checkpoint_interval,
        upload_ttl=settings.upload_ttl,
        clock=time.time,
    )
    workplace = open_workplace(settings, state, store, events, metrics.count_job)
    workshop = Workshop(
        state=state,
        archives=state.archives,
        library=state.library,
        store=store,
        events=events,
        metrics=metrics,
        limits=limits_of(settings),
        clock=time.time,
        turns=asyncio.Semaphore(WALKS),
        drops_failed=settings.drop_failed,
        derives=workplace is not None and workplace.derives,
    )
    finisher = Finisher(state=state, store=store, events=events, pace=pace)
    return House(
        state=state,
        store=store,
        events=events,
        metrics=metrics,
        claims=claims,
        finisher=finisher,
        assembler=Assembler(
            state=state,
            store=store,
            claims=claims,
            finisher=finisher,
            events=events,
            pace=pace,
            max_size=settings.max_size,
        ),
        settler=Settler(state, store),
        together=Together(store),
        mover=Mover(store),
        indexer=Indexer(workshop),
        workplace=workplace,
        guard=guard,
        limits=_limits(settings, store),
        pace=pace,
        location=lambda upload_id: f"{settings.files_path}{upload_id}",
    )


def _limits(settings: Settings, store: Store) -> Limits:
    extensions = Limits().extensions
    if not isinstance(store, Concatenates | CopiesWhole):
        extensions = tuple(name for name in extensions if not name.startswith("concatenation"))
    return Limits(
        max_size=settings.max_size,
        max_append_size=settings.max_append_size,
        min_append_size=settings.min_append_size,
        max_age=int(settings.upload_ttl),
        extensions=extensions,
        files_path=settings.files_path,
    )


class Application:
    """The ASGI application, and the life around it."""

    def __init__(self, settings: Settings, backends: Backends, guard: Guard) -> None:
        self._settings = settings
        self._backends = backends
        events, metrics = Events(), Metrics()
        self.house = build_house(settings, backends, guard=guard, events=events, metrics=metrics)
        self._uploads = Uploads(self.house)
        self._api = Api(self.house, metrics)
        events.subscribe(metrics.listen)
        events.subscribe(ProgressLog().listen)
        events.subscribe(self.house.assembler.listen)
        events.subscribe(self.house.indexer.listen)
        if self.house.workplace is not None:
            events.subscribe(self.house.workplace.listen)
        events.subscribe(self._api.streams.listen)
        files = Cors(FilesEndpoint(self.house, self._uploads), settings.cors_origins)
        media = MediaApi(self.house, self._uploads)
        routes = [*self._api.routes(), *media.routes(), *MediaEndpoint(self.house).routes(), *page_routes()]
        inner = Starlette(routes=routes, lifespan=lambda _: self.running(), exception_handlers=problem_handlers())
        inner.router.redirect_slashes = False  # a redirect would name a host that the client chose
        hosts = known_hosts(settings)
        self._app = Observe(_by_path(files, inner if hosts is None else KnownHosts(inner, hosts)), metrics)

    def stopping(self) -> None:
        """End the answers that have no end of their own. To be called when the server begins to stop, before it waits
        for the requests under way."""
        self._api.streams.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the lifespan protocol of the ASGI server."""
        await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open and recovered for the length of the `async with`. Raises StateError and StoreError in words for the
        operator when it cannot start."""
        async with running(self._settings, self._backends, self.house, self._uploads, self._api.streams):
            self._api.ready = True
            try:
                yield
            finally:
                self._api.ready = False


def create_app(settings: Settings, *, backends: Backends | None = None, guard: Guard = allow_everyone) -> Application:
    """The application. `backends` are made from the settings unless given; opened and closed by its `running`."""
    return Application(settings, backends or open_backends(settings), guard)


def _by_path(files: ASGIApp, others: ASGIApp) -> ASGIApp:
    """Upload URLs go straight to their endpoint: they are asked for thousands of times a second, and need no router."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        await (files if scope["type"] == "http" and _is_files(scope) else others)(scope, receive, send)

    return choose


def _is_files(scope: Scope) -> bool:
    path: str = scope["path"]
    # `OPTIONS *` asks about the server as a whole (RFC 9110 §9.3.7): what holds for the uploads, holds for it.
    return path.startswith("/files/") or path == "/files" or (path == "*" and scope["method"] == "OPTIONS")
