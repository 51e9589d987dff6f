"""A client for a server that is killed under it: it uploads in many ways, and remembers what it was told.

What it holds the server to, after each start:

- no offset below one that was ever acknowledged to it (2xx, 104, HEAD), and none beyond what it sent;
- of a request with a coding or a checksum, all is there or nothing;
- in the end, the file with the right SHA-256.
"""

import gzip
import hashlib
import random
import select
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from tests.support.process import Server
from tests.support.raw_http import RawClient, RawResponse, chunked, head
from tests.support.uploading import INTEROP, KIB, MIB, TUS, Dialect, append_head, create_head

WAYS: Final = (
    "one PATCH",
    "many PATCHes",
    "creation with body",
    "chunked",
    "gzip",
    "checksum",
    "IETF in one request",
    "IETF chunked",
    "IETF with Content-Digest",
)
AT_ONCE: Final = ("creation with body", "IETF in one request")  # the creation brings the whole upload
STEP: Final = 128 * KIB  # bytes between two looks at the connection
PAUSE: Final = 0.002  # seconds after each step, so that a kill finds bodies under way
PATIENCE: Final = 30.0  # seconds a server may take to be there again
_ALL_OR_NOTHING: Final = ("gzip", "checksum", "IETF with Content-Digest")
_STREAM: Final = "Content-Type: application/offset+octet-stream"


@dataclass
class Job:
    """One file on its way, and what its client knows about it."""

    way: str
    whole: bytes
    path: str | None = None  # None: its URL was never told
    acknowledged: int = 0  # bytes
    sent: int = 0  # the highest byte that was handed to the kernel
    request: tuple[int, int] | None = None  # the range of the last request, if it was all or nothing
    broken: bool = False  # the last request got no answer
    done: bool = False

    @property
    def dialect(self) -> Dialect:
        """The protocol it goes by."""
        return "rufh" if self.way.startswith("IETF") else "tus"


