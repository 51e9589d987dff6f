"""The interop versions of Resumable Uploads for HTTP that are spoken here, and what tells them apart.

A draft's interop version is bumped for breaking changes only: 3 is draft -01, 4 is -02, 5 is -03, 6 is -04 and -05,
7 is -06 to -08, 8 is -09 to -11, 9 is -12, 10 is -13. Everything not in this table is the same in all of them.

- 3 says `Upload-Incomplete`, the opposite of `Upload-Complete`, and its absence on an append ends the upload.
- Up to 5 an append needs no media type; since 6 it must be `application/partial-upload`.
- Up to 6 an incomplete append is answered 201; since 7 any 2xx will do, and 204 says it best.
- HEAD (up to 6 by the drafts, 7 kept so here) and DELETE (up to 6) that carry an offset or completeness are refused.
- Up to 4 a HEAD is answered 204 and nothing else.
- Since 5 there are 104 answers that tell progress.
- 6 calls the lifetime in `Upload-Limit` `expires`; since 7 it is `max-age`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ferryman_protocol.limit_fields import AgeKey

INTEROP_HEADER: Final = "Upload-Draft-Interop-Version"


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What one interop version asks for."""

    number: int
    inverted: bool = False  # completeness is told by Upload-Incomplete
    head_only_204: bool = False
    partial_upload_type: bool = True  # an append must be application/partial-upload
    head_forbids: tuple[str, ...] = ()  # fields that make a HEAD 400
    delete_forbids: tuple[str, ...] = ()
    progress: bool = True  # 104 answers tell offsets
    appended_status: int = 204  # of an append that leaves the upload incomplete
    age_key: AgeKey = "max-age"

    @property
    def completeness(self) -> str:
        """The name of the header field that tells whether the upload is complete."""
        return "Upload-Incomplete" if self.inverted else "Upload-Complete"


_OFFSET_INCOMPLETE: Final = ("Upload-Offset", "Upload-Incomplete")
_OFFSET_COMPLETE: Final = ("Upload-Offset", "Upload-Complete")
_WITH_LENGTH: Final = (*_OFFSET_COMPLETE, "Upload-Length")

_ALL: Final = (
    Version(
        number=3,
        inverted=True,
        head_only_204=True,
        partial_upload_type=False,
        head_forbids=_OFFSET_INCOMPLETE,
        delete_forbids=_OFFSET_INCOMPLETE,
        progress=False,
        appended_status=201,
    ),
    Version(
        number=4,
        head_only_204=True,
        partial_upload_type=False,
        head_forbids=_OFFSET_COMPLETE,
        delete_forbids=_OFFSET_COMPLETE,
        progress=False,
        appended_status=201,
    ),
    Version(
        number=5,
        partial_upload_type=False,
        head_forbids=_OFFSET_COMPLETE,
        delete_forbids=_OFFSET_COMPLETE,
        appended_status=201,
    ),
    Version(
        number=6,
        head_forbids=_WITH_LENGTH,
        delete_forbids=_OFFSET_COMPLETE,
        appended_status=201,
        age_key="expires",
    ),
    Version(number=7, head_forbids=_WITH_LENGTH),
    Version(number=8),
    Version(number=9),
    Version(number=10),
)

VERSIONS: Final[Mapping[int, Version]] = MappingProxyType({version.number: version for version in _ALL})

# Clients of the final RFC will send no version: they get the newest behaviour, without 104 (R27).
NEWEST: Final = VERSIONS[10]
