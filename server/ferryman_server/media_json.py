"""A medium for programs and the page: sizes in bytes, durations in seconds, times in seconds since the epoch."""

from collections.abc import Sequence
from typing import Any, Final

from ferryman_server.media.derivatives import MEDIA_TYPES
from ferryman_server.media.urls import MEDIA_PATH, frame_url, thumb_url
from ferryman_server.state.media import Derived, Medium

_FIRST: Final = 0


def medium_as_json(medium: Medium, upload_url: str) -> dict[str, Any]:
    """What a listing tells of it. `frame_url` and `thumb_url` have `{n}` where the frame's number goes, `derived` has
    the URLs of what was made of it, by kind."""
    return {
        "slug": medium.slug,
        "url": f"{MEDIA_PATH}{medium.slug}",
        "title": medium.title,
        "name": medium.name,
        "kind": medium.kind,
        "generation": medium.generation,
        "upload": medium.upload_id,
        "upload_url": upload_url,
        "size": medium.size,
        "content_type": medium.content_type,
        "width": medium.width,
        "height": medium.height,
        "format": medium.format,
        "fps": medium.fps,
        "frames": medium.frames,
        "duration": medium.duration,
        "frame_url": _template(frame_url(medium.slug, medium.generation, _FIRST, ""), medium),
        "thumb_url": _template(thumb_url(medium.slug, medium.generation, _FIRST), medium),
        "derived": {kind: _derived_url(medium, kind) for kind in medium.ready if kind in MEDIA_TYPES},
        "tags": list(medium.tags),
        "favourite": medium.favourite,
        "rating": medium.rating,
        "views": medium.views,
        "created_at": medium.created_at,
        "published_at": medium.published_at,
        "updated_at": medium.updated_at,
        "ready": list(medium.ready),
    }


def whole_medium_as_json(medium: Medium, upload_url: str, derived: Sequence[Derived]) -> dict[str, Any]:
    """The same, and what is made of it in the background."""
    return {**medium_as_json(medium, upload_url), "processing": [_derived_as_json(each) for each in derived]}


def _derived_as_json(derived: Derived) -> dict[str, Any]:
    return {
        "kind": derived.kind,
        "state": derived.state,
        "size": derived.size,
        "content_type": derived.content_type,
        "reason": derived.reason,
        "updated_at": derived.updated_at,
    }


def _derived_url(medium: Medium, kind: str) -> str:
    return f"{MEDIA_PATH}{medium.slug}/{kind}?g={medium.generation}"


def _template(first: str, medium: Medium) -> str | None:
    """Of the first frame's URL that of any; None where there are no frames. A slug has no slash in it."""
    if medium.frames is None:
        return None
    folder, slash, rest = first.rpartition("/")
    return f"{folder}{slash}{{n}}{rest.removeprefix(str(_FIRST))}"