@dataclass
class CrashClient:
    """One client, to be run in a thread; raises AssertionError when the server broke its word."""

    server: Server
    seed: int
    jobs: list[Job] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)  # bytes to be sent again after each break, plain bodies only

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def upload(self, way: str, size: int) -> None:
        """Upload one file of `size` bytes to its end, however often the server goes away."""
        job = Job(way, self._chance.randbytes(size))
        self.jobs.append(job)
        deadline = time.monotonic() + 100
        while not job.done:
            assert time.monotonic() < deadline, self._blame(job, "it did not come to an end")
            try:
                if job.path is None:
                    self._create(job)
                else:
                    self._go_on(job)
            except (ConnectionError, TimeoutError):
                job.broken = True
                self._wait_for_server()

    def _wait_for_server(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                RawClient(self.server.port).__exit__(None, None, None)
                return
            except OSError:
                assert time.monotonic() < deadline, "the server did not come back"
                time.sleep(0.02)

    # Creation

    def _create(self, job: Job) -> None:
        size = len(job.whole)
        if job.way == "creation with body":
            parts = create_head("tus", f"Content-Length: {size}", _STREAM, length=size), job.whole
        elif job.way == "IETF in one request":
            parts = head("POST", "/files/", INTEROP, "Upload-Complete: ?1", f"Content-Length: {size}"), job.whole
        else:
            parts = create_head(job.dialect, length=size), b""
        job.sent = 0
        answer = self._exchange(job, 0, *parts)
        assert answer.status == 201, self._blame(job, f"the creation was answered {answer}")
        job.path = answer.headers["location"]
        self._acknowledge(job, answer)
        job.done = self._is_complete(job, answer)

    # Appends

    def _go_on(self, job: Job) -> None:
        offset = self._ask(job)
        if job.done:
            return
        end = self._end_of_request(job, offset)
        last = end == len(job.whole)
        body = job.whole[offset:end]
        fields: list[str] = []
        if job.way == "gzip":
            body = gzip.compress(body, 1)
            fields = ["Content-Encoding: gzip"]
        elif job.way == "checksum":
            fields = [f"Upload-Checksum: sha1 {_base64(hashlib.sha1(body).digest())}"]
        elif job.way == "IETF with Content-Digest":
            fields = [f"Content-Digest: sha-256=:{_base64(hashlib.sha256(body).digest())}:"]
        size = None if job.way in ("chunked", "IETF chunked") else len(body)
        job.request = (offset, end) if job.way in _ALL_OR_NOTHING else None
        assert job.path is not None
        request = append_head(job.dialect, job.path, offset, *fields, size=size, last=last)
        answer = self._exchange(job, offset, request, body, framed=size is None)
        if answer.status == 503:  # it is being finished, or the old request still is: HEAD will tell
            time.sleep(0.05)
            return
        assert answer.status in (201, 204), self._blame(job, f"an append at {offset} was answered {answer}")
        self._acknowledge(job, answer)
        job.done = self._is_complete(job, answer)

    def _end_of_request(self, job: Job, offset: int) -> int:
        if job.way in ("many PATCHes", *_ALL_OR_NOTHING):
            return min(len(job.whole), offset + self._chance.randint(1, 3 * MIB))
        return len(job.whole)

    def _ask(self, job: Job) -> int:
        """HEAD, held against everything that is known."""
        assert job.path is not None
        with RawClient(self.server.port) as client:
            client.send(head("HEAD", job.path, TUS if job.dialect == "tus" else INTEROP))
            answer = client.response(to_head=True)
        if answer.status == 503:  # it is being finished
            time.sleep(0.05)
            return self._ask(job)
        assert answer.status in (200, 204), self._blame(job, f"HEAD was answered {answer}")
        offset = int(answer.headers["upload-offset"])
        assert offset >= job.acknowledged, self._blame(job, f"HEAD tells {offset}, {job.acknowledged} were confirmed")
        if job.request is not None:
            assert offset in job.request, self._blame(job, f"HEAD tells {offset} in the middle of {job.request}")
        else:
            assert offset <= job.sent, self._blame(job, f"HEAD tells {offset}, {job.sent} were sent")
            if job.broken:
                self.lost.append(job.sent - offset)
        job.broken = False
        job.sent = job.acknowledged = offset
        job.done = self._is_complete(job, answer)
        return offset

    # One request

    def _exchange(self, job: Job, offset: int, request: bytes, body: bytes, *, framed: bool = False) -> RawResponse:
        """Send a request, listening all the while; the final answer."""
        with RawClient(self.server.port) as client:
            client.send(request)
            for start in range(0, len(body), STEP):
                piece = body[start : start + STEP]
                client.send(chunked(piece, last=False) if framed else piece)
                if job.request is None:
                    job.sent = max(job.sent, offset + start + len(piece))
                early = self._listen(job, client)
                if early is not None:
                    return early
                time.sleep(PAUSE)
            if framed:
                client.send(chunked())
            while (answer := client.response()).status < 200:
                self._acknowledge(job, answer)
            return answer

    def _listen(self, job: Job, client: RawClient) -> RawResponse | None:
        while select.select([client.socket], [], [], 0)[0]:
            answer = client.response()
            if answer.status >= 200:
                return answer
            self._acknowledge(job, answer)
        return None

    def _acknowledge(self, job: Job, answer: RawResponse) -> None:
        if answer.status == 104:
            job.path = answer.headers.get("location", job.path)
        told = int(answer.headers.get("upload-offset", "0"))
        job.acknowledged = max(job.acknowledged, told)
        job.sent = max(job.sent, told)

    def _is_complete(self, job: Job, answer: RawResponse) -> bool:
        if job.dialect == "rufh":
            return answer.headers.get("upload-complete") == "?1"
        return answer.headers.get("upload-offset") == str(len(job.whole)) or len(job.whole) == 0

    def _blame(self, job: Job, what: str) -> str:
        return f"seed {self.seed}, {job.way}, {len(job.whole)} bytes, {job.path}: {what}"


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")
