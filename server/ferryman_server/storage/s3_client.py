"""One S3 server, spoken to over a pool of connections: a request goes out signed, an answer or an S3Error comes back.

No retries here: whoever asks knows what may be repeated (:mod:`ferryman_server.storage.s3_retry`). Every call blocks
and is made from worker threads; the pool opens as many connections as there are callers, and keeps POOL of them.
"""

import urllib.parse
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import urllib3
from urllib3.exceptions import HTTPError

from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_errors import S3Error, refusal, unreachable
from ferryman_server.storage.s3_signing import UNRESERVED, Keys, Signer, query_text
from ferryman_server.storage.s3_stop import StoppableHTTP, StoppableHTTPS
from ferryman_server.storage.s3_sums import CRC32C, Algorithm

POOL: Final = 32  # connections kept open
CONNECT: Final = 5.0  # seconds to connect
SILENCE: Final = 30.0  # seconds without a byte of an answer, or without one taken of a body
SMALL: Final = 4 << 20  # bytes: no answer of the API's own is longer (1,000 keys of 1,024 bytes, percent-encoded)

Body: TypeAlias = bytes | Iterable[bytes | memoryview]  # pieces that `socket.sendall` takes


class _HTTP(urllib3.HTTPConnectionPool):
    ConnectionCls = StoppableHTTP


class _HTTPS(urllib3.HTTPSConnectionPool):
    ConnectionCls = StoppableHTTPS


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its status, its fields (names in lower case), its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3Client:
    """Requests to one bucket."""

    def __init__(self, endpoint: str, bucket: str, keys: Keys, region: str, algorithm: Algorithm = CRC32C) -> None:
        """`endpoint`: for instance `http://127.0.0.1:9000`, without a path. `algorithm`: of the checksums that the
        server compares and keeps."""
        self.endpoint = endpoint.rstrip("/")
        self.bucket = bucket
        self.algorithm = algorithm
        parts = urllib.parse.urlsplit(self.endpoint)
        self.secure = parts.scheme == "https"
        self.address = (parts.hostname or "", parts.port or (443 if self.secure else 80))
        kind = _HTTPS if self.secure else _HTTP
        timeout = urllib3.Timeout(connect=CONNECT, read=SILENCE)
        self._pool = kind(*self.address, maxsize=POOL, timeout=timeout, retries=False)
        self._host = parts.netloc
        self._root = "/" + urllib.parse.quote(bucket, safe=UNRESERVED)
        self._signer = Signer(keys, region)

    def close(self) -> None:
        """Close the connections that nobody uses. Idempotent."""
        self._pool.close()

    def path_of(self, key: str) -> str:
        """`/bucket/key`, percent-encoded: in a URL, and how a copy names its source. Empty: the bucket itself."""
        return f"{self._root}/{urllib.parse.quote(key, safe=UNRESERVED + '/')}" if key else self._root

    def head_of(self, method: str, key: str, headers: Mapping[str, str], size: int) -> bytes:
        """The head of a signed request with a body of so many bytes, for whoever sends it by itself."""
        path = self.path_of(key)
        fields = {**self._signer.sign(method, path, {}, headers, host=self._host), "content-length": str(size)}
        lines = [f"{method} {path} HTTP/1.1", *[f"{name}: {value}" for name, value in fields.items()]]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def ask(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        size: int | None = None,
    ) -> Answer:
        """One request for a key (empty: the bucket itself), its whole answer. `size`: of a body in pieces, in bytes.
        Raises S3Error, and whatever the body's pieces raise."""
        response = self._send(method, key, query or {}, headers or {}, body, size)
        what = self._name(method, key, query or {})
        try:
            document = response.read(SMALL)
        except (HTTPError, OSError) as error:
            raise unreachable(what, error) from error
        finally:
            response.release_conn()
        if response.status >= 300:
            raise refusal(what, response.status, document)
        return Answer(response.status, _fields(response), document)

    def read(self, key: str, start: int, stop: int, piece: int) -> Iterator[bytes]:
        """The bytes [start, stop) of an object, in pieces of at most `piece` bytes. Raises S3Error, the first one
        before any piece; closing the iterator early closes the connection."""
        if start < stop:  # no range says that there are none
            with self.open(key, start, stop) as opened:
                while opened.left:
                    yield opened.read(piece)

    def open(self, key: str, start: int, stop: int, *, etag: str | None = None) -> "Opened":
        """Ask for the bytes [start, stop) of an object, and hear the head of the answer. With an `etag`, of no other
        object than that. Raises S3Error."""
        what, fields = self._name("GET", key, {}), {"range": f"bytes={start}-{stop - 1}"}
        if etag is not None:
            fields["if-match"] = etag
        opened = Opened(self._send("GET", key, {}, fields, None, None), what, stop - start)
        try:
            opened.check(f"bytes {start}-{stop - 1}/")
        except S3Error:
            opened.close()
            raise
        return opened

    def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Body | None,
        size: int | None,
    ) -> urllib3.BaseHTTPResponse:
        path = self.path_of(key)
        sent = self._signer.sign(method, path, query, headers, host=self._host)
        if size is not None:
            sent["content-length"] = str(size)
        url = f"{path}?{query_text(query)}" if query else path
        try:
            return self._pool.urlopen(
                method,
                url,
                body=cast(bytes, body),
                headers=sent,
                preload_content=False,
                decode_content=False,
                redirect=False,
            )
        except (HTTPError, OSError) as error:
            if isinstance(error, StoreError):  # from the body's own pieces
                raise
            raise unreachable(self._name(method, key, query), error) from error
        finally:
            if isinstance(body, Generator):
                body.close()  # one that is broken off may be reading an object: its connection waits for that

    def _name(self, method: str, key: str, query: Mapping[str, str]) -> str:
        """The request, as an operator reads it in a log."""
        asked = " ".join(name for name in query if name != "uploadId")
        return f"{method} {self.bucket}/{key}{f' ({asked})' if asked else ''}"


class Opened:
    """A part of an object while it is read; to be closed."""

    def __init__(self, response: urllib3.BaseHTTPResponse, what: str, left: int) -> None:
        self.etag = response.headers.get("etag")
        self.left = left  # bytes that were not read yet
        self._response = response
        self._what = what

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, content_range: str) -> None:
        """See that it is that range, as its field begins. Raises S3Error."""
        if self._response.status != 206:
            raise refusal(self._what, self._response.status, self._read(SMALL))
        if not (self._response.headers.get("content-range") or "").startswith(content_range):
            raise refusal(self._what, 416, b"")

    def read(self, most: int) -> bytes:
        """The next bytes, one of them at least. Raises S3Error."""
        data = self._read(min(most, self.left))
        if not data:
            raise unreachable(self._what, OSError(f"the answer ended {self.left} bytes before its end"))
        self.left -= len(data)
        return data

    def _read(self, most: int) -> bytes:
        try:
            return self._response.read(most)
        except (HTTPError, OSError) as error:
            raise unreachable(self._what, error) from error

    def close(self) -> None:
        """Let go of the connection: for the next request, or, where not all was read, for good. Idempotent."""
        if self._response.length_remaining:
            self._response.close()
        self._response.release_conn()


def _fields(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
