"""What the protocol core talks about: a request, an upload as it stands, the limits, a reply.

Everything here is a frozen, keyword-only dataclass: valid once made, the same on every side, without I/O and
without a clock. Times are seconds since the epoch, handed in by the caller. Sizes, lengths and offsets are bytes.
"""

from enum import StrEnum
from typing import Final

from ferryman_protocol.frozen import dataclass
from ferryman_protocol.headers import Headers
from ferryman_protocol.problems import Problem


class Phase(StrEnum):
    """Where an upload stands; the legal moves between phases are in :mod:`ferryman_protocol.transitions`."""

    EMPTY = "empty"  # created, no byte stored yet
    RECEIVING = "receiving"  # some bytes stored, more may come
    FINISHING = "finishing"  # all bytes durable, the target named, publishing under way
    COMPLETE = "complete"  # published: the bytes can be read
    FAILED = "failed"  # given up with a reason (a digest that does not match, for instance)
    INVALID = "invalid"  # overrun over the IETF protocol: nothing may touch it any more
    WAITING = "waiting"  # a final upload whose partial uploads are not all complete
    EXPIRED = "expired"  # its time ran out
    TERMINATED = "terminated"  # deleted by its owner


class Concat(StrEnum):
    """The part an upload plays in a concatenation (tus `Upload-Concat`)."""

    PARTIAL = "partial"
    FINAL = "final"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request as the core sees it: the method, whose upload it is about, its header fields."""

    method: str  # upper-case, as sent on the wire
    upload_id: str | None  # None: the collection (`/files/`)
    headers: Headers


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the server takes. None means unlimited. Sizes in bytes, ages in seconds."""

    max_size: int | None = None
    min_size: int = 0
    max_append_size: int | None = None
    min_append_size: int | None = None
    max_age: int | None = None  # how long an unfinished upload lives after its last byte
    extensions: tuple[str, ...] = (
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "checksum-trailer",
        "termination",
        "concatenation",
        "concatenation-unfinished",
    )  # the tus extensions the chosen store can do, in the order they are announced
    files_path: str = "/files/"  # the path of the collection: `Upload-Concat: final` names uploads below it


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """An upload as it stands: what the last commit says."""

    id: str
    phase: Phase
    offset: int = 0  # for a final upload: how many bytes have been copied, told to nobody before it is complete
    length: int | None = None
    dialect: str = "tus"  # the protocol it was created with: "tus" or "rufh"
    metadata: str | None = None  # the tus Upload-Metadata value, to be echoed as it came
    concat: Concat | None = None
    concat_echo: str | None = None  # the Upload-Concat value as it came
    parts: tuple[str, ...] = ()  # ids of a final upload's partial uploads, in order
    content_type: str | None = None
    content_encoding: str | None = None  # IETF uploads only: the coding the stored bytes carry
    filename: str | None = None
    expires_at: float | None = None
    reason: str | None = None  # why it failed, for people


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A final answer: status, header fields in order, and the problem document to send as its body, if any."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Interim:
    """A 104 (Upload Resumption Supported) answer: its header fields."""

    headers: tuple[tuple[str, str], ...] = ()
    status: int = 104


TUS_VERSION: Final = "1.0.0"
ID_PATTERN: Final = r"[a-z2-7]{26}"  # 128 random bits, lower-case base32
