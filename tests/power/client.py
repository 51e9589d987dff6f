"""A client that uploads in many ways to a server that is stopped and killed, and keeps account of what it was told."""

import contextlib
import hashlib
import random
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from tests.power.promises import ASSEMBLED, Fact, Known, Promise, Story
from tests.power.shim import Watch
from tests.support.process import Server
from tests.support.raw_http import RawClient, RawResponse, chunked, head
from tests.support.uploading import INTEROP, KIB, MIB, TUS, append_head, create_head

SMALL: Final = 16 * KIB
LONG: Final = 20 * MIB
STEP: Final = 64 * KIB  # bytes sent between two looks at the log

WAYS: Final = {  # each with its largest size in bytes
    "small, PATCH": SMALL,
    "small, creation with upload": SMALL,
    "small, IETF in one request": SMALL,
    "small, pieces": SMALL,
    "empty": 0,
    "one PATCH": MIB,
    "creation with upload": MIB,
    "IETF in one request": MIB,
    "pieces": MIB,
    "IETF pieces": MIB,
    "chunked": MIB // 2,
    "deferred length": MIB // 2,
    "checksum": MIB // 2,
    "broken off": MIB // 2,
}
_STREAM: Final = "Content-Type: application/offset+octet-stream"
_PIECEMEAL: Final = ("part", "small, pieces", "pieces", "IETF pieces", "deferred length", "checksum")
_LATER: Final = 503
_OVER: Final = (404, 410)
_FIRST_PEER: Final = (127 << 24) + (1 << 16)


class Line(RawClient):
    """A connection from an address of its own, so that the log tells whom an answer went to."""

    def __init__(self, port: int, peer: int) -> None:
        address = socket.inet_ntoa(peer.to_bytes(4, "big"))
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(address, 0))
        self.peer = peer
        self._buffer = b""
        self._received = 0

    @property
    def taken(self) -> int:
        """How many bytes were received up to the end of the last answer."""
        return self._received - len(self._buffer)

    def _more(self) -> None:
        before = len(self._buffer)
        super()._more()
        self._received += len(self._buffer) - before


