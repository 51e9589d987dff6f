"""The JSON side: the list of uploads, one upload, health, metrics. Never answers another origin (no CORS here)."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.problems import Problem, Refused
from ferryman_server.auth import Action, Caller, ask
from ferryman_server.house import House
from ferryman_server.metrics import Metrics
from ferryman_server.refusals import problem_of
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
        self.ready = False  # set by the app once recovery is done, and taken back when it stops

    def routes(self) -> list[BaseRoute]:
        """Where they answer."""
        return [
            Route("/api/uploads", self.uploads, methods=["GET"]),
            Route("/api/uploads/{id}", self.upload, methods=["GET"]),
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def uploads(self, request: Request) -> Response:
        """`GET /api/uploads?limit=&cursor=`: newest first, keyset-paged."""
        try:
            await ask(self._house.guard, _caller(request), Action.LIST, None)
            limit = _limit(request.query_params.get("limit"))
            page = await self._house.state.page(limit=limit, cursor=request.query_params.get("cursor"))
        except ValueError as error:
            return _problem(Problem(kind=problems.BAD_REQUEST, detail=str(error)))
        except Exception as failure:
            return _refusal(failure)
        uploads = [as_json(record, self._house.location(record.upload.id)) for record in page.records]
        return JSONResponse({"uploads": uploads, "next": page.next}, headers={"Cache-Control": "no-store"})

    async def upload(self, request: Request) -> Response:
        """`GET /api/uploads/{id}`."""
        try:
            upload_id = request.path_params["id"]
            record = await self._house.state.get(upload_id) if is_id(upload_id) else None
            if record is None:
                raise Refused(Problem(kind=problems.NOT_FOUND, detail="there is no upload at this URL"))
            await ask(self._house.guard, _caller(request), Action.INSPECT, record.upload)
        except Exception as failure:
            return _refusal(failure)
        return JSONResponse(as_json(record, self._house.location(upload_id)), headers={"Cache-Control": "no-store"})

    async def healthz(self, request: Request) -> Response:
        """The process is alive."""
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def readyz(self, request: Request) -> Response:
        """Recovery is done and the state answers."""
        try:
            uploads = await self._house.state.counts() if self.ready else {}
        except Exception as failure:
            return _refusal(failure)
        status = 200 if self.ready else 503
        body = {"status": "ready" if self.ready else "not ready", "uploads": uploads}
        return JSONResponse(body, status, headers={"Cache-Control": "no-store"})

    async def metrics(self, request: Request) -> Response:
        """Prometheus text."""
        try:
            body, media_type = await self._metrics.scrape(self._house.state, self._house.store)
        except Exception as failure:
            return _refusal(failure)
        return Response(body, media_type=media_type, headers={"Cache-Control": "no-store"})


def _caller(request: Request) -> Caller:
    return Caller(
        headers=Headers.from_raw(request.headers.raw), address=request.client.host if request.client else None
    )


def _limit(text: str | None) -> int:
    if text is None:
        return 100
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= PAGE_LIMIT:
        raise ValueError(f"limit is a whole number from 1 to {PAGE_LIMIT}, not {text[:40]!r}")
    return int(text)


def _refusal(failure: Exception) -> Response:
    problem = problem_of(failure)
    if problem is None:
        raise failure
    return _problem(problem)


def _problem(problem: Problem) -> Response:
    headers = {"Cache-Control": "no-store", **dict(problem.headers)}
    return JSONResponse(problems.document(problem), problem.kind.status, headers, media_type="application/problem+json")


def problem_handlers() -> dict[Any, Any]:
    """Starlette's own refusals (no such page, method not allowed) in the same words and form as all others."""

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: problems.NOT_FOUND, 405: problems.METHOD_NOT_ALLOWED}.get(error.status_code, problems.BAD_REQUEST)
        headers = tuple((error.headers or {}).items())
        return _problem(
            Problem(kind=kind, detail=f"{request.method} {request.url.path}: nothing here", headers=headers)
        )

    return {HTTPException: http_error}
