"""A second client takes an upload over: from a sender that has fallen silent, and from one at full speed.

Both bring bytes of their own tint, so a single byte that the older one gets in after the take-over is found.
"""

import contextlib
import random
import threading
from collections.abc import Iterator
from typing import Final

from tests.crash import exchange, questions, verdicts
from tests.crash.exchange import Route
from tests.crash.ledger import Flight
from tests.crash.scene import Scene, now
from tests.crash.verdicts import code_of
from tests.crash.ways import Packed, Way, pack
from tests.support.process import eventually
from tests.support.raw_http import RawClient, RawResponse
from tests.support.uploading import DIALECTS, KIB, MIB

LENGTH: Final = 1 << 30  # bytes: more than anybody sends
LENGTH_TO_FINISH: Final = 48 * MIB  # where only a finished upload can be looked at
SHARES: Final = (64 * KIB, 64 * KIB, 8 * MIB)  # bytes that the second client brings; the last: over the older one's
_FLOOD: Final = 512 * MIB  # bytes that a sender at full speed is good for
_AHEAD: Final = MIB // 2  # bytes made at once


class Rivals:
    """One take-over, as a step of the schedule."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self._scene = scene
        self._chance = chance
        self._share = chance.choice(SHARES)
        self._way = Way(dialect=chance.choice(DIALECTS))
        self._length = LENGTH if scene.place.readable else LENGTH_TO_FINISH
        self._upload = scene.ledger.upload(f"{self._way}, two rivals", self._way.dialect, self._length, shared=True)

    def take_over(self, *, stalled: bool) -> None:
        """Let one client begin and another take over; check every byte, and delete the upload."""
        self._create()
        with self._older(stalled=stalled) as (older, ended):
            began = now()
            offset = self._newer()
            kind = "taken over, stalled" if stalled else "taken over, full speed"
            if self._share == SHARES[0] and not self._scene.weather.since(began):
                self._scene.figures.measure(kind, now() - began)
            self._scene.figures.count("take-overs")
            ended.wait(questions.PATIENCE)
            self._overtaken(older)
        self._check(offset)
        questions.delete(self._scene, self._upload)

    def _create(self) -> None:
        request = self._way.create_head(self._length, 0)
        with self._scene.gate.inside(), RawClient(self._scene.server.port) as client:
            client.send(request)
            answer = client.responses()[-1]
        if answer.status != 201:
            raise self._scene.ledger.broken(f"a creation was answered {answer.status}", self._upload)
        self._scene.ledger.located(self._upload, answer.headers["location"])

    @contextlib.contextmanager
    def _older(self, *, stalled: bool) -> Iterator[tuple[RawClient, threading.Event]]:
        """The first sender, when it has fallen silent, or is at full speed; and the end of its sending."""
        assert self._upload.path is not None
        stop = self._chance.randint(1, 4 * MIB) if stalled else min(_FLOOD, self._length - 1)
        with RawClient(self._scene.server.port) as client:
            flight, ended = self._flight(client, 0), threading.Event()
            flight.sent.stop = stop
            head = self._way.append_head(self._upload.path, 0, self._length, last=False)
            client.send(head)
            flight.head = flight.raw = len(head)
            sending = threading.Thread(target=self._pour, args=(client, flight, stop, ended))
            sending.start()
            try:
                least = stop if stalled else 2 * MIB
                eventually(lambda: self._scene.place.has_taken(self._scene, flight, least))
                yield client, ended
            finally:
                client.reset()
                sending.join()

    def _pour(self, client: RawClient, flight: Flight, stop: int, ended: threading.Event) -> None:
        with contextlib.suppress(OSError):
            for start in range(0, stop, _AHEAD):
                piece = self._scene.tints.content(flight.sent.tint, start, min(start + _AHEAD, stop))
                client.send(piece)
                flight.raw += len(piece)
        ended.set()

    def _newer(self) -> int:
        """The second client asks where to go on, and goes on; the offset it got to."""
        offset = None
        while offset is None:
            offset = questions.look(
                self._scene, self._upload, Route(self._scene.server.port), speaks=self._way.speaks()
            )
        while True:
            stop = min(offset + self._share, self._length - 1)
            answer, flight = self._append(offset, stop)
            if answer.status == 204:
                self._scene.ledger.tell(self._upload, stop, flight.floor, "the second client's 204")
                return stop
            if code_of(answer) != "mismatching-upload-offset":
                raise self._scene.ledger.broken(
                    f"a take-over was answered {answer.status}: {answer.body!r}", self._upload
                )
            offset = int(answer.headers["upload-offset"])  # the older one was faster than the question
            self._scene.ledger.tell(self._upload, offset, flight.floor, "409")

    def _append(self, offset: int, stop: int, *, last: bool = False) -> tuple[RawResponse, Flight]:
        assert self._upload.path is not None
        with RawClient(self._scene.server.port) as client:
            flight = self._flight(client, offset)
            packed: Packed = pack(self._way, self._scene.tints.content(flight.sent.tint, offset, stop))
            head = self._way.append_head(self._upload.path, offset, packed.size, last=last)
            return exchange.bring(client, flight, head, packed, 0.0, lambda answer: None), flight

    def _flight(self, client: RawClient, start: int) -> Flight:
        return Flight(
            upload=self._upload,
            sent=self._scene.ledger.sending(self._upload, start),
            port=client.socket.getsockname()[1],
            began=now(),
            floor=self._upload.told,
            direct=True,
            fated=False,
            plain=True,
            head=0,
        )

    def _overtaken(self, older: RawClient) -> None:
        """The older one is told that it was superseded, or finds its connection closed."""
        with contextlib.suppress(ConnectionError):
            answer = older.responses()[-1]
            if code_of(answer) != "superseded":
                raise self._scene.ledger.broken(f"the older sender was answered {answer.status}", self._upload)

    def _check(self, offset: int) -> None:
        """Nothing came after the second client's bytes, and everything below them is right; where that cannot be seen
        yet, once the second client has brought all."""
        found = questions.look(self._scene, self._upload, Route(self._scene.server.port), speaks=self._way.speaks())
        if found != offset:
            raise self._scene.ledger.broken(f"after the take-over it is at {found}, not {offset}", self._upload)
        self._scene.place.check_prefix(self._scene, self._upload)
        if not self._scene.place.readable:
            answer, flight = self._append(offset, self._length, last=True)
            verdicts.brought(self._scene, flight, answer, self._length, creating=False)
            questions.verify(self._scene, self._upload)
