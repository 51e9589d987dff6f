"""Which web pages may upload here and read the answers: browsers of the allowed origins, and nobody else.

Starlette's middleware does it. Most requests carry no Origin, though – programs, and pages of this server itself – and
for them there is nothing to decide: they go past it, and their answers say only that one with an Origin may differ.
"""

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What a browser on another origin may read of an answer: every field a client of either protocol needs.
# fmt: off
_EXPOSED: Final = (
    "Accept-Encoding", "Accept-Patch", "Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range",
    "ETag", "Link", "Location", "Repr-Digest", "Retry-After", "Tus-Checksum-Algorithm", "Tus-Extension",
    "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Complete", "Upload-Concat", "Upload-Defer-Length",
    "Upload-Draft-Interop-Version", "Upload-Expires", "Upload-Incomplete", "Upload-Length", "Upload-Limit",
    "Upload-Metadata", "Upload-Offset",
)
# fmt: on
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_LOOPBACK: Final = r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?"
_VARY: Final = (b"vary", b"Origin")


class Cors:
    """The ASGI layer around the upload URLs."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        """`origins`: those allowed, exactly as a browser names them, or `*`; none: loopback ones."""
        self._app = app
        self._judge = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_origin_regex=None if origins else _LOOPBACK,
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=_EXPOSED,
            allow_private_network=True,  # a page of an allowed origin may reach a server on this machine or network
            max_age=86_400,  # seconds: one preflight per upload URL is plenty
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let browsers of the allowed origins upload and read every header they need; answer their preflights."""
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await self._judge(scope, receive, send)
            return

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), _VARY]}
            await send(message)

        await self._app(scope, receive, varied)
