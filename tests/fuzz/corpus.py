"""What the guided searches begin with: every case of protocol/vectors, and every case that once failed.

A case that failed is one file, tests/fuzz/cases/TARGET/WHAT-IT-SHOWS, holding exactly the bytes that the target was
given. Every file is tried in every run of the tests.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Concat, Limits, Phase, Request, Upload
from tests.fuzz.request_text import Situation, write
from tests.zips.hostile import SHAPES

LONGEST_ARCHIVE: Final = 2048  # bytes of one that a search begins with
VECTORS: Final = Path(__file__).parents[2] / "protocol" / "vectors"
CASES: Final = Path(__file__).parent / "cases"
_HEADS: Final = (
    "POST /files/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "PATCH /a%2f?x=y HTTP/1.1\r\nhost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    "GET http://a:80/b HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "HEAD //%ff%00 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
)
_RANGES: Final = (
    "range: bytes=0-4",
    'range: bytes=-3\nif-range: "00000000000000ff-a"',
    "range: bytes=5-, 7-8",
    "range: Bytes=9999999999999999999-\nif-match: *",
    'if-none-match: W/"00000000000000ff-a", "b"',
    "if-modified-since: Tue, 14 Nov 2023 22:13:20 GMT",
    "if-unmodified-since: Tuesday, 14-Nov-23 22:13:20 GMT\nrange: bytes=0-",
    "if-modified-since: Tue Nov 14 22:13:20 2023",
)
_DESCRIPTIONS: Final = (
    '{"width": 320, "height": 240, "format": "rgb565le", "fps": 25, "frames": 500, "title": "Film"}',
    '{"width": 1, "height": 1.0, "format": "JPG", "fps": 0.5, "frames": ["a.jpg", "b.jpg"]}',
    "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1",
)
_TYPES: Final = (
    "text/plain; charset=utf-8",
    'image/PNG;a=b; charset="x"',
    "../../a.tar.gz",
    "r\u202egnp.exe",
    "é" * 200,
)


def seeds(target: str) -> list[bytes]:
    """The inputs that a search of this target begins with."""
    return [*dict.fromkeys((*_SOURCES[target](), *failed(target).values()))]


def failed(target: str) -> dict[str, bytes]:
    """The inputs that once made this target fail, by what they show."""
    folder = CASES / target
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def situations() -> list[Situation]:
    """Every decision of the vectors that names a request."""
    files = ("tus1.json", "rufh.json", "negotiate.json")
    return [_situation(case) for file in files for case in _load(file)["cases"]]


def _situation(case: dict[str, Any]) -> Situation:
    said = case["limits"]
    extensions = tuple(said.get("extensions", Limits().extensions))
    fields = tuple((name.lower(), value) for name, value in case["request"]["headers"])
    request = Request(method=case["request"]["method"], upload_id=case["request"]["upload"], headers=Headers(fields))
    return Situation(
        request=request, limits=Limits(**{**said, "extensions": extensions}), upload=_upload(case["upload"])
    )


def _upload(fields: dict[str, Any] | None) -> Upload | None:
    if fields is None:
        return None
    concat = fields.get("concat")
    known = {**fields, "phase": Phase(fields["phase"]), "concat": Concat(concat) if concat else None}
    return Upload(**{**known, "parts": tuple(fields.get("parts", ()))})


def _load(file: str) -> Any:
    return json.loads((VECTORS / file).read_text("utf-8"))


def _requests() -> Iterable[bytes]:
    return (write(situation) for situation in situations())


def _lines(file: str) -> Iterator[bytes]:
    """The header lines in a file of plain vectors, one line of bytes each."""
    for case in _load(file):
        said = case["input"]
        lines = [said] if isinstance(said, str) else said.get("lines", [said.get("text", "")])
        yield "\n".join(lines).encode("latin-1", errors="replace")


def _names() -> Iterable[bytes]:
    return (*_lines("dispositions.json"), *(text.encode() for text in _TYPES))


def _archives() -> Iterable[bytes]:
    """The shapes that are short enough to be changed in every place."""
    return (data for shape in SHAPES if (len(data := shape.make()) <= LONGEST_ARCHIVE))


_SOURCES: Final[dict[str, Callable[[], Iterable[bytes]]]] = {
    "structured": lambda: _lines("structured-fields.json"),
    "metadata": lambda: _lines("metadata.json"),
    "digests": lambda: _lines("digests.json"),
    "values": lambda: (*_lines("numbers.json"), *_lines("dispositions.json")),
    "disposition": _names,
    "tus": _requests,
    "rufh": _requests,
    "head": lambda: [text.encode() for text in _HEADS],
    "ranges": lambda: [text.encode() for text in _RANGES],
    "archive": _archives,
    "description": lambda: [text.encode() for text in _DESCRIPTIONS],
    "planted": lambda: [b"a=1"],
}
