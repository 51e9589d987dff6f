"""What a request asks for, once its header fields have been read: one command, or a refusal.

A dialect's `read` returns one of these. They hold what the client said, checked for form and against the limits;
whether the upload is in a state to take them is judged by the dialect's `admit…` functions, with the upload at hand.
"""

from typing import Literal, TypeAlias

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.frozen import dataclass
from ferryman_protocol.model import Concat
from ferryman_protocol.problems import EXCEEDS_LENGTH, Kind

Coding: TypeAlias = Literal["identity", "gzip", "zstd"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checksum:
    """A tus `Upload-Checksum`: the digest that the request's body must have."""

    algorithm: str  # one of the announced names, for instance "sha1"; "" while the trailer is awaited
    digest: bytes | None  # None: algorithm and digest come in the trailer (`tus1_read.read_trailer_checksum`)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What the request says about its body."""

    length: int | None  # Content-Length in bytes; None: chunked, the length is not known beforehand
    coding: Coding = "identity"  # to be undone before storing; IETF uploads are always "identity" here (§5)
    checksum: Checksum | None = None
    digests: Digests | None = None  # Content-Digest (RFC 9530): body checked as a whole, all or nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Create:
    """Make a new upload, and store the body if there is one."""

    length: int | None  # Upload-Length; the length that counts is the admission's
    content: Content | None  # None: this creation carries no bytes
    completes: bool = False  # IETF `Upload-Complete: ?1`: the end of the body is the end of the upload
    metadata: str | None = None
    concat: Concat | None = None
    concat_echo: str | None = None
    parts: tuple[str, ...] = ()  # ids named by a final upload, in order
    content_type: str | None = None
    content_encoding: str | None = None
    filename: str | None = None
    repr_digests: Digests | None = None  # Repr-Digest: the whole upload must have these
    want_repr_digests: tuple[str, ...] = ()  # Want-Repr-Digest: algorithms to answer with, the preferred first


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """Store the body at an offset."""

    upload_id: str
    offset: int
    content: Content
    length: int | None = None  # Upload-Length said with this request
    completes: bool = False
    content_encoding: str | None = None  # IETF: the recorded coding, said again
    repr_digests: Digests | None = None
    want_repr_digests: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspect:
    """Tell where the upload stands. `takes_over`: the offset told must be accepted next (RUFH R16)."""

    upload_id: str
    takes_over: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Terminate:
    """Delete the upload and free what it holds."""

    upload_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Describe:
    """Say what this server speaks (OPTIONS)."""

    upload_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """GET: the bytes of a finished upload, or where an unfinished one stands."""

    upload_id: str
    takes_over: bool  # the GET is an offset retrieval of the IETF protocol: it carries a valid interop version


Command: TypeAlias = Create | Append | Inspect | Terminate | Describe | Fetch


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """An admitted transfer: how many bytes may be stored, and what their end means."""

    room: int | None  # bytes (after decoding) that may still be stored; None: unlimited
    length: int | None  # the upload's length as it is known now
    finishes_at_length: bool  # tus: reaching the length completes the upload
    completes: bool  # IETF: the end of the body completes the upload
    overrun_invalidates: bool  # IETF R6: more bytes than `room` make the upload invalid
    overrun: Kind = EXCEEDS_LENGTH  # the refusal that more bytes than `room` are answered with
