"""The JSON side: the list of uploads, one upload, health, metrics. Never answers another origin (no CORS here)."""

from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ferryman_protocol import problems
from ferryman_protocol.ids import is_id
from ferryman_protocol.problems import Problem, Refused
from ferryman_server import sse
from ferryman_server.api_answers import caller_of, done, problem_told, route, told
from ferryman_server.auth import Action, ask
from ferryman_server.event_hub import EventHub
from ferryman_server.event_snapshots import GONE
from ferryman_server.event_stream import EventStream
from ferryman_server.house import House
from ferryman_server.metrics import Metrics
from ferryman_server.processing import processing_of
from ferryman_server.state.base import Record

PAGE_LIMIT = 500  # uploads in one answer


def as_json(record: Record, location: str) -> dict[str, Any]:
    """An upload for programs and the page: sizes in bytes, times in seconds since the epoch."""
    upload = record.upload
    return {
        "id": upload.id,
        "url": location,
        "phase": upload.phase.value,
        "offset": upload.offset,
        "length": upload.length,
        "filename": upload.filename,
        "content_type": upload.content_type,
        "dialect": upload.dialect,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "completed_at": record.completed_at,
        "expires_at": upload.expires_at,
        "reason": upload.reason,
    }


class Api:
    """The handlers; observers, all of them: nothing here disturbs a transfer."""

    def __init__(self, house: House, metrics: Metrics) -> None:
        self._house = house
        self._metrics = metrics
        self.streams = EventHub(house.state, self._as_json)
        self.ready = False  # set by the app once recovery is done, and taken back when it stops

    def routes(self) -> list[BaseRoute]:
        """Where they answer."""
        return [
            route("/api/uploads", GET=self.uploads),
            route("/api/uploads/{id}", GET=self.upload),
            route("/api/uploads/{id}/events", GET=self.upload_events),
            route("/api/events", GET=self.events),
            route("/healthz", GET=self.healthz),
            route("/readyz", GET=self.readyz),
            route("/metrics", GET=self.metrics),
        ]

    async def uploads(self, request: Request) -> Response:
        """`GET /api/uploads?limit=&cursor=`: newest first, keyset-paged."""
        await ask(self._house.guard, caller_of(request), Action.LIST, None)
        try:
            limit = _limit(request.query_params.get("limit"))
            page = await self._house.state.page(limit=limit, cursor=request.query_params.get("cursor"))
        except ValueError as error:
            raise Refused(Problem(kind=problems.BAD_REQUEST, detail=str(error))) from error
        return told({"uploads": await self._as_json(page.records), "next": page.next})

    async def upload(self, request: Request) -> Response:
        """`GET /api/uploads/{id}`."""
        (upload,) = await self._as_json([await self._record(request)])
        return told(upload)

    async def events(self, request: Request) -> Response:
        """`GET /api/events?last_event_id=`: what happens to uploads, as it happens (docs/reference/events.md)."""
        await ask(self._house.guard, caller_of(request), Action.LIST, None)
        return EventStream(None if request.method == "HEAD" else await self.streams.follow(_last_heard(request)))

    async def upload_events(self, request: Request) -> Response:
        """`GET /api/uploads/{id}/events?last_event_id=`: what happens to one upload."""
        upload = (await self._record(request)).upload
        if request.method == "HEAD":
            return EventStream(None)
        follower = await self.streams.follow(_last_heard(request), upload.id, over=upload.phase in GONE)
        # "Clients will reconnect if the connection is closed; a client can be told to stop reconnecting using the
        # HTTP 204 No Content response code." (HTML Living Standard §9.2.3)
        return done() if follower is None else EventStream(follower)

    async def healthz(self, request: Request) -> Response:
        """The process is alive."""
        return told({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Recovery is done and the state answers."""
        uploads = await self._house.state.counts() if self.ready else {}
        status = "ready" if self.ready else "not ready"
        return told({"status": status, "uploads": uploads}, 200 if self.ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text."""
        body, media_type = await self._metrics.scrape(self._house.state, self._house.store)
        return Response(body, media_type=media_type, headers={"Cache-Control": "no-store"})

    async def _record(self, request: Request) -> Record:
        """The upload that a URL names. Raises Refused when there is none, or it may not be looked at."""
        upload_id = request.path_params["id"]
        record = await self._house.state.get(upload_id) if is_id(upload_id) else None
        if record is None:
            raise Refused(Problem(kind=problems.NOT_FOUND, detail="there is no upload at this URL"))
        await ask(self._house.guard, caller_of(request), Action.INSPECT, record.upload)
        return record

    async def _as_json(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        processing = await processing_of(self._house, [record.upload.id for record in records])
        return [
            {**as_json(record, self._house.location(record.upload.id)), "processing": processing.get(record.upload.id)}
            for record in records
        ]


def _last_heard(request: Request) -> int | None:
    """The last event that a listener heard. The field counts more than the URL: a browser that comes back sends both,
    and the URL is that of its first request."""
    return sse.read_id(request.headers.get("last-event-id") or request.query_params.get("last_event_id"))


def _limit(text: str | None) -> int:
    if text is None:
        return 100
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= PAGE_LIMIT:
        raise ValueError(f"limit is a whole number from 1 to {PAGE_LIMIT}, not {text[:40]!r}")
    return int(text)


def problem_handlers() -> dict[Any, Any]:
    """Starlette's own refusals (no such page, method not allowed) in the same words and form as all others."""

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: problems.NOT_FOUND, 405: problems.METHOD_NOT_ALLOWED}.get(error.status_code, problems.BAD_REQUEST)
        headers = tuple((error.headers or {}).items())
        return problem_told(
            Problem(kind=kind, detail=f"{request.method} {request.url.path}: nothing here", headers=headers)
        )

    return {HTTPException: http_error}
