"""The page at `/` and its few files, with headers that keep anything uploaded from ever running as part of it."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from ferryman_server.page import page_dir

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # a new version of the server brings a new page; the ETag makes asking cheap
}
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def page_routes() -> list[BaseRoute]:
    """`/` and one route for each file of the page: nothing else in that folder, or above it, can be asked for."""
    files = sorted(path for path in page_dir().iterdir() if path.suffix in _TYPES)
    routes: list[BaseRoute] = [_route(f"/{path.name}", path) for path in files if path.name != "index.html"]
    return [_route("/", page_dir() / "index.html"), *routes]


def _route(url: str, path: Path) -> Route:
    async def serve(request: Request) -> Response:
        # RFC 9110 §14.2: "A server MAY ignore the Range header field"; these files are small
        request.scope["headers"] = [field for field in request.scope["headers"] if field[0] != b"range"]
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=_HEADERS)

    return Route(url, serve, methods=["GET"])
