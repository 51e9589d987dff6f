"""How many bytes a transfer may bring: the arithmetic both protocols share.

Three bounds may hold at once: the upload's length, the server's maximum size, the maximum of one append. The tightest
one is the room, and it decides how an overrun is answered. No path goes around the maximum size: where the length is
not known, the maximum itself is the bound.
"""

from ferryman_protocol import problems
from ferryman_protocol.commands import Content
from ferryman_protocol.frozen import dataclass
from ferryman_protocol.model import Concat, Limits, Phase, Upload
from ferryman_protocol.problems import Kind, Refused
from ferryman_protocol.refusals import finishing, mismatching_offset, refusal, unusable


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """The tightest bound on what may still be stored."""

    bytes: int | None  # None: unlimited
    overrun: Kind  # the refusal for more


def tightest(
    *, offset: int, length: int | None, limits: Limits, beyond_length: Kind, append_limit: int | None = None
) -> Room:
    """The room at `offset`. `beyond_length`: the row for more than the length; `append_limit`: bytes of one request."""
    bounds: list[tuple[int, Kind]] = []
    if length is not None:
        bounds.append((length - offset, beyond_length))
    if limits.max_size is not None:
        bounds.append((limits.max_size - offset, problems.EXCEEDS_MAX_SIZE))
    if append_limit is not None:
        bounds.append((append_limit, problems.EXCEEDS_MAX_APPEND_SIZE))
    if not bounds:
        return Room(bytes=None, overrun=beyond_length)
    # min keeps the first of equals: what goes beyond the length and a limit at once goes beyond the length.
    size, kind = min(bounds, key=lambda bound: bound[0])
    return Room(bytes=max(0, size), overrun=kind)


def refuse_long_upload(length: int | None, limits: Limits) -> None:
    """Raise Refused (413) when a stated length exceeds the maximum size."""
    if length is not None and limits.max_size is not None and length > limits.max_size:
        detail = f"The upload has {length} bytes, this server takes at most {limits.max_size}."
        raise refusal(problems.EXCEEDS_MAX_SIZE, detail)


def stated_size(content: Content | None) -> int | None:
    """Bytes the body is going to store, when that is known: 0 without a body, None when chunked or coded.

    The Content-Length of a coded body counts coded bytes and says nothing about the upload's length.
    """
    if content is None:
        return 0
    return content.length if content.coding == "identity" else None


def refuse_unappendable(upload: Upload) -> None:
    """Raise Refused when no append can be taken now, whatever its offset (410, 403, 503)."""
    problem = unusable(upload)
    if problem is not None:
        raise Refused(problem)
    if upload.concat is Concat.FINAL:
        # tus, concatenation: "The Server MUST respond with the 403 Forbidden status to PATCH requests against a final
        # upload URL and MUST NOT modify the final or its partial uploads."
        raise refusal(problems.FINAL_UPLOAD, f"The upload {upload.id} is a final upload.")
    if upload.phase is Phase.FINISHING:
        raise Refused(finishing(upload))


def refuse_other_offset(offset: int, upload: Upload) -> None:
    """Raise Refused (409) when the request does not start where the upload stands."""
    if offset != upload.offset:
        raise Refused(mismatching_offset(expected=upload.offset, provided=offset))


def told_offset(upload: Upload | None) -> int | None:
    """The offset that an answer may tell: none for an upload that is gone, being finished, or a final not yet done."""
    if upload is None or upload.phase not in (Phase.EMPTY, Phase.RECEIVING, Phase.COMPLETE):
        return None
    if upload.concat is Concat.FINAL and upload.phase is not Phase.COMPLETE:
        return None
    return upload.offset
