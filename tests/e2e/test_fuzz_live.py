"""Thousands of requests that are almost right, over kept connections, from several clients at once.

Each request begins as a valid one of either protocol and is then changed in up to three places: a field gets another
value, comes twice, or is missing; another one is added; method or target are exchanged. The clients work on the same
uploads, so they also take them over from each other, finish and delete them. Whatever comes: an answer within seconds,
never a server's mistake, always words for a refusal, and afterwards everything that is stored is sound.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.probing import NOBODY, PROMPT, checked, unharmed
from tests.support.process import Server, serving
from tests.support.raw_http import RawClient, RawResponse, chunked, head

SEED = 20_260_701
CLIENTS = 3
REQUESTS = 1000  # of each client
TIME = 18.0  # seconds: on a slow machine it is this that ends the fuzz
LEAST = 100  # requests of each client that are enough to have shown something

Fields = list[tuple[str, str]]

NUMBERS = (
    "0",
    "1",
    "3",
    "5",
    "10",
    "11",
    "20",
    "-1",
    "+5",
    "007",
    "1_0",
    "9" * 15,
    "9" * 16,
    str(2**63),
    "x",
    "",
    "?1",
)
FLAGS = ("?0", "?1", "?2", "true", "1", "", "?1;a=b", "?0, ?1", ":AAAA:", '"?1"')
TYPES = (
    "application/offset+octet-stream",
    "application/partial-upload",
    "Application/Partial-Upload; x=y",
    "text/plain",
    "*/*",
    "",
)
VALUES: dict[str, tuple[str, ...]] = {
    "Tus-Resumable": ("1.0.0", "0.2.2", "1.0.1", "1.0.0, 1.0.0", ""),
    "Upload-Length": NUMBERS,
    "Upload-Offset": NUMBERS,
    "Upload-Defer-Length": ("1", "0", "true", ""),
    "Upload-Metadata": ("filename Zm9v", "a,b", "a YQ==,a YQ==", "a !", ",", "", "\xff YQ=="),
    "Upload-Concat": (
        "partial",
        "final",
        "final;",
        f"final;{NOBODY}",
        "final;/files/../x",
        "final;{any} {any}",
        "FINAL;{any}",
    ),
    "Upload-Checksum": ("sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha1 !", "sha9 AAAA", "md5", "sha1", ""),
    "Upload-Complete": FLAGS,
    "Upload-Incomplete": FLAGS,
    "Upload-Draft-Interop-Version": (*map(str, range(2, 12)), "-8", "8, 8", "?8", "x"),
    "Content-Type": TYPES,
    "Content-Encoding": ("gzip", "zstd", "br", "gzip, gzip", "identity", "x-gzip", ""),
    "Content-Digest": ("sha-256=:AAAA:", "sha-256=:" + "A" * 43 + "=:", "x=1", "sha-256", "\xff"),
    "Repr-Digest": ("sha-256=:" + "A" * 43 + "=:", "md5=:!!:", "md5=1"),
    "Want-Repr-Digest": ("sha-256=10, md5=5", "sha-256=99", "x", "md5=0"),
    "Content-Disposition": ('attachment; filename="../x"', "inline; filename*=UTF-8''%ff", "x" * 300, ";;;"),
    "X-HTTP-Method-Override": ("PATCH", "DELETE", "HEAD", "GET", "OPTIONS", "PUT", "x", ""),
    "Expect": ("100-continue", "x"),
    "Trailer": ("Upload-Checksum", "X"),
    "Range": ("bytes=0-1", "bytes=-1", "bytes=5-1", "bytes=99-", "x"),
    "If-Match": ("*", '"x"', '"'),
    "If-None-Match": ("*", '"x"', "W/"),
    "Origin": ("http://localhost", "https://evil.invalid", "null", "\xff"),
    "Accept": ("application/json", "x"),
    "Connection": ("close", "keep-alive", "upgrade"),
    "Upgrade": ("websocket", "h2c"),
    "Content-Length": NUMBERS,
    "Transfer-Encoding": ("chunked", "identity", "gzip, chunked", ""),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT")
TARGETS = ("/files/", "/files", NOBODY, "/files/..", "/files/%00", "/files/a%2fb", "*", "/api/uploads", "/", "/x", "//")


class Fuzzer:
    """One client: makes requests, sends them, and judges the answers."""

    def __init__(self, server: Server, seed: int, paths: list[str]) -> None:
        self.seen: Counter[int] = Counter()
        self._server = server
        self._chance = random.Random(seed)
        self._paths = paths  # of the uploads that there were, shared by all clients
        self._offsets: dict[str, str] = {}
        self._client: RawClient | None = None

    def run(self, deadline: float) -> int:
        """Send requests until there were enough or the time is over; how many. Raises what was wrong with one."""
        try:
            for number in range(REQUESTS):
                if time.monotonic() > deadline:
                    return number
                self._one(number)
            return REQUESTS
        finally:
            self._leave()

    def _one(self, number: int) -> None:
        method, target, fields, body = self._request()
        try:
            answer = self._exchange(method, target, fields, body)
            if answer is not None:
                self.seen[answer.status] += 1
                self._learn(target, answer)
        except Exception as error:
            error.add_note(f"request {number}: {method} {target} {fields} {body!r}")
            raise

    def _request(self) -> tuple[str, str, Fields, bytes]:
        chance = self._chance
        make = chance.choice((self._tus_create, self._tus_append, self._ietf_create, self._ietf_append, self._look))
        method, target, fields = make()
        body = chance.choice((b"", b"abc", b"abcde", b"x" * 10, bytes(range(20))))
        for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
            self._spoil(fields)
        if chance.random() < 0.05:
            method = chance.choice(METHODS)
        if chance.random() < 0.05:
            target = chance.choice(TARGETS)
        return method, target, [(name, value.replace("{any}", self._any())) for name, value in fields], body

    def _tus_create(self) -> tuple[str, str, Fields]:
        length = self._chance.choice(("0", "3", "10", "20"))
        fields = [("Tus-Resumable", "1.0.0"), ("Upload-Length", length), ("Content-Type", TYPES[0])]
        if self._chance.random() < 0.2:
            fields.append(("Upload-Concat", self._chance.choice(("partial", "final;{any}"))))
        return "POST", "/files/", fields

    def _tus_append(self) -> tuple[str, str, Fields]:
        path = self._any()
        return (
            "PATCH",
            path,
            [("Tus-Resumable", "1.0.0"), ("Upload-Offset", self._offset(path)), ("Content-Type", TYPES[0])],
        )

    def _ietf_create(self) -> tuple[str, str, Fields]:
        version = ("Upload-Draft-Interop-Version", self._chance.choice(("3", "5", "6", "8", "10")))
        name = "Upload-Incomplete" if version[1] == "3" else "Upload-Complete"
        return "POST", "/files/", [version, (name, self._chance.choice(("?0", "?1")))]

    def _ietf_append(self) -> tuple[str, str, Fields]:
        path, complete = self._any(), self._chance.choice(("?0", "?1"))
        fields = [("Upload-Complete", complete), ("Upload-Offset", self._offset(path)), ("Content-Type", TYPES[1])]
        return "PATCH", path, fields

    def _look(self) -> tuple[str, str, Fields]:
        method = self._chance.choice(("HEAD", "HEAD", "GET", "GET", "DELETE", "OPTIONS"))
        return method, self._any(), self._chance.choice(([], [("Tus-Resumable", "1.0.0")]))

    def _spoil(self, fields: Fields) -> None:
        how = self._chance.randrange(4)
        if how == 0 or not fields:
            name = self._chance.choice(tuple(VALUES))
            fields.append((name, self._chance.choice(VALUES[name])))
            return
        position = self._chance.randrange(len(fields))
        name, value = fields[position]
        if how == 1:
            fields[position] = (name, self._chance.choice(VALUES[name]))
        elif how == 2:
            fields.append((name, value))
        else:
            del fields[position]

    def _any(self) -> str:
        return self._chance.choice(self._paths[-30:]) if self._paths else NOBODY

    def _offset(self, path: str) -> str:
        return self._offsets.get(path, "0") if self._chance.random() < 0.8 else self._chance.choice(NUMBERS)

    def _exchange(self, method: str, target: str, fields: Fields, body: bytes) -> RawResponse | None:
        """One request and its final answer; None when the server closed the connection instead."""
        own, coded, endless = self._framing(fields, body)
        if self._client is None:
            self._client = RawClient(self._server.port, timeout=PROMPT)
        client = self._client
        lines = [f"{name}: {value}" for name, value in (*fields, *own)]
        try:
            client.send(head(method, target, *lines), coded)
            if endless:
                client.half_close()
            while (answer := client.response(to_head=method == "HEAD")).status < 200:
                pass
        except ConnectionError:
            self._leave()
            return None
        if endless or answer.headers.get("connection") == "close":
            self._leave()
        return checked(answer, bodiless=method == "HEAD")

    def _framing(self, fields: Fields, body: bytes) -> tuple[Fields, bytes, bool]:
        """Further fields and the bytes to send; and whether the server would rightly wait for more than these."""
        stated = {name: value for name, value in fields if name in ("Content-Length", "Transfer-Encoding")}
        if "Transfer-Encoding" in stated:
            return [], chunked(body) if body else chunked(), stated["Transfer-Encoding"] != "chunked"
        if "Content-Length" in stated:
            size = stated["Content-Length"]
            short = size.isdecimal() and int(size) <= 20
            return [], bytes(int(size)) if short else body, not short
        if self._chance.random() < 0.3:
            return [("Transfer-Encoding", "chunked")], chunked(*([body] if body else [])), False
        return [("Content-Length", str(len(body)))], body, False

    def _learn(self, target: str, answer: RawResponse) -> None:
        if answer.status == 201 and "location" in answer.headers and answer.headers["location"] not in self._paths:
            self._paths.append(answer.headers["location"])
        path = answer.headers.get("location", target)
        if "upload-offset" in answer.headers:
            self._offsets[path] = answer.headers["upload-offset"]

    def _leave(self) -> None:
        if self._client is not None:
            self._client.socket.close()
            self._client = None


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with every limit set, that must have come to no harm at the end."""
    limits = ("--max-size", "1000", "--max-append-size", "15", "--body-timeout", "2s", "--durability", "os")
    with serving(tmp_path_factory.mktemp("fuzz") / "data", *limits) as running, unharmed(running):
        yield running


