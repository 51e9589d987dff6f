"""`/media/…`: media, their frames, and what is made of them; docs/reference/media-urls.md tells all of it.

What is asked for is looked up in the library, the guard is asked, and the answer is made by
:mod:`ferryman_server.downloads`, :mod:`ferryman_server.frame_answers` or :mod:`ferryman_server.derived_answers`. With
a generation in the URL, an answer holds for ever and says so; without one it is that of the active generation, and
asked for again each time.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.model import Phase, Request
from ferryman_protocol.problems import Refused
from ferryman_protocol.refusals import not_found, quoted, refusal
from ferryman_server import request_log
from ferryman_server.api_answers import caller_of, route
from ferryman_server.auth import Action, ask
from ferryman_server.derived_answers import check_derivative, derived_content
from ferryman_server.downloads import CACHE_CONTROL, Content, answered, described_as, plan_for, respond
from ferryman_server.frame_answers import Frame, FrameAnswers
from ferryman_server.frame_requests import check_row, count_of, form_of, format_of, listed
from ferryman_server.house import House
from ferryman_server.media.urls import THUMB_SIZES, FrameName, FramesName, read_frame, read_number
from ferryman_server.state.base import Record
from ferryman_server.state.media import FrameRow, Medium
from ferryman_server.state.media_slugs import is_slug

FOR_EVER: Final = "private, max-age=31536000, immutable"
_SIZES: Final = {str(size): size for size in THUMB_SIZES}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What is asked for: a generation of a medium, which the guard has let pass."""

    request: Request
    medium: Medium
    record: Record
    caching: str

    def frame(self, row: FrameRow, *, negotiated: bool = False) -> Frame:
        """One of its frames."""
        medium = self.medium
        return Frame(
            n=row.n,
            upload_id=row.upload_id,
            entry=row.indexed.entry,
            format=format_of(medium),
            width=medium.width or 0,
            height=medium.height or 0,
            published_at=medium.published_at,
            caching=self.caching,
            negotiated=negotiated,
        )


