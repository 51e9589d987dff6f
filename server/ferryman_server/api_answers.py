"""What every handler of the JSON API does alike: who asks, and answers and refusals that nothing keeps."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.problems import Problem
from ferryman_server.auth import Caller
from ferryman_server.own_pages import refuse_foreign_pages
from ferryman_server.refusals import problem_of

log = structlog.get_logger("ferryman.api")

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_UNKEPT: Final = {"Cache-Control": "no-store"}
_READING: Final = ("GET", "HEAD")


def caller_of(request: Request) -> Caller:
    """Who asks."""
    return Caller(
        headers=Headers.from_raw(request.headers.raw), address=request.client.host if request.client else None
    )


def told(body: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return JSONResponse(body, status, headers=_UNKEPT)


def done() -> Response:
    """An answer that says no more than that it was done."""
    return Response(status_code=204, headers=_UNKEPT)


def refused(failure: Exception) -> Response:
    """What a request is told that ended with this; raises it again if it was not foreseen."""
    problem = problem_of(failure)
    if problem is None:
        raise failure
    if problem.kind.fault == "server":
        log.warning(
            "refused", code=problem.kind.code, detail=problem.detail, cause=f"{type(failure).__name__}: {failure}"
        )
    return problem_told(problem)


def problem_told(problem: Problem) -> Response:
    """A problem document (RFC 9457)."""
    headers = {**_UNKEPT, **dict(problem.headers)}
    return JSONResponse(problems.document(problem), problem.kind.status, headers, media_type="application/problem+json")


def route(path: str, **handlers: Handler) -> Route:
    """The route of a path, with a handler for each method (`GET=…`); what they raise is answered. Handlers of methods
    that change something are not called for pages of other sites."""
    return Route(path, _answering(handlers), methods=list(handlers))


def _answering(handlers: Mapping[str, Handler]) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            if request.method not in _READING:
                refuse_foreign_pages(caller_of(request).headers)
            return await handlers["GET" if request.method == "HEAD" else request.method](request)
        except Exception as failure:
            return refused(failure)

    return answer