def assert_sound(server: Server) -> None:
    """What the server says of each upload agrees with itself and with the bytes."""
    for row in httpx.get(f"{server.url}/api/uploads", params={"limit": 500}).json()["uploads"]:
        assert row["length"] is None or row["offset"] <= row["length"] <= 1000, row
        answer = httpx.get(server.url + row["url"])
        if row["phase"] == "complete":
            assert (answer.status_code, int(answer.headers["content-length"])) == (200, row["length"]), row
        else:
            assert answer.status_code in (204, 410, 503), row


def test_requests_that_are_almost_right(server: Server) -> None:
    """Every one is answered in time and in words, and nothing that is stored gets out of order."""
    paths: list[str] = []
    before = threading.active_count()  # of this process, which may have run other tests
    fuzzers = [Fuzzer(server, SEED + number, paths) for number in range(CLIENTS)]
    deadline = time.monotonic() + TIME
    with ThreadPoolExecutor(CLIENTS) as pool:
        counts = list(pool.map(lambda fuzzer: fuzzer.run(deadline), fuzzers))
    seen = sum((fuzzer.seen for fuzzer in fuzzers), Counter[int]())
    assert min(counts) >= LEAST, f"seeds from {SEED}: {counts}"
    for status in (201, 204, 400, 404, 409, 412, 413, 415):
        assert seen[status], f"seeds from {SEED}: no {status} among {dict(seen)}"
    assert_sound(server)
    assert threading.active_count() <= before
