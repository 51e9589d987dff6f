"""Where a message ends: the head of a request or an answer, and the bytes that are its body. No I/O."""

import copy
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

END_OF_HEAD: Final = b"\r\n\r\n"
_LONGEST_LINE: Final = 8192  # bytes, of a chunk's size or a trailer field


class Malformed(Exception):
    """Somebody does not speak HTTP/1.1: the test's fault, or ours."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request or an answer."""

    raw: bytes
    words: tuple[str, str, str]  # of the first line
    headers: dict[str, str]  # names in lower case; of a doubled field the last

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.words[1])

    @property
    def closes(self) -> bool:
        """Whether this side closes the connection behind the message."""
        if "HTTP/1.0" in self.words:
            return self.headers.get("connection", "").lower() != "keep-alive"
        return self.headers.get("connection", "").lower() == "close"


def parse(raw: bytes) -> Head:
    """Read a head, the empty line included."""
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ", 2)
    if len(words) != 3:
        raise Malformed(f"not the head of a message: {first!r}")
    fields = (line.partition(":") for line in lines)
    return Head(raw, (words[0], words[1], words[2]), {name.lower(): value.strip() for name, _, value in fields})


class Body(Protocol):
    """Finds a body's end in the bytes that come."""

    over: bool

    def advance(self, raw: memoryview) -> tuple[int, int]:
        """How many of these bytes belong to the body as it is sent, and how many of those are content."""


class Sized:
    """A body of a known number of bytes."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.over = not size

    def advance(self, raw: memoryview) -> tuple[int, int]:
        """See `Body`."""
        used = min(self._left, len(raw))
        self._left -= used
        self.over = not self._left
        return used, used


class UntilClosed:
    """A body that ends with the connection: whoever reads says so."""

    def __init__(self) -> None:
        self.over = False

    def advance(self, raw: memoryview) -> tuple[int, int]:
        """See `Body`."""
        return len(raw), len(raw)


class _Line(Enum):
    SIZE = auto()
    AFTER_CONTENT = auto()
    TRAILER = auto()


class Chunked:
    """A body in chunks: everything that is not content is a line."""

    def __init__(self) -> None:
        self._left = 0  # of the chunk's content
        self._expected = _Line.SIZE
        self._line = b""  # the beginning of one
        self.over = False

    def advance(self, raw: memoryview) -> tuple[int, int]:
        """See `Body`."""
        used = content = 0
        while used < len(raw) and not self.over:
            if self._left:
                size = min(self._left, len(raw) - used)
                self._left -= size
                content += size
                used += size
            else:
                used += self._take_line(bytes(raw[used : used + _LONGEST_LINE]))
        return used, content

    def _take_line(self, raw: bytes) -> int:
        line, end, _ = raw.partition(b"\n")
        self._line += line + end
        if len(self._line) > _LONGEST_LINE:
            raise Malformed(f"a line without an end in a chunked body: {self._line[:40]!r}")
        if end:
            self._understand(self._line.strip())
            self._line = b""
        return len(line + end)

    def _understand(self, line: bytes) -> None:
        match self._expected:
            case _Line.SIZE:
                try:
                    self._left = int(line.partition(b";")[0], 16)
                except ValueError:
                    raise Malformed(f"not the size of a chunk: {line!r}") from None
                self._expected = _Line.AFTER_CONTENT if self._left else _Line.TRAILER
            case _Line.AFTER_CONTENT:
                self._expected = _Line.SIZE
            case _Line.TRAILER:
                self.over = not line


def body_of_request(head: Head) -> Body:
    """What comes behind a request's head."""
    return _coded(head) or Sized(int(head.headers.get("content-length", 0)))


def body_of_answer(head: Head, method: str) -> Body:
    """What comes behind the head of an answer to such a request."""
    if method == "HEAD" or head.status in (204, 304):
        return Sized(0)
    length = head.headers.get("content-length")
    return _coded(head) or (UntilClosed() if length is None else Sized(int(length)))


def is_whole(body: Body, raw: memoryview) -> bool:
    """Whether the body's end is in these bytes, which stay unread."""
    trial = copy.copy(body)
    trial.advance(raw)
    return trial.over


def _coded(head: Head) -> Chunked | None:
    return Chunked() if head.headers.get("transfer-encoding", "").lower() == "chunked" else None
