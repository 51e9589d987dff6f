"""How a file may be uploaded: which protocol, which creation, which framing, coding and checksum, how many requests."""

import gzip
import hashlib
import random
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tests.support.raw_http import chunked, head
from tests.support.uploading import KIB, MIB, TUS, Dialect

Creation = Literal["empty", "with all", "with a part"]
Seal = Literal["", "gzip", "sha1", "sha1 trailer", "digest"]

LARGEST: Final = 32 * MIB
SMALL: Final = 16 * KIB
PIECE: Final = 64 * KIB  # bytes that are sent at once
INTEROPS: Final = (8, 8, 9, 10)
_SIZES: Final = ((0.03, 0, 0), (0.04, 1, 1), (0.43, 2, SMALL), (0.25, SMALL, MIB), (0.17, MIB, 8 * MIB))
_STREAM: Final = "Content-Type: application/offset+octet-stream"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way to upload a file."""

    dialect: Dialect
    interop: int = 8
    creation: Creation = "empty"
    framed: bool = False  # chunked bodies
    seal: Seal = ""
    many: bool = False  # several requests
    deferred: bool = False  # the length is told late
    wants_digest: bool = False

    def __str__(self) -> str:
        name = "tus" if self.dialect == "tus" else f"IETF {self.interop}"
        words = [
            name,
            f"created {self.creation}",
            "in many requests" if self.many else "",
            "chunked" if self.framed else "",
            self.seal,
            "length deferred" if self.deferred else "",
            "digest wanted" if self.wants_digest else "",
        ]
        return ", ".join(word for word in words if word)

    @property
    def plain(self) -> bool:
        """Whether each byte counts by itself: neither coded nor chunked nor all or nothing."""
        return not self.seal and not self.framed

    @property
    def whole(self) -> bool:
        """Whether a request that breaks off leaves nothing."""
        return self.seal not in ("", "gzip")

    def speaks(self) -> str:
        """The field that names the protocol."""
        return TUS if self.dialect == "tus" else f"Upload-Draft-Interop-Version: {self.interop}"

    def create_head(self, length: int, body: int | None, *fields: str, concat: str = "") -> bytes:
        """The head of a creation that brings `body` bytes of content as they are on the wire; None: chunked."""
        own = [self.speaks(), *_framing(body), *fields]
        if self.wants_digest:
            own.append("Want-Repr-Digest: sha-256=5")
        if self.dialect == "rufh":
            return head("POST", "/files/", *own, f"Upload-Complete: ?{int(self.creation == 'with all')}")
        own.append("Upload-Defer-Length: 1" if self.deferred else f"Upload-Length: {length}")
        own += [f"Upload-Concat: {concat}"] if concat else []
        return head("POST", "/files/", *own, *([] if body == 0 else [_STREAM]))

    def append_head(self, path: str, offset: int, body: int | None, *fields: str, last: bool) -> bytes:
        """The head of an append that brings `body` bytes as they are on the wire; None: chunked."""
        own = [self.speaks(), f"Upload-Offset: {offset}", *_framing(body), *fields]
        if self.dialect == "tus":
            return head("PATCH", path, *own, _STREAM)
        return head("PATCH", path, *own, "Content-Type: application/partial-upload", f"Upload-Complete: ?{int(last)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """Content as it goes over the wire."""

    fields: tuple[str, ...]
    size: int | None  # bytes of the body; None: chunked
    pieces: tuple[tuple[bytes, int], ...]  # with each, how many bytes of content the server may have after it


def pack(way: Way, content: bytes, step: int = PIECE) -> Packed:
    """Content, coded and framed and with its checksum as the way asks for, in pieces of `step` bytes."""
    fields: list[str] = []
    trailers: tuple[str, ...] = ()
    body = content
    if way.seal == "gzip":
        body = gzip.compress(content, 1)
        fields.append("Content-Encoding: gzip")
    elif way.seal in ("sha1", "sha1 trailer"):
        checksum = f"Upload-Checksum: sha1 {b64encode(hashlib.sha1(content).digest()).decode()}"
        if way.seal == "sha1":
            fields.append(checksum)
        else:
            fields.append("Trailer: Upload-Checksum")
            trailers = (checksum,)
    elif way.seal == "digest":
        fields.append(f"Content-Digest: sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:")
    framed = way.framed or bool(trailers)
    return Packed(
        fields=tuple(fields),
        size=None if framed else len(body),
        pieces=tuple(_pieces(body, len(content), step, framed=framed, trailers=trailers, certain=not way.seal)),
    )


def _pieces(
    body: bytes, content: int, step: int, *, framed: bool, trailers: tuple[str, ...], certain: bool
) -> Iterator[tuple[bytes, int]]:
    for start in range(0, len(body), step):
        piece = body[start : start + step]
        reach = start + len(piece) if certain else content
        yield (chunked(piece, last=False) if framed else piece), reach
    if framed:
        yield chunked(trailers=trailers), content


def _framing(body: int | None) -> list[str]:
    return ["Transfer-Encoding: chunked"] if body is None else [f"Content-Length: {body}"]


def some_way(chance: random.Random) -> Way:
    """Any way, the plain ones more often than the others."""
    dialect: Dialect = "tus" if chance.random() < 0.65 else "rufh"
    seal: Seal = ""
    if chance.random() < 0.3:
        seals: tuple[Seal, ...] = ("gzip", "sha1", "sha1 trailer") if dialect == "tus" else ("digest",)
        seal = chance.choice(seals)
    return Way(
        dialect=dialect,
        interop=chance.choice(INTEROPS),
        creation=chance.choice(("empty", "with all", "with all", "with a part")),
        framed=chance.random() < 0.25,
        seal=seal,
        many=chance.random() < 0.4,
        deferred=dialect == "tus" and chance.random() < 0.15,
        wants_digest=chance.random() < 0.1,
    )


def some_size(chance: random.Random) -> int:
    """A size from nothing to LARGEST; small files come as often as large ones."""
    die = chance.random()
    for share, low, high in _SIZES:
        if die < share:
            return round(2 ** chance.uniform(_log(low), _log(high))) if low < high else low
        die -= share
    return round(2 ** chance.uniform(_log(8 * MIB), _log(LARGEST)))


def some_size_in_parts(chance: random.Random, part: int) -> int:
    """A size of at most LARGEST for a store that keeps parts of so many bytes: often some parts, or a byte beside."""
    if chance.random() < 0.5:
        return some_size(chance)
    return chance.randint(1, LARGEST // part - 1) * part + chance.choice((-1, 0, 1, chance.randint(0, part)))


def _log(size: int) -> float:
    return size.bit_length() - 1 if size else 0.0