class Client:
    """Uploads one file after the other, each to its end, however often the server goes away."""

    def __init__(self, server: Server, watch: Watch, seed: int, number: int, *, patience: float = 30.0) -> None:
        """`number`: of this client, below 200; `patience`: seconds that one upload may take."""
        self.stories: list[Story] = []
        self._server = server
        self._watch = watch
        self._chance = random.Random(f"{seed} {number}")
        self._peer = _FIRST_PEER + (number << 16)
        self._patience = patience
        self._offset: int | None = None  # as it was last told, for the upload that is under way

    def upload(self, way: str, size: int) -> Story:
        """Upload `size` random bytes; returns when the server has told that they are complete."""
        story = self._story(way, size)
        self._persist(lambda: self._advance(story), story)
        return story

    def delete(self, story: Story) -> None:
        """Delete an upload."""
        self._persist(lambda: self._delete(story), story)

    def upload_a_part_and_delete(self, size: int) -> None:
        """Upload half of a file, and delete it."""
        story = self._story("deleted half-way", size)
        self._persist(lambda: self._create(story), story)
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._append(story, 0, size // 2)
        self.delete(story)

    def concatenate(self, sizes: list[int], *, early: bool) -> None:
        """Upload parts and have the server put them together; `early`: ask for that before they are complete."""
        parts = [self._story("part", size) for size in sizes]
        for part in parts:
            self._persist(partial(self._create, part), part)
        final = Story(ASSEMBLED, b"".join(part.whole for part in parts))
        self.stories.append(final)
        if early:
            self._persist(lambda: self._create_final(final, parts), final)
        for part in parts:
            self._persist(partial(self._advance, part), part)
        if not early:
            self._persist(lambda: self._create_final(final, parts), final)
        self._persist(lambda: self._await_final(final), final)

    def resume(self, story: Story, known: Known) -> tuple[Story, Known] | None:
        """Go on with an upload of a run before this one: its new story, and what it begins with. None: it is not to be
        found, and nobody was ever told that it would be."""
        again = replace(story, promises=[], sent=[(0, len(story.whole))], deletion=None)
        if not known.gone:
            self._persist(lambda: self._find(again, known), again)
            if again.path is None:
                return None
            if not self._is_told(again, Fact.GONE):
                self._persist(partial(self._await_final if story.assembled else self._advance, again), again)
        self.stories.append(again)
        return again, replace(known, deletion=False, gone=known.gone or self._is_told(again, Fact.GONE))

    # One file

    def _story(self, way: str, size: int) -> Story:
        story = Story(way, self._chance.randbytes(size), grains={0} if way == "checksum" else None)
        self.stories.append(story)
        return story

    def _persist(self, step: Callable[[], bool], story: Story) -> None:
        """Take a step until it says that it was the last one."""
        deadline = time.monotonic() + self._patience
        over, self._offset = False, None
        while not over:
            assert time.monotonic() < deadline, f"{story}: it did not come to an end"
            try:
                over = step()
            except (ConnectionError, TimeoutError):
                self._offset = None
                over = False
            if not over:
                time.sleep(0.005)

    def _is_told(self, story: Story, fact: Fact) -> bool:
        return any(promise.fact is fact for promise in story.promises)

    def _advance(self, story: Story) -> bool:
        """The next request of an upload; whether it is complete."""
        if story.path is None:
            self._create(story)
        elif self._offset is None:
            self._ask(story)
        elif story.way == "broken off" and self._chance.random() < 0.6:
            self._break_off(story, self._offset)
        else:
            size, end = len(story.whole), len(story.whole)
            if story.way in _PIECEMEAL:
                end = min(size, self._offset + self._chance.randint(1, max(1, size // 2)))
            self._append(story, self._offset, end)
        return self._is_told(story, Fact.COMPLETE)

    def _create(self, story: Story) -> bool:
        size, body, way = len(story.whole), b"", story.way
        story.sent = [(self._watch.size(), 0)]
        if way.endswith("IETF in one request"):
            body = story.whole
            request = head("POST", "/files/", INTEROP, "Upload-Complete: ?1", f"Content-Length: {size}")
        elif way.endswith("creation with upload"):
            body = story.whole
            request = create_head("tus", f"Content-Length: {size}", _STREAM, length=size)
        else:
            fields = ["Content-Length: 0", *(["Upload-Concat: partial"] if way == "part" else [])]
            request = create_head(story.dialect, *fields, length=None if way == "deferred length" else size)
        self._offset = None
        answer = self._exchange(story, request, 0, body)
        assert answer.status in (201, _LATER), f"{story}: the creation was answered {answer}"
        return answer.status == 201

    def _append(self, story: Story, offset: int, end: int) -> None:
        assert story.path is not None
        body, fields = story.whole[offset:end], []
        last = end == len(story.whole)
        if story.way == "deferred length" and last:
            fields.append(f"Upload-Length: {end}")
        if story.grains is not None:
            story.grains.add(end)
            fields.append(f"Upload-Checksum: sha1 {b64encode(hashlib.sha1(body).digest()).decode()}")
        size = None if story.way == "chunked" else len(body)
        request = append_head(story.dialect, story.path, offset, *fields, size=size, last=last)
        self._offset = None
        answer = self._exchange(story, request, offset, body, framed=size is None)
        # 409: an earlier request is still at it; 503: a sync has failed. HEAD will tell.
        assert answer.status in (201, 204, 409, _LATER), f"{story}: an append at {offset}: {answer}"

    def _break_off(self, story: Story, offset: int) -> None:
        """Begin to send what is missing, and hang up."""
        assert story.path is not None
        rest = story.whole[offset:]
        self._offset = None
        with self._line() as line:
            line.send(append_head(story.dialect, story.path, offset, size=len(rest)))
            self._send(story, line, offset, rest[: self._chance.randint(0, len(rest))])

    def _ask(self, story: Story) -> None:
        answer = self._told_by_head(story)
        assert answer.status in (200, 204, _LATER), f"{story}: HEAD was answered {answer}"

    def _find(self, story: Story, known: Known) -> bool:
        """Ask for an upload that may be lost, or deleted."""
        with self._line() as line:
            line.send(head("HEAD", story.path or "", TUS if story.dialect == "tus" else INTEROP))
            answer = line.response(to_head=True)
            self._heard(story, line, answer)
            if answer.status in _OVER:
                assert known.deletion or not known.exists, f"{story} [{known}]: HEAD was answered {answer}"
                story.promises.append(Promise(Fact.GONE, 0, line.peer, line.taken))
                story.path = story.path if known.deletion else None
        assert answer.status in (200, 204, _LATER, *_OVER), f"{story}: HEAD was answered {answer}"
        return answer.status != _LATER

    def _told_by_head(self, story: Story) -> RawResponse:
        assert story.path is not None
        with self._line() as line:
            line.send(head("HEAD", story.path, TUS if story.dialect == "tus" else INTEROP))
            answer = line.response(to_head=True)
            self._heard(story, line, answer)
        return answer

    def _delete(self, story: Story) -> bool:
        assert story.path is not None
        if story.deletion is None:
            story.deletion = self._watch.size()
        with self._line() as line:
            line.send(head("DELETE", story.path, TUS if story.dialect == "tus" else INTEROP))
            answer = line.responses()[-1]
            if answer.status == _LATER:
                return False
            assert answer.status in (204, *_OVER), f"{story}: DELETE was answered {answer}"
            story.promises.append(Promise(Fact.GONE, 0, line.peer, line.taken))
        return True

    def _create_final(self, story: Story, parts: list[Story]) -> bool:
        story.sent = [(self._watch.size(), len(story.whole))]
        ask = f"Upload-Concat: final;{' '.join(str(part.path) for part in parts)}"
        answer = self._exchange(story, head("POST", "/files/", TUS, ask, "Content-Length: 0"), 0, b"")
        assert answer.status in (201, _LATER), f"{story}: the creation was answered {answer}"
        return answer.status == 201

    def _await_final(self, story: Story) -> bool:
        self._ask(story)
        return self._is_told(story, Fact.COMPLETE)

    # One request

    @contextmanager
    def _line(self) -> Iterator[Line]:
        self._peer += 1
        with Line(self._server.port, self._peer) as line:
            yield line

    def _exchange(self, story: Story, request: bytes, offset: int, body: bytes, *, framed: bool = False) -> RawResponse:
        with self._line() as line:
            line.send(request)
            self._send(story, line, offset, body, framed=framed)
            while True:
                answer = line.response()
                self._heard(story, line, answer)
                if answer.status >= 200:
                    return answer

    def _send(self, story: Story, line: Line, offset: int, body: bytes, *, framed: bool = False) -> None:
        for start in range(0, len(body), STEP):
            piece = body[start : start + STEP]
            story.sent.append((self._watch.size(), offset + start + len(piece)))
            line.send(chunked(piece, last=False) if framed else piece)
        if framed:
            line.send(chunked())

    def _heard(self, story: Story, line: Line, answer: RawResponse) -> None:
        """Take an answer down."""

        def promise(fact: Fact, value: int = 0) -> None:
            story.promises.append(Promise(fact, value, line.peer, line.taken))

        if answer.status in (104, 201) and "location" in answer.headers:
            story.path = answer.headers["location"]
            promise(Fact.EXISTS)
        if "upload-offset" not in answer.headers or answer.status >= 300:
            return
        offset = int(answer.headers["upload-offset"])
        promise(Fact.STORED, offset)
        if answer.status >= 200:
            self._offset = offset
        if story.dialect == "rufh":
            complete = answer.headers.get("upload-complete") == "?1"
        else:
            complete = offset == len(story.whole) and "upload-defer-length" not in answer.headers
        if complete:
            promise(Fact.COMPLETE)
