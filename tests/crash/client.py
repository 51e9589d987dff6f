"""A client as it should be: it uploads file after file, recovers from whatever happens, and believes what it was told.

It tells the ledger everything, and excuses nothing: a request that nobody disturbed has to succeed, and an answer has
to be one that the situation allows.
"""

import contextlib
import random
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.crash import exchange, questions, verdicts
from tests.crash.exchange import Route
from tests.crash.ledger import Flight, Upload
from tests.crash.scene import Scene, now
from tests.crash.ways import PIECE, SMALL, Packed, Way, pack, some_size, some_size_in_parts, some_way
from tests.support.proxy import Cut, Fate
from tests.support.raw_http import RawClient, RawResponse
from tests.support.uploading import MIB

COMES_TO_AN_END: Final = 100.0  # seconds for one file, whatever happens
BACK_OFF: Final = 0.1  # seconds
BODY_TIME: Final = 1.2  # seconds that a slow body takes at most
ZOMBIES: Final = 6  # connections that a client has given up on without closing them
KEPT: Final = 1.0  # seconds for which an idle connection is used again
_LEAST: Final = 64  # bytes of an answer's beginning that come through


@dataclass(frozen=True, slots=True)
class _Request:
    """A request with a body, ready to be sent."""

    head: bytes
    packed: Packed


