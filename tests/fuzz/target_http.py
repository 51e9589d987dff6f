"""What stands between HTTP and the protocol: request heads, file names and media types for answers, ranges."""

import json
import re
from typing import Final

import httptools

from ferryman_protocol.field_values import disposition_filename
from ferryman_protocol.headers import Headers
from ferryman_protocol.problems import Problem, Refused
from ferryman_server.disposition import MAX_NAME, content_disposition, safe_media_type
from ferryman_server.downloads import plan
from ferryman_server.wire_head import Head, answer, read_head, unreadable
from tests.fuzz.checks import check_words

_SAFE_TYPE: Final = re.compile(
    r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+(?:; charset=[!#$%&'*+\-.^_`|~0-9a-z]+)?"
)
_DISPOSITION: Final = re.compile(r"""attachment(?:; filename="[ -~]+")?(?:; filename\*=UTF-8''[!-~]+)?""")
_ETAG: Final = '"00000000000000ff-a"'
_MODIFIED: Final = 1_700_000_000.0
_LENGTHS: Final = (0, 1, 10, 2**40)


def check_head(data: bytes) -> None:
    """A head is understood or refused in words, and the refusal is a whole answer whatever was sent."""
    reader = _Reader()
    problem = reader.read(data)
    if problem is not None:
        check_words(problem)
        _check_answer(answer(problem, [(b"server", b"ferryman")]), problem)
    if reader.head is not None:
        _check_head(reader.head, reader)


class _Reader:
    """Reads one head as the wire does it: the parser's calls, then our own judgement."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.head: Head | None = None
        self._parser = httptools.HttpRequestParser(self)

    def read(self, data: bytes) -> Problem | None:
        """Why the head is refused; None when it is not, or not complete. Raises what nobody foresaw."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return None
        except httptools.HttpParserError as error:
            if error.__context__ is not None and not isinstance(error.__context__, Refused | httptools.HttpParserError):
                raise error.__context__ from None
            return unreadable(error, self.headers if self.head is None else None)
        return None

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; later ones are trailers."""
        if self.head is None:
            self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete; what follows is its body, or another request."""
        if self.head is None:
            self.head = read_head(self._parser.get_http_version(), self.target, self.headers)


def _check_head(head: Head, reader: _Reader) -> None:
    names = [name for name, _ in reader.headers]
    assert names.count(b"host") <= 1
    if b"transfer-encoding" in names:
        assert head.length is None
        assert b"content-length" not in names
    else:
        assert head.length is not None
        assert head.length >= 0
    assert head.raw_path
    assert not set(b"\r\n\0 ") & set(head.raw_path)
    head.path.encode("utf-8")
    fields = Headers.from_raw(reader.headers)
    assert all(not set("\r\n\0") & set(value) for _, value in fields)


def _check_answer(raw: bytes, problem: Problem) -> None:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % problem.kind.status)
    assert b"content-length: %d" % len(body) in lines
    assert json.loads(body)["status"] == problem.kind.status


def check_disposition(data: bytes) -> None:
    """Whatever a file or a type is called: one line of the field's grammar, and the name is the same when read back."""
    for text in (data.decode("latin-1"), data.decode("utf-8", errors="replace")):
        value = content_disposition("attachment", text)
        assert _DISPOSITION.fullmatch(value), value
        name = disposition_filename(value)
        if name is None:
            assert value == "attachment"
        else:
            assert len(name.encode("utf-8")) <= MAX_NAME
            assert not set("/\\\r\n\0") & set(name), name
            assert name not in (".", "..")
            assert content_disposition("attachment", name) == value
        media_type = safe_media_type(text)
        assert _SAFE_TYPE.fullmatch(media_type), media_type
        assert safe_media_type(media_type) == media_type


def check_ranges(data: bytes) -> None:
    """Any conditions and ranges give a plan within the file, and only GET sends bytes."""
    fields = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    headers = Headers(tuple((name.strip().lower(), value.strip(" \t")) for name, _, value in fields))
    for length in _LENGTHS:
        for method in ("GET", "HEAD"):
            made = plan(method, headers, length=length, etag=_ETAG, last_modified=_MODIFIED)
            assert 0 <= made.start <= made.stop <= length, made
            assert made.status in (200, 206, 304, 412, 416)
            assert (made.problem is not None) == (made.status in (412, 416))
            assert made.status != 206 or (method == "GET" and made.start < made.stop), made
            assert made.status != 200 or (made.start, made.stop) == (0, length)
            assert not made.send_bytes or method == "GET"
            if made.problem is not None:
                check_words(made.problem)
