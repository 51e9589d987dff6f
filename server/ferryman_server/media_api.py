"""The JSON side of the media library: what there is, what people change of it, and what becomes of archives.

Never answers another origin, and changes nothing for a page of one (:mod:`.own_pages`). Everything is asked of the
guard, for a medium with the upload that it shows.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ferryman_protocol import problems
from ferryman_protocol.ids import is_id
from ferryman_protocol.model import Phase
from ferryman_protocol.problems import Refused
from ferryman_protocol.refusals import not_found, quoted, refusal
from ferryman_server.api_answers import caller_of, done, route, told
from ferryman_server.auth import Action, ask
from ferryman_server.house import House
from ferryman_server.json_content import JSON, json_object
from ferryman_server.media_edits import chosen_slug, edit_of
from ferryman_server.media_json import medium_as_json, whole_medium_as_json
from ferryman_server.media_leftovers import free_uploads
from ferryman_server.media_queries import MOST, USUAL, listing_of, parameters, refuse, whole_number
from ferryman_server.processing import processing_of
from ferryman_server.state.base import Record, StateFull
from ferryman_server.state.media import Edit, Medium, SlugTaken
from ferryman_server.state.media_slugs import is_slug
from ferryman_server.upload_frames import Span, UploadFrames
from ferryman_server.uploads import Uploads

_PATCHES: Final = ("application/merge-patch+json", JSON)  # RFC 7396
_LAST_FRAME: Final = 10**9


class MediaApi:
    """The handlers."""

    def __init__(self, house: House, uploads: Uploads) -> None:
        self._house = house
        self._uploads = uploads
        self._library = house.state.library
        self._frames = UploadFrames(house)
        self._rewinding: set[str] = set()  # archives that are about to be indexed anew

    def routes(self) -> list[BaseRoute]:
        """Where they answer."""
        return [
            route("/api/media", GET=self.listing),
            route("/api/media/active", GET=self.active, PUT=self.choose),
            route("/api/media/{slug}", GET=self.medium, PATCH=self.edit, DELETE=self.delete),
            route("/api/media/{slug}/view", POST=self.view),
            route("/api/media/{slug}/reprocess", POST=self.reprocess),
            route("/api/tags", GET=self.tags),
            route("/api/uploads/{id}/frames", GET=self.frames),
            route("/api/uploads/{id}/reprocess", POST=self.reprocess_upload),
        ]

    # -- the library --------------------------------------------------------------------------------------------------

    async def listing(self, request: Request) -> Response:
        """`GET /api/media`: a page of it, in any order, narrowed or not."""
        await ask(self._house.guard, caller_of(request), Action.LIST, None)
        listing = listing_of(request.query_params)
        try:
            page = await self._library.listing(listing.selection, listing.limit, listing.cursor)
        except ValueError as error:
            refuse("cursor", str(error))
        media = [medium_as_json(medium, self._house.location(medium.upload_id)) for medium in page.media]
        return told({"media": media, "next": page.next})

    async def tags(self, request: Request) -> Response:
        """`GET /api/tags`."""
        await ask(self._house.guard, caller_of(request), Action.LIST, None)
        return told({"tags": [{"tag": tag, "media": count} for tag, count in await self._library.tags()]})

    async def active(self, request: Request) -> Response:
        """`GET /api/media/active`: what the player shows."""
        medium = await self._library.active()
        if medium is None:
            raise refusal(problems.NO_SUCH_MEDIUM, "No medium was chosen to be shown.")
        await self._ask(request, Action.INSPECT, medium)
        return told(await self._whole(medium))

    async def choose(self, request: Request) -> Response:
        """`PUT /api/media/active`: say what the player shows."""
        slug = chosen_slug(await json_object(request))
        if slug is None:
            await ask(self._house.guard, caller_of(request), Action.EDIT, None)
            await self._library.set_active(None)
            return done()
        medium = await self._known(slug)
        await self._ask(request, Action.EDIT, medium)
        if not await self._library.set_active(slug):
            raise _no_medium(slug)
        return told(await self._whole(medium))

    # -- one medium ---------------------------------------------------------------------------------------------------

    async def medium(self, request: Request) -> Response:
        """`GET /api/media/{slug}`."""
        return told(await self._whole(await self._allowed(request, Action.INSPECT)))

    async def edit(self, request: Request) -> Response:
        """`PATCH /api/media/{slug}`: change what people give it."""
        medium = await self._allowed(request, Action.EDIT)
        edit = edit_of(await json_object(request, _PATCHES))
        if edit != Edit():
            medium = await self._edited(medium, edit)
        return told(await self._whole(medium))

    async def delete(self, request: Request) -> Response:
        """`DELETE /api/media/{slug}`: the medium, and the uploads of all its generations."""
        medium = await self._allowed(request, Action.TERMINATE)
        try:
            left = await self._library.delete(medium.slug)
        except StateFull:
            await free_uploads(self._uploads, [medium.upload_id])  # unwanted data make the room for the commit
            left = await self._library.delete(medium.slug) or ()
        if left is None:
            raise _no_medium(medium.slug)
        await free_uploads(self._uploads, left)
        return done()

    async def view(self, request: Request) -> Response:
        """`POST /api/media/{slug}/view`: somebody has looked at it."""
        medium = await self._allowed(request, Action.DOWNLOAD)
        views = await self._library.viewed(medium.slug)
        if views is None:
            raise _no_medium(medium.slug)
        return told({"views": views})

    async def reprocess(self, request: Request) -> Response:
        """`POST /api/media/{slug}/reprocess`: index its archive anew."""
        medium = await self._allowed(request, Action.EDIT)
        return await self._again(await self._upload(medium))

    # -- uploads ------------------------------------------------------------------------------------------------------

    async def frames(self, request: Request) -> Response:
        """`GET /api/uploads/{id}/frames`: what is known of them."""
        record = await self._record(request, Action.INSPECT)
        said = parameters(request.query_params, ("start", "limit"))
        span = Span(whole_number(said, "start", 0, 0, _LAST_FRAME), whole_number(said, "limit", USUAL, 1, MOST))
        return told(await self._frames.told(record.upload.id, span))

    async def reprocess_upload(self, request: Request) -> Response:
        """`POST /api/uploads/{id}/reprocess`: index it anew, whatever it was found to be."""
        return await self._again(await self._record(request, Action.EDIT))

    async def _again(self, record: Record) -> Response:
        house, upload = self._house, record.upload
        if upload.phase is not Phase.COMPLETE:
            detail = f"The upload {upload.id} is {upload.phase}, not complete."
            raise refusal(problems.NOTHING_TO_PROCESS, detail)
        if not house.indexer.follows(upload.id) and upload.id not in self._rewinding:  # else it is being done
            await self._rewind(record)
        processing = await processing_of(house, [upload.id])
        return told({"upload": upload.id, "processing": processing.get(upload.id)}, 202)

    async def _rewind(self, record: Record) -> None:
        house, upload_id = self._house, record.upload.id
        self._rewinding.add(upload_id)
        try:
            if await house.state.archives.rewind(upload_id, house.pace.clock()) is not None:
                house.indexer.again(record)
            elif not await self._derive_again(upload_id):
                detail = f"The upload {upload_id} has no index: it is no archive, or was not to be processed."
                raise refusal(problems.NOTHING_TO_PROCESS, detail)
        finally:
            self._rewinding.discard(upload_id)

    async def _derive_again(self, upload_id: str) -> bool:
        workplace, medium = self._house.workplace, await self._library.by_upload(upload_id)
        return workplace is not None and medium is not None and await workplace.derive_again(medium)

    # -- what they share ----------------------------------------------------------------------------------------------

    async def _allowed(self, request: Request, action: Action) -> Medium:
        """The medium of the request's URL, with which the caller may do this."""
        medium = await self._known(request.path_params["slug"])
        await self._ask(request, action, medium)
        return medium

    async def _known(self, slug: str) -> Medium:
        medium = await self._library.get(slug) if is_slug(slug) else None
        if medium is None:
            raise _no_medium(slug)
        return medium

    async def _ask(self, request: Request, action: Action, medium: Medium) -> None:
        record = await self._upload(medium)
        await ask(self._house.guard, caller_of(request), action, record.upload)

    async def _upload(self, medium: Medium) -> Record:
        record = await self._house.state.get(medium.upload_id)
        if record is None:
            raise _no_medium(medium.slug)  # it went this very moment, and the medium with it
        return record

    async def _record(self, request: Request, action: Action) -> Record:
        upload_id = request.path_params["id"]
        record = await self._house.state.get(upload_id) if is_id(upload_id) else None
        if record is None:
            raise Refused(not_found(upload_id))
        await ask(self._house.guard, caller_of(request), action, record.upload)
        return record

    async def _edited(self, medium: Medium, edit: Edit) -> Medium:
        try:
            edited = await self._library.edit(medium.slug, edit, self._house.pace.clock())
        except SlugTaken as taken:
            raise refusal(problems.SLUG_TAKEN, f"{taken}.", members=[("field", "slug")]) from taken
        if edited is None:
            raise _no_medium(medium.slug)
        return edited

    async def _whole(self, medium: Medium) -> dict[str, Any]:
        derived = await self._library.derived(medium.upload_id)
        return whole_medium_as_json(medium, self._house.location(medium.upload_id), derived)


def _no_medium(slug: str) -> Refused:
    return refusal(problems.NO_SUCH_MEDIUM, f"There is no medium {quoted(slug)}.")
