"""By which names this server may be asked for what people have uploaded.

A web page of another site can make its own name point to this machine (DNS rebinding); to the browser, the list of
uploads would then be that site's own. So a server that listens on loopback tells lists and figures only under loopback
names, and under those that the setting `allowed_hosts` adds; media too, whose names can be guessed. Upload URLs are not
affected: they hold 128 random bits.
"""

import ipaddress
import re
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.problems import Problem
from ferryman_server.settings import Settings

_PRIVATE: Final = ("/api/", "/media/", "/metrics")
_NAME: Final = re.compile(rb"(?P<name>\[[0-9a-fA-F:.]+\]|[^:]*)(:[0-9]*)?")


def known_hosts(settings: Settings) -> frozenset[str] | None:
    """The names besides loopback ones that count; None when every name does."""
    if not settings.allowed_hosts and not is_loopback(settings.host):
        return None
    return frozenset(name.lower() for name in settings.allowed_hosts)


def is_loopback(name: str) -> bool:
    """Whether a host name or address (in brackets or not) can only mean this machine."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


class KnownHosts:
    """Refuses to tell lists and figures under a name that is not ours."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 421 (RFC 9110 §15.5.20)."""
        if scope["type"] == "http" and scope["path"].startswith(_PRIVATE):
            name = _host(scope)
            if not is_loopback(name) and name not in self._names:
                detail = f"This server does not answer as {name[:60]!a} here; the setting allowed_hosts can add it."
                problem = Problem(kind=problems.UNKNOWN_HOST, detail=detail)
                body = problems.document(problem)
                response = JSONResponse(body, problem.kind.status, media_type="application/problem+json")
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _host(scope: Scope) -> str:
    value = next((value for name, value in scope["headers"] if name == b"host"), b"")
    match = _NAME.fullmatch(value)
    return match["name"].decode("latin-1").lower() if match else ""
