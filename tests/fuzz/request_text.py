"""A request, the upload it is about and the limits it meets, as text: what the request targets are fed with.

    PATCH ferryferryferryferryferry2
    phase=receiving offset=5 length=10 dialect=tus max_size=100
    tus-resumable: 1.0.0
    upload-offset: 5

Reading never fails, so that every sequence of bytes is some request: what makes no sense is left out. Without a phase
there is no such upload. A `-` is the collection.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Concat, Limits, Phase, Request, Upload

UPLOAD_ID: Final = "ferryferryferryferryferry2"
_LARGEST: Final = 10**15 - 1  # bytes: neither settings nor requests say more
_SIZES: Final = ("max_size", "max_append_size", "min_append_size", "max_age")
_TAKES_BYTES: Final = (Phase.EMPTY, Phase.RECEIVING, Phase.INVALID)
_ALL: Final = Limits().extensions
_FLAWS: Final = ("\r", "\n", "\0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """A request at a moment of an upload's life."""

    request: Request
    limits: Limits
    upload: Upload | None


def write(situation: Situation) -> bytes:
    """The text of a situation; details of the upload that the targets do not need are left out."""
    request, upload, limits = situation.request, situation.upload, situation.limits
    facts: dict[str, object] = {name: getattr(limits, name) for name in _SIZES}
    facts["min_size"] = limits.min_size or None
    facts["extensions"] = None if limits.extensions == _ALL else ",".join(limits.extensions)
    if upload is not None:
        facts |= {name: getattr(upload, name) for name in ("phase", "offset", "length", "dialect", "concat")}
        facts["content_encoding"] = upload.content_encoding
    told = " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
    lines = [
        f"{request.method} {request.upload_id or '-'}",
        told,
        *(f"{name}: {value}" for name, value in request.headers),
    ]
    return "\n".join(lines).encode("latin-1")


def read(data: bytes) -> Situation:
    """The situation that any bytes describe."""
    first, _, rest = data.decode("latin-1").partition("\n")
    told, _, fields = rest.partition("\n")
    method, _, upload_id = first.partition(" ")
    facts = dict(_pairs(told.split(" ")))
    headers = Headers.from_raw(_fields(fields.split("\n")))
    request = Request(
        method=method or "GET", upload_id=upload_id if upload_id not in ("", "-") else None, headers=headers
    )
    return Situation(request=request, limits=_limits(facts), upload=_upload(facts))


def _pairs(words: Iterable[str]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, _, value in (word.partition("=") for word in words))


def _fields(lines: Iterable[str]) -> Iterable[tuple[bytes, bytes]]:
    """The fields that a parser of HTTP lets through: a name, and a value without what would end it."""
    for line in lines:
        name, colon, value = line.partition(":")
        if name and colon and not any(flaw in line for flaw in _FLAWS):
            yield name.encode("latin-1"), value.encode("latin-1")


def _limits(facts: Mapping[str, str]) -> Limits:
    named = facts["extensions"].split(",") if "extensions" in facts else _ALL
    return Limits(
        max_size=_number(facts, "max_size"),
        min_size=_number(facts, "min_size") or 0,
        max_append_size=_number(facts, "max_append_size"),
        min_append_size=_number(facts, "min_append_size"),
        max_age=_number(facts, "max_age"),
        extensions=tuple(name for name in named if name in _ALL),
    )


def _upload(facts: Mapping[str, str]) -> Upload | None:
    if facts.get("phase") not in set(Phase):
        return None
    phase = Phase(facts["phase"])
    concat = Concat(facts["concat"]) if facts.get("concat") in set(Concat) else None
    if phase is Phase.WAITING or (concat is Concat.FINAL and phase in _TAKES_BYTES):
        phase, concat = Phase.WAITING, Concat.FINAL  # a final upload waits or is whole, and nothing else waits
    offset, length = _number(facts, "offset") or 0, _number(facts, "length")
    if length is not None:
        offset = min(offset, length)
    return Upload(
        id=UPLOAD_ID,
        phase=phase,
        offset=0 if phase is Phase.EMPTY else offset,
        length=offset if phase is Phase.COMPLETE else length,
        dialect="rufh" if facts.get("dialect") == "rufh" else "tus",
        concat=concat,
        content_encoding=facts.get("content_encoding") if facts.get("content_encoding") in ("gzip", "zstd") else None,
    )


def _number(facts: Mapping[str, str], name: str) -> int | None:
    text = facts.get(name, "")
    return min(int(text), _LARGEST) if text.isascii() and text.isdigit() and len(text) < 30 else None