class Client:
    """One client, to be run in a thread of its own."""

    def __init__(self, scene: Scene, number: int) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._chance = random.Random(f"{scene.seed} client {number}")
        self._zombies: list[RawClient] = []
        self._brisk = False  # small files one after another, on one connection
        self._closing = False  # the last answer said that its connection would be closed
        self._kept: tuple[RawClient, float] | None = None  # that connection, and since when nothing was asked on it

    def run(self) -> None:
        """Upload until the run is over; what was begun is finished."""
        try:
            while not self._ledger.over.is_set():
                self.some_upload()
        finally:
            for zombie in self._zombies:
                zombie.socket.close()
            self._drop_kept()

    def some_upload(self) -> None:
        """One file, or several parts and their concatenation; checked, and sometimes deleted or left unfinished."""
        chance, die = self._chance, self._chance.random()
        if die < 0.07:
            self._concatenate()
            return
        if die < (0.3 if self._scene.place.part is None else 0.15):
            self._burst()
            return
        way = some_way(chance)
        leave = chance.random() < 0.06
        upload = self.upload(way, self._size(), patience=chance.uniform(0, 1) if leave else COMES_TO_AN_END)
        if upload is None:
            return
        questions.verify(self._scene, upload)
        self._delete_some(upload)

    def upload(self, way: Way, size: int, *, patience: float = COMES_TO_AN_END) -> Upload | None:
        """Upload one file to its end; None when the run or the patience (seconds) was over before."""
        upload: Upload | None = self._new(way, size)
        began = time.monotonic()
        while upload is not None and not upload.complete:
            if time.monotonic() - began > patience and upload.known:
                return None
            upload = self._step(upload, way)
        return upload

    def _burst(self) -> None:
        """Many small files, as fast as one client can."""
        self._brisk = True
        try:
            uploads = [
                self.upload(some_way(self._chance), self._chance.randint(0, SMALL))
                for _ in range(self._chance.randint(5, 40))
                if not self._ledger.over.is_set()
            ]
        finally:
            self._brisk = False
            self._drop_kept()
        for upload in uploads:
            if upload is not None:
                questions.verify(self._scene, upload)
                self._delete_some(upload)

    def _delete_some(self, upload: Upload) -> None:
        """Small files often stay, large ones seldom: the disk is not to be full by itself."""
        if self._chance.random() < (0.25 if upload.length <= MIB else 0.85):
            questions.delete(self._scene, upload)

    def _concatenate(self) -> None:
        """Several partial uploads, and a final one that may be created before they are complete."""
        chance = self._chance
        most = 8 * MIB if self._scene.place.part is None else 2 * self._scene.place.part
        sizes = [min(self._size(), most) for _ in range(chance.randint(1, 3))]
        ways = [Way(dialect="tus", many=chance.random() < 0.5, framed=chance.random() < 0.2) for _ in sizes]
        parts = [self._new(way, size, partial=True) for way, size in zip(ways, sizes, strict=True)]
        final = self._ledger.upload("tus final", "tus", sum(sizes))
        begin_early = chance.random() < 0.5
        for done in ("known", "complete"):
            for number, way in enumerate(ways):
                while not getattr(parts[number], done):
                    stepped = self._step(parts[number], way)
                    if stepped is None:
                        return
                    parts[number] = stepped
            if begin_early is (done == "known"):
                final.parts = parts
                questions.assemble(self._scene, final)
        for part in parts:
            questions.verify(self._scene, part)
        questions.await_complete(self._scene, final)
        if self._ledger.failure is None:
            questions.verify(self._scene, final)
            self._delete_some(final)

    # -- requests ------------------------------------------------------------------------------------------------------

    def _new(self, way: Way, size: int, *, partial: bool = False) -> Upload:
        upload = self._ledger.upload(
            str(way),
            way.dialect,
            size,
            partial=partial,
            deferred=way.deferred,
            bare=way.plain and way.creation == "empty",
        )
        self._ledger.note(f"#{upload.number} {upload}")
        self._scene.figures.count("uploads")
        self._scene.figures.count("small uploads", int(size <= SMALL))
        return upload

    def _step(self, upload: Upload, way: Way) -> Upload | None:
        """The next request; the upload, or another one in its place when its URL will never be known; None when nothing
        more can be done for it."""
        late = time.monotonic() - upload.began
        if late > COMES_TO_AN_END:
            raise self._ledger.broken(f"it did not come to an end in {late:.0f} s", upload)
        if self._ledger.failure is not None or upload.deleted:
            return None
        try:
            if upload.known:
                self._go_on(upload, way)
            else:
                self._create(upload := self._anew(upload, way), way)
        except (ConnectionError, TimeoutError):
            time.sleep(self._chance.uniform(0, BACK_OFF))
        return upload

    def _anew(self, upload: Upload, way: Way) -> Upload:
        """Another upload of the same file, where the creation of the last one got no answer."""
        if not upload.sent:
            return upload
        another = self._new(way, upload.length, partial=upload.partial)
        another.carried += upload.carried
        return another

    def _create(self, upload: Upload, way: Way) -> None:
        stop = {"empty": 0, "with all": upload.length, "with a part": self._chance.randint(0, upload.length)}
        whole = way.creation == "with all"
        self._send(upload, way, 0, stop[way.creation], last=whole)

    def _go_on(self, upload: Upload, way: Way) -> None:
        asked = time.monotonic()
        with self._scene.gate.inside():
            offset = questions.look(self._scene, upload, self._route(0), speaks=way.speaks())
        if upload.complete or offset is None:
            return
        stop = upload.length
        if way.many:
            stop = min(stop, offset + self._chance.randint(1, max(PIECE, upload.length // 3)))
        elif way.whole:
            stop = min(stop, offset + 4 * MIB)
        self._send(upload, way, offset, stop, last=stop == upload.length, asked=asked)

    def _send(self, upload: Upload, way: Way, start: int, stop: int, *, last: bool, asked: float | None = None) -> None:
        """One request with bytes of a new tint, and what its answer, or its break, means."""
        with self._scene.gate.inside():
            creating = not upload.known
            sent = self._ledger.sending(upload, start, stop if way.whole and stop > start else None)
            content = self._scene.tints.content(sent.tint, start, stop) if stop > start else b""
            request = self._request(upload, way, content, start, last)
            route = self._route(len(content))
            pause = self._pause(len(request.packed.pieces))
            self._ledger.note(f"#{upload.number} sends {sent} up to {stop}, {route.fate or 'untouched'}")
            with self._connected(upload, route) as client:
                flight = Flight(
                    upload=upload,
                    sent=sent,
                    port=client.socket.getsockname()[1],
                    began=time.monotonic(),
                    floor=upload.told,
                    direct=route.proxy is None,
                    fated=route.fate is not None,
                    plain=way.plain,
                    head=len(request.head),
                    asked=asked,
                )
                with self._ledger.flying(flight):
                    answer = self._bring(client, flight, request, pause)
                self._closing = answer.headers.get("connection", "").lower() == "close"
            verdicts.brought(self._scene, flight, answer, stop, creating=creating)

    def _request(self, upload: Upload, way: Way, content: bytes, start: int, last: bool) -> _Request:
        packed = pack(way, content, self._piece(len(content)))
        if upload.known:
            assert upload.path is not None
            fields = packed.fields
            if way.deferred and last:
                fields = (*fields, f"Upload-Length: {upload.length}")
            head = way.append_head(upload.path, start, packed.size, *fields, last=last)
        else:
            bare = way.creation == "empty" or (way.dialect == "tus" and not content)
            packed = Packed(fields=(), size=0, pieces=()) if bare else packed
            concat = "partial" if upload.partial else ""
            head = way.create_head(upload.length, packed.size, *packed.fields, concat=concat)
        return _Request(head, packed)

    def _bring(self, client: RawClient, flight: Flight, request: _Request, pause: float) -> RawResponse:
        def interim(answer: RawResponse) -> None:
            verdicts.told_on_the_way(self._scene, flight, answer)

        try:
            return exchange.bring(client, flight, request.head, request.packed, pause, interim)
        except OSError as failure:
            verdicts.broke(self._scene, flight, failure)
            raise
        finally:
            flight.upload.carried += max(0, flight.raw - flight.head)

    # -- chance --------------------------------------------------------------------------------------------------------

    def _size(self) -> int:
        part = self._scene.place.part
        return some_size(self._chance) if part is None else some_size_in_parts(self._chance, part)

    def _route(self, body: int) -> Route:
        """Straight to the server, or through the proxy, where something may happen to the connection."""
        chance, proxy = self._chance, self._scene.proxy
        if self._hurried or chance.random() < 0.4:
            return Route(self._scene.server.port)
        if chance.random() < 0.6:
            return Route(proxy.port, proxy)
        then = chance.choice((Cut.RESET, Cut.FIN, chance.uniform(0.2, 2.5)))
        if chance.random() < 0.3:  # the answer, or what is told on the way, is delivered by half
            return Route(proxy.port, proxy, Fate(chance.randint(0, _LEAST), then, upstream=False), patience=1.0)
        return Route(proxy.port, proxy, Fate(chance.randint(0, body + 300), then), patience=chance.uniform(0.3, 1.0))

    @property
    def _hurried(self) -> bool:
        return self._brisk or self._ledger.over.is_set()

    def _piece(self, size: int) -> int:
        """How many bytes are sent at once: a small body may come in bits, too."""
        return self._chance.randint(1 + size // 5, 1 + size) if size < PIECE and self._chance.random() < 0.3 else PIECE

    def _pause(self, pieces: int) -> float:
        """Seconds between pieces: many bodies come as fast as they can, others slowly enough to be caught half-way."""
        if not pieces or self._hurried or self._chance.random() < 0.5:
            return 0.0
        return min(0.1, self._chance.uniform(0.1, BODY_TIME) / pieces)

    # -- connections ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _connected(self, upload: Upload, route: Route) -> Iterator[RawClient]:
        """A connection; one that stood still is sometimes left open, as a client does that has moved elsewhere."""
        try:
            client = self._take_kept() or route.connect()
        except OSError:
            self._ledger.never_sent(upload, upload.sent[-1])
            raise
        self._closing = False
        try:
            yield client
        except TimeoutError:
            self._leave(client)
            raise
        except BaseException:
            client.socket.close()
            raise
        if self._brisk and not self._closing:
            self._kept = client, now()
            self._scene.idle.add(client.socket)
        else:
            client.socket.close()

    def _leave(self, client: RawClient) -> None:
        if self._chance.random() < 0.6:
            self._zombies.append(client)
            if len(self._zombies) <= ZOMBIES:
                return
            client = self._zombies.pop(0)
        client.socket.close()

    def _take_kept(self) -> RawClient | None:
        """The connection of the last request, if the server has had no reason to close it."""
        if self._kept is None:
            return None
        client, since = self._kept
        self._kept = None
        self._scene.idle.discard(client.socket)
        if now() - since < KEPT and not self._scene.weather.since(since) and not _readable(client):
            return client
        client.socket.close()
        return None

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._scene.idle.discard(self._kept[0].socket)
            self._kept[0].socket.close()
            self._kept = None


def _readable(client: RawClient) -> bool:
    """Whether the server has said something, or closed, without being asked."""
    return bool(select.select([client.socket], [], [], 0)[0])