class MediaEndpoint:
    """The handlers."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._answers = FrameAnswers(house.store)

    def routes(self) -> list[BaseRoute]:
        """Where they answer, to GET and HEAD."""
        return [
            route("/media/{slug}", GET=self.medium),
            route("/media/{slug}/{derivative}", GET=self.derived),
            route("/media/{slug}/frames/{frame}", GET=self.frames),
            route("/media/{slug}/thumbs/{n}.jpg", GET=self.thumb),
            route("/api/uploads/{id}/thumbs/{number}.jpg", GET=self.upload_thumb),
        ]

    async def medium(self, http: HttpRequest) -> Response:
        """`GET /media/{slug}`: the bytes as they were uploaded."""
        asked = await self._asked(http)
        plan = plan_for(asked.request, asked.record)
        return respond(plan, self._house.store, asked.record, caching=asked.caching)

    async def derived(self, http: HttpRequest) -> Response:
        """`GET /media/{slug}/poster.jpg` and the like: what was made of it in the background."""
        kind = http.path_params["derivative"]
        check_derivative(kind)
        asked = await self._asked(http)
        rows = await self._house.state.library.derived(asked.medium.upload_id)
        content = derived_content(self._house.store, asked.medium, rows, kind, asked.caching)
        return answered(content.plan(asked.request.method, asked.request.headers), content)

    async def frames(self, http: HttpRequest) -> Response:
        """`GET /media/{slug}/frames/{n}`, `{n}.png`, `{a}-{b}.raw` and the like."""
        name = read_frame(http.path_params["frame"])
        if name is None:
            raise refusal(problems.NO_SUCH_MEDIUM, "no frame can have this address; frames/0 is the first one")
        asked = await self._asked(http)
        return await (self._row(asked, name) if isinstance(name, FramesName) else self._frame(asked, name))

    async def thumb(self, http: HttpRequest) -> Response:
        """`GET /media/{slug}/thumbs/{n}.jpg?size=160`."""
        n = _number(http.path_params["n"])
        size = _SIZES.get(http.query_params.get("size", "160"))
        if size is None:
            detail = f"size is one of {listed(THUMB_SIZES)}, not {quoted(http.query_params['size'])}"
            raise refusal(problems.BAD_REQUEST, detail)
        asked = await self._asked(http)
        (row,) = await self._rows(asked.medium, n, n)
        return self._answers.thumb(asked.frame(row), size, asked.request)

    async def upload_thumb(self, http: HttpRequest) -> Response:
        """`GET /api/uploads/{id}/thumbs/{number}.jpg`: a small picture of an entry of a running upload."""
        upload_id, number = http.path_params["id"], _number(http.path_params["number"])
        record = await self._house.state.get(upload_id) if is_id(upload_id) else None
        if record is None:
            raise Refused(not_found(upload_id))
        await ask(self._house.guard, caller_of(http), Action.INSPECT, record.upload)
        picture = await self._house.state.archives.thumb(upload_id, number)
        if picture is None:
            raise refusal(problems.NO_SUCH_MEDIUM, f"there is no small picture of entry {number} of this upload")
        content = Content(
            upload_id=upload_id,
            size=len(picture),
            pieces=lambda start, stop: iter((picture[start:stop],)),
            etag=f'"{zlib.crc32(picture):08x}-{len(picture):x}"',
            last_modified=None,
            described=described_as("image/jpeg", f"{number}.jpg"),
        )
        request = _request(http)
        return answered(content.plan(request.method, request.headers), content)

    async def _frame(self, asked: _Asked, name: FrameName) -> Response:
        (row,) = await self._rows(asked.medium, name.n, name.n)
        form = form_of(asked.medium, name, asked.request.headers)
        frame = asked.frame(row, negotiated=name.suffix is None)
        if form == "own":
            return self._answers.own(frame, asked.request)
        return self._answers.picture(frame, form, asked.request)

    async def _row(self, asked: _Asked, name: FramesName) -> Response:
        check_row(asked.medium, name)
        rows = await self._rows(asked.medium, name.first, name.last)
        filename = f"{asked.medium.slug}-{name.first}-{name.last}.raw"
        entries = [row.indexed.entry for row in rows]
        return self._answers.row(asked.frame(rows[0]), entries, filename, asked.request)

    # -- looking up ---------------------------------------------------------------------------------------------------

    async def _asked(self, http: HttpRequest) -> _Asked:
        """The generation that the URL means, once the guard has let it pass."""
        slug, number = http.path_params["slug"], _generation(http)
        medium = await self._house.state.library.get(slug, number) if is_slug(slug) else None
        record = None if medium is None else await self._house.state.get(medium.upload_id)
        if medium is None or record is None or record.upload.phase is not Phase.COMPLETE:
            which = "" if number is None else f" with generation {number}; without g the active one is to be had"
            raise refusal(problems.NO_SUCH_MEDIUM, f"there is no medium {quoted(slug)}{which}")
        request_log.bind_upload(medium.upload_id)
        await ask(self._house.guard, caller_of(http), Action.DOWNLOAD, record.upload)
        caching = CACHE_CONTROL if number is None else FOR_EVER
        return _Asked(request=_request(http), medium=medium, record=record, caching=caching)

    async def _rows(self, medium: Medium, first: int, last: int) -> Sequence[FrameRow]:
        """Frames `first` to `last` of this generation, all of them."""
        count, asked = count_of(medium), f"frame {last}" if first == last else f"frames {first} to {last}"
        if last >= count:
            raise refusal(problems.NO_SUCH_MEDIUM, f"{medium.slug} has no {asked}: its frames are 0 to {count - 1}")
        rows = await self._house.state.library.frames_of(medium.upload_id, first, last + 1)
        if len(rows) <= last - first or rows[0].generation != medium.generation:
            detail = f"{medium.slug} has no {asked} any more: its archive was indexed anew, or is about to be"
            raise refusal(problems.NO_SUCH_MEDIUM, detail)
        return rows


def _generation(http: HttpRequest) -> int | None:
    text = http.query_params.get("g")
    number = None if text is None else read_number(text)
    if number is None and text is not None:
        raise refusal(problems.BAD_REQUEST, f"g is the number of a generation, not {quoted(text)}")
    return number


def _number(text: str) -> int:
    number = read_number(text)
    if number is None:
        raise refusal(problems.NO_SUCH_MEDIUM, "no picture can have this address; thumbs/0.jpg is the first one")
    return number


def _request(http: HttpRequest) -> Request:
    return Request(method=http.method, upload_id=None, headers=Headers.from_raw(http.headers.raw))
