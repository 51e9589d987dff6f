"""`/files/` and `/files/{id}`: both upload protocols, and the bytes.

A plain ASGI callable: the body is poured by the transfer, not read by a framework. Every way out of it is one answer
made from the catalogue; a bug is a 500 without a trace in it, and the trace is in the log.
"""

from collections.abc import Callable
from dataclasses import replace

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.commands import Append, Command, Create, Describe, Fetch, Inspect, Terminate
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.model import TUS_VERSION, Interim, Phase, Request, Upload
from ferryman_protocol.negotiate import described, fallback, recognise
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.rufh import Rufh
from ferryman_server import request_log
from ferryman_server.answers import Answer
from ferryman_server.auth import Caller
from ferryman_server.downloads import plan_for, respond
from ferryman_server.house import Exchange, House
from ferryman_server.receive_body import open_body
from ferryman_server.refusals import Declined, problem_of
from ferryman_server.uploads import Uploads

log = structlog.get_logger("ferryman.files")


class FilesEndpoint:
    """The ASGI callable behind the upload URLs."""

    def __init__(self, house: House, uploads: Uploads) -> None:
        self._house = house
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers.from_raw(scope["headers"])
        request = Request(method=scope["method"], upload_id=_upload_id(scope["path"]), headers=headers)
        dialect: Dialect | None = None
        try:
            dialect = recognise(request, self._house.limits)
            response = await self._answer(request, dialect, scope, receive)
        except Exception as failure:
            response = self._refuse(dialect or fallback(request), failure)
        await response(scope, receive, send)

    async def _answer(self, request: Request, dialect: Dialect, scope: Scope, receive: Receive) -> ASGIApp:
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

    async def _carry_out(self, command: Command, x: Exchange, request: Request) -> ASGIApp:
        match command:
            case Create():
                return Answer(await self._uploads.create(command, x))
            case Append():
                request_log.bind_upload(command.upload_id)
                return Answer(await self._uploads.append(command, x))
            case Terminate():
                return Answer(await self._uploads.terminate(command, x))
            case Describe():
                return Answer(described(self._house.limits, upload=command.upload_id is not None))
            case Inspect():
                return await self._head(command, x, request)
            case Fetch():
                return await self._download(command, x, request)

    async def _head(self, command: Inspect, x: Exchange, request: Request) -> ASGIApp:
        reply, record = await self._uploads.inspect(command, x)
        if x.dialect.name != "rufh" or reply.status != 200:
            return Answer(reply)
        # a finished upload is an ordinary file too: HEAD tells what GET would (RFC 9110 §9.3.2), and the offsets
        response = respond(plan_for(request, record), self._house.store, record)
        for name, value in reply.headers:
            response.headers[name] = value
        return response

    async def _download(self, command: Fetch, x: Exchange, request: Request) -> ASGIApp:
        record = await self._uploads.fetch(command.upload_id, x, takes_over=command.takes_over)
        # "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
        version = (("Tus-Resumable", TUS_VERSION),) if x.dialect.name == "tus" else ()
        if record.upload.phase is not Phase.COMPLETE:
            # whatever the client speaks, an unfinished upload's GET tells the fields of an offset retrieval
            limits, now = self._house.limits, self._house.pace.clock()
            reply = Rufh(x.dialect.interop).inspected(record.upload, limits=limits, now=now)
            return Answer(replace(reply, headers=(*reply.headers, *version)))
        # the method that counts may have come in X-HTTP-Method-Override
        response = respond(plan_for(replace(request, method="GET"), record), self._house.store, record)
        for name, value in version:
            response.headers[name] = value
        return response

    def _refuse(self, dialect: Dialect, failure: Exception) -> ASGIApp:
        problem = problem_of(failure)
        upload: Upload | None = failure.upload if isinstance(failure, Declined) else None
        if problem is None:
            log.exception("a request failed for a reason that was not foreseen", exc_info=failure)
            problem = Problem(kind=problems.INTERNAL, detail="the server made a mistake; it is in its log")
        elif problem.kind.fault == "server":
            log.warning("refused", code=problem.kind.code, detail=problem.detail, cause=_cause(failure))
        self._house.metrics.refusals.labels(problem.kind.code).inc()
        return Answer(dialect.refused(problem, upload=upload, limits=self._house.limits, now=self._house.pace.clock()))


def _upload_id(path: str) -> str | None:
    """What follows `/files/`; None for the collection itself, and for `*`."""
    return path[len("/files/") :] or None if path.startswith("/files/") else None


def _informer(scope: Scope) -> Callable[[Interim], None]:
    wire = scope.get("extensions", {}).get("ferryman.wire")

    def inform(interim: Interim) -> None:
        if wire is not None:
            wire.inform(interim.status, interim.headers)

    return inform


def _cause(failure: Exception) -> str:
    cause = failure.__cause__ or failure
    return f"{type(cause).__name__}: {cause}"
