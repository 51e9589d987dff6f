"""`/files/` and `/files/{id}`: both upload protocols, and the bytes.

A plain ASGI callable: the body is poured by the transfer, not read by a framework. Every way out of it is one answer
made from the catalogue; a bug is a 500 without a trace in it, and the trace is in the log.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.commands import Append, Command, Create, Describe, Fetch, Inspect, Terminate
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.model import TUS_VERSION, Interim, Phase, Reply, Request, Upload
from ferryman_protocol.negotiate import described, fallback, recognise
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.rufh import Rufh
from ferryman_server.auth import Caller
from ferryman_server.downloads import plan_for, respond
from ferryman_server.house import Exchange, House
from ferryman_server.receive_body import open_body
from ferryman_server.refusals import Declined, problem_of
from ferryman_server.uploads import Uploads

log = structlog.get_logger("ferryman.files")

_TAIL: Final = re.compile(r"/files/?(?P<id>.*)", re.DOTALL)


class FilesEndpoint:
    """The ASGI callable behind the upload URLs."""

    def __init__(self, house: House, uploads: Uploads) -> None:
        self._house = house
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers.from_raw(scope["headers"])
        request = Request(method=scope["method"], upload_id=_upload_id(scope["path"]), headers=headers)
        dialect = fallback(request)
        try:
            dialect = recognise(request, self._house.limits)
            response = await self._answer(request, dialect, scope, receive)
        except Exception as failure:
            response = self._refuse(dialect, failure)
        await response(scope, receive, send)

    async def _answer(self, request: Request, dialect: Dialect, scope: Scope, receive: Receive) -> Response:
        if request.upload_id is not None and not is_id(request.upload_id) and request.method != "OPTIONS":
            raise Refused(Problem(kind=problems.NOT_FOUND, detail="there is no upload at this URL"))
        command = dialect.read(request, self._house.limits)
        client = scope.get("client")
        exchange = Exchange(
            caller=Caller(headers=request.headers, address=client[0] if client else None),
            dialect=dialect,
            body=open_body(scope, receive),
            inform=_informer(scope),
        )
        return await self._carry_out(command, exchange, request)

    async def _carry_out(self, command: Command, x: Exchange, request: Request) -> Response:
        match command:
            case Create():
                return _response(await self._uploads.create(command, x))
            case Append():
                structlog.contextvars.bind_contextvars(upload_id=command.upload_id)
                return _response(await self._uploads.append(command, x))
            case Terminate():
                return _response(await self._uploads.terminate(command, x))
            case Describe():
                return _response(described(self._house.limits, upload=command.upload_id is not None))
            case Inspect():
                return await self._head(command, x, request)
            case Fetch():
                return await self._download(command, x, request)

    async def _head(self, command: Inspect, x: Exchange, request: Request) -> Response:
        reply, record = await self._uploads.inspect(command, x)
        if x.dialect.name != "rufh" or reply.status != 200:
            return _response(reply)
        # a finished upload is an ordinary file too: HEAD tells what GET would (RFC 9110 §9.3.2), and the offsets
        response = respond(plan_for(request, record), self._house.store, record)
        for name, value in reply.headers:
            response.headers[name] = value
        return response

    async def _download(self, command: Fetch, x: Exchange, request: Request) -> Response:
        record = await self._uploads.fetch(command.upload_id, x, takes_over=command.takes_over)
        if record.upload.phase is Phase.COMPLETE:
            # the method that counts may have come in X-HTTP-Method-Override
            response = respond(plan_for(replace(request, method="GET"), record), self._house.store, record)
        else:
            # whatever the client speaks, an unfinished upload's GET tells the fields of an offset retrieval
            retrieval = Rufh(x.dialect.interop)
            limits, now = self._house.limits, self._house.pace.clock()
            response = _response(retrieval.inspected(record.upload, limits=limits, now=now))
        if x.dialect.name == "tus":
            # "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
            response.headers["Tus-Resumable"] = TUS_VERSION
        return response

    def _refuse(self, dialect: Dialect, failure: Exception) -> Response:
        problem = problem_of(failure)
        upload: Upload | None = failure.upload if isinstance(failure, Declined) else None
        if problem is None:
            log.exception("a request failed for a reason that was not foreseen", exc_info=failure)
            problem = Problem(kind=problems.INTERNAL, detail="the server made a mistake; it is in its log")
        elif problem.kind.fault == "server":
            log.warning("refused", code=problem.kind.code, detail=problem.detail, cause=_cause(failure))
        self._house.metrics.refusals.labels(problem.kind.code).inc()
        return _response(
            dialect.refused(problem, upload=upload, limits=self._house.limits, now=self._house.pace.clock())
        )


def _upload_id(path: str) -> str | None:
    match = _TAIL.fullmatch(path)
    tail = match["id"] if match else ""
    return tail or None


def _informer(scope: Scope) -> Callable[[Interim], None]:
    wire = scope.get("extensions", {}).get("ferryman.wire")

    def inform(interim: Interim) -> None:
        if wire is not None:
            wire.inform(interim.status, interim.headers)

    return inform


def _cause(failure: Exception) -> str:
    cause = failure.__cause__ or failure
    return f"{type(cause).__name__}: {cause}"


def _response(reply: Reply) -> Response:
    if reply.problem is not None:
        response: Response = JSONResponse(
            problems.document(reply.problem), reply.status, media_type="application/problem+json"
        )
    else:
        response = Response(status_code=reply.status)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response
