"""What was made of a medium in the background, as an answer; and in words why there is none.

It may be made twice, after a crash for instance, and other bytes come of it: so the ETag is made of when it was made,
and of its size.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.problems import Refused
from ferryman_protocol.refusals import quoted, refusal
from ferryman_server.downloads import Content, described_as
from ferryman_server.frame_requests import listed
from ferryman_server.media.derivatives import MEDIA_TYPES, OF_KIND, place_of
from ferryman_server.state.media import Derived, Medium
from ferryman_server.storage.base import Store
from ferryman_server.storage.derived import KeepsDerived

_MICROSECONDS: Final = 1_000_000


def check_derivative(kind: str) -> None:
    """Whether this is made of any medium. Raises Refused."""
    if kind not in MEDIA_TYPES:
        detail = f"nothing is called {quoted(kind)} here; what is made of media is {listed(MEDIA_TYPES)}"
        raise refusal(problems.NOT_FOUND, detail)


def derived_content(store: Store, medium: Medium, rows: Sequence[Derived], kind: str, caching: str) -> Content:
    """The bytes of what was made of this generation of a medium; `rows`: what the library says of it. Raises
    Refused."""
    row = next((row for row in rows if row.kind == kind), None)
    place = place_of(medium.upload_id, medium.generation, kind)
    if row is None or row.state != "ready" or row.place != place or not isinstance(store, KeepsDerived):
        raise _missing(medium, kind, row)
    size = row.size or 0
    return Content(
        upload_id=medium.upload_id,
        size=size,
        pieces=partial(store.derived.read, place),
        etag=f'"{size:x}-{int(row.updated_at * _MICROSECONDS):x}"',
        last_modified=row.updated_at,
        described=described_as(MEDIA_TYPES[kind], f"{medium.slug}-{kind}"),
        caching=caching,
    )


def _missing(medium: Medium, kind: str, row: Derived | None) -> Refused:
    what = f"{kind} of {medium.slug}"
    if row is not None and row.state == "failed":
        detail = f"{what} could not be made: {row.reason or 'no reason is known'}"
    elif row is not None:  # also where it was made of what the archive was before it was indexed anew
        detail = f"{what} is being made"
    elif kind in OF_KIND[medium.kind]:
        detail = f"{what} was not to be made when this generation was published"
    else:
        made = OF_KIND[medium.kind]
        others = f"what is: {listed(made)}" if made else "nothing is"
        detail = f"{what} is not made of a medium of this kind ({medium.kind}); {others}"
    return refusal(problems.NO_SUCH_MEDIUM, detail)
