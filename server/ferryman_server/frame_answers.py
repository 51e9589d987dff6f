"""A frame of a medium as an answer: its own bytes, those bytes as gzip, a picture made of it, or many in a row.

Each form has an ETag of its own, made of what the frame's bytes are (CRC-32 and size) and of what is done to them. Own
bytes are sent as they lie in the archive or unpacked on the way; a picture is made when it is known that it has to be
sent. Pictures have no ranges: another version of the encoder makes other bytes of the same frame.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.model import Request
from ferryman_protocol.problems import Problem
from ferryman_server.api_answers import problem_told
from ferryman_server.disposition import safe_name
from ferryman_server.downloads import Content, answered, described_as
from ferryman_server.media.conversions import Conversion, Conversions
from ferryman_server.media.entries import DEFLATED, Entry
from ferryman_server.media.frame_formats import MEDIA_TYPES, Format
from ferryman_server.media.gzip_form import gzip_size, gzipped
from ferryman_server.media.negotiation import PICTURE_SUFFIXES, PICTURE_TYPES, takes_gzip
from ferryman_server.media.pictures import BadPicture, PicturesMissing, Target, convert, thumbnail
from ferryman_server.media.spans import in_a_row
from ferryman_server.media.unpacking import pieces
from ferryman_server.sending import unavailable, unless_gone
from ferryman_server.storage.base import Store, StoreError

log = structlog.get_logger("ferryman.frames")

VARY: Final = "Accept, Accept-Encoding"
THUMB_BYTES: Final = {80: 8192, 160: 8192, 320: 32768}  # the most that a small picture takes, by its size


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A frame that is asked for, and what is told of every form of it."""

    n: int
    upload_id: str
    entry: Entry
    format: Format
    width: int  # pixels
    height: int
    published_at: float  # seconds since the epoch
    caching: str
    negotiated: bool = False  # whether the form was chosen by Accept

    @property
    def identity(self) -> str:
        """What its bytes are."""
        return f"{self.entry.crc:08x}-{self.entry.size:x}"

    def named(self, ending: str) -> str:
        """The name of the frame's file with another ending."""
        return PurePosixPath(safe_name(self.entry.name) or f"frame-{self.n}").stem + ending


class FrameAnswers:
    """Makes them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._conversions = Conversions(store)

    def own(self, frame: Frame, request: Request) -> Response:
        """Its own bytes; a deflated frame as gzip, where that is taken and no range is wanted."""
        ranged = request.method == "GET" and "range" in request.headers
        coded = frame.entry.method == DEFLATED and not ranged
        taken = coded and takes_gzip(request.headers.joined("accept-encoding"))
        content = self._gzip(frame) if taken else self._plain(frame)
        return answered(content.plan(request.method, request.headers), content)

    def picture(self, frame: Frame, to: Target, request: Request) -> Response:
        """A picture of it."""
        described = described_as(PICTURE_TYPES[to], frame.named(PICTURE_SUFFIXES[to]))
        return self._made(frame, to, described, partial(convert, to=to), request)

    def thumb(self, frame: Frame, size: int, request: Request) -> Response:
        """A small picture of it, a JPEG with no side above `size` pixels, one of THUMB_BYTES."""
        described = described_as("image/jpeg", frame.named(".jpg"))
        make = partial(thumbnail, box=(size, size), most=THUMB_BYTES[size])
        return self._made(frame, f"thumb{size}", described, make, request)

    def row(self, first: Frame, entries: Sequence[Entry], filename: str, request: Request) -> Response:
        """Frames from this one on, one behind the other, unpacked."""
        size = sum(entry.size for entry in entries)
        sums = hashlib.sha256(b"".join(b"%08x%x;" % (entry.crc, entry.size) for entry in entries)).hexdigest()
        content = Content(
            upload_id=first.upload_id,
            size=size,
            pieces=partial(in_a_row, self._store, first.upload_id, entries),
            etag=f'"{sums[:32]}-{size:x}"',
            last_modified=first.published_at,
            described=described_as(MEDIA_TYPES[first.format], filename),
            caching=first.caching,
        )
        return answered(content.plan(request.method, request.headers), content)

    def _plain(self, frame: Frame) -> Content:
        return Content(
            upload_id=frame.upload_id,
            size=frame.entry.size,
            pieces=partial(pieces, self._store, frame.upload_id, frame.entry),
            etag=f'"{frame.identity}"',
            last_modified=frame.published_at,
            described=described_as(MEDIA_TYPES[frame.format], frame.entry.name),
            caching=frame.caching,
            vary=_vary(frame, coded=frame.entry.method == DEFLATED),
        )

    def _gzip(self, frame: Frame) -> Content:
        plain, entry = self._plain(frame), frame.entry
        return replace(
            plain,
            size=gzip_size(entry),
            pieces=lambda start, stop: gzipped(self._store, frame.upload_id, entry),  # always all of it
            etag=f'"{frame.identity}-gzip{entry.packed:x}"',
            described={**plain.described, "Content-Encoding": "gzip"},
            ranges=False,
        )

    def _made(
        self,
        frame: Frame,
        form: str,
        described: Mapping[str, str],
        make: Callable[[bytes, Format, int, int], bytes],
        request: Request,
    ) -> Response:
        shape = frame.format, frame.width, frame.height
        etag = f'"{frame.identity}-{form}-{frame.format}-{frame.width}x{frame.height}"'
        vary = _vary(frame, coded=False)
        picture = replace(self._plain(frame), etag=etag, described=described, ranges=False, vary=vary)
        plan = picture.plan(request.method, request.headers)
        if plan.status != 200:
            return answered(plan, picture)
        conversion = Conversion(frame.upload_id, frame.entry, *shape, etag=etag, make=make)
        return _Picture(self._conversions, conversion, frame, picture.headers)


class _Picture(Response):
    """Makes a picture and sends it."""

    def __init__(
        self, conversions: Conversions, conversion: Conversion, frame: Frame, headers: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._conversions = conversions
        self._conversion = conversion
        self._frame = frame
        self._told = dict(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; a client that leaves ends the work."""
        try:
            picture = await unless_gone(self._conversions.picture(self._conversion), receive)
        except (BadPicture, PicturesMissing, StoreError) as failure:
            await self._refusal(failure)(scope, receive, send)
            return
        if picture is not None:
            length = {"Content-Length": str(len(picture))}
            body = b"" if scope["method"] == "HEAD" else picture
            await Response(body, headers=self._told | length)(scope, receive, send)

    def _refusal(self, failure: BadPicture | PicturesMissing | StoreError) -> Response:
        frame = self._frame
        if isinstance(failure, BadPicture):
            detail = f"frame {frame.n} ({safe_name(frame.entry.name)}): {failure.reason}"
            return problem_told(Problem(kind=problems.UNUSABLE_FRAME, detail=detail))
        if isinstance(failure, PicturesMissing):
            return problem_told(Problem(kind=problems.PICTURES_UNAVAILABLE, detail=str(failure)))
        log.warning("a frame could not be read", upload_id=frame.upload_id, frame=frame.n, error=str(failure))
        return unavailable()


def _vary(frame: Frame, *, coded: bool) -> str | None:
    """Which fields of the request the answer depends on: of an address with a suffix, only that of what is deflated."""
    return VARY if frame.negotiated or coded else None
