"""Those who only look: tus HEADs and the JSON side while bodies arrive, unfinished and finished downloads.

They disturb nobody: the clients hold the server to that, since a request that nobody disturbed has to succeed.
"""

import http.client
import json
import random
import time
from typing import Any

from tests.crash import exchange, questions
from tests.crash.exchange import Route
from tests.crash.ledger import Flight, Upload
from tests.crash.scene import Scene, now
from tests.crash.weather import NETWORK, STORE, Ill
from tests.support.uploading import id_of

_PAUSE = 0.03  # seconds between two questions, at most


class Observer:
    """One of them, to be run in a thread of its own."""

    def __init__(self, scene: Scene, number: int) -> None:
        self._scene = scene
        self._chance = random.Random(f"{scene.seed} observer {number}")

    def run(self) -> None:
        """Ask one thing after another until the run is over."""
        asks = (self._head, self._head, self._list, self._one, self._unfinished, self._finished, self._figures)
        while not self._scene.ledger.over.is_set():
            with self._scene.gate.inside():
                began = now()
                try:
                    self._chance.choice(asks)()
                except (OSError, http.client.HTTPException) as failure:
                    if not self._scene.weather.since(began, *NETWORK):
                        raise self._scene.ledger.broken(f"an observer's question broke: {failure!r}") from failure
            self._scene.figures.count("questions")
            time.sleep(self._chance.uniform(0, _PAUSE))

    def _head(self) -> None:
        """HEAD over tus in the middle of a body; how long it takes, where the request outlasts it."""
        flights = [flight for flight in self._flights() if flight.upload.dialect == "tus"]
        if not flights:
            return
        flight = self._chance.choice(flights)
        began = now()
        questions.look(self._scene, flight.upload, Route(self._scene.server.port))
        if flight in self._scene.ledger.under_way() and not self._scene.weather.since(began):
            self._scene.figures.count("HEADs during PATCH")
            self._scene.figures.measure("HEAD during PATCH", now() - began)

    def _list(self) -> None:
        """The newest uploads."""
        before = {upload.path: upload.told for upload in list(self._scene.ledger.uploads) if upload.known}
        document = self._json(f"/api/uploads?limit={self._chance.randint(1, 50)}")
        if document is None:
            return
        uploads = {upload.path: upload for upload in list(self._scene.ledger.uploads) if upload.known}
        for one in document["uploads"]:
            if one["url"] in before:
                self._hold(uploads[one["url"]], one, before[one["url"]])

    def _one(self) -> None:
        """One upload, that is just being sent or any."""
        upload = self._some_upload()
        if upload is None or upload.path is None:
            return
        floor = upload.told
        document = self._json(f"/api/uploads/{id_of(upload.path)}", missing=upload.deleting)
        if document is not None:
            self._hold(upload, document, floor)

    def _hold(self, upload: Upload, document: dict[str, Any], floor: int) -> None:
        if document["phase"] in ("terminated", "expired"):
            if not upload.deleting:
                raise self._scene.ledger.broken(f"the list says it is {document['phase']}", upload)
        elif not upload.parts:
            self._scene.ledger.tell(upload, document["offset"], floor, "the list")

    def _unfinished(self) -> None:
        """GET, without an interop version, of what is just being sent."""
        flights = self._flights()
        if flights:
            upload = self._chance.choice(flights).upload
            assert upload.path is not None
            floor = upload.told
            answer = self._download(upload.path)
            if answer is None:
                return
            status, fields, _ = answer
            if not upload.deleting:
                self._judge(upload.path, status)
            if status in (200, 204) and "upload-offset" in fields:
                self._scene.ledger.tell(upload, int(fields["upload-offset"]), floor, "GET")

    def _finished(self) -> None:
        """Some bytes out of a finished upload."""
        found = [upload for upload in list(self._scene.ledger.uploads) if upload.runs and not upload.deleting]
        if not found:
            return
        upload = self._chance.choice(found)
        assert upload.path is not None
        first = self._chance.randrange(upload.length)
        last = min(upload.length, first + self._chance.randint(1, 300_000)) - 1
        answer = self._download(upload.path, Range=f"bytes={first}-{last}")
        if answer is None:
            return
        status, _, body = answer
        if upload.deleting or (status == 503 and self._scene.weather.since(now() - questions.AFTERMATH, *STORE)):
            return
        if status != 206 or body != self._scene.tints.of(upload.runs or (), first, last + 1):
            raise self._scene.ledger.broken(f"bytes {first} to {last} are not right ({status})", upload)

    def _download(self, path: str, **fields: str) -> tuple[int, dict[str, str], bytes] | None:
        """GET of an upload; None: it broke off, because not all bytes came from MinIO."""
        began = now()
        try:
            return exchange.download(self._scene.server.port, path, **fields)
        except (OSError, http.client.HTTPException):
            if self._scene.weather.since(began, Ill.AWAY):
                return None
            raise

    def _figures(self) -> None:
        """What machines ask every few seconds."""
        target = self._chance.choice(("/metrics", "/readyz", "/healthz"))
        status, _, _ = exchange.download(self._scene.server.port, target)
        self._judge(target, status)

    def _json(self, target: str, *, missing: bool = False) -> Any:
        status, _, body = exchange.download(self._scene.server.port, target)
        if not (missing and status == 404):
            self._judge(target, status)
        return json.loads(body) if status == 200 else None

    def _judge(self, target: str, status: int) -> None:
        excused = status in (503, 507) and self._scene.weather.since(now() - questions.AFTERMATH)
        if status not in (200, 204) and not excused:
            raise self._scene.ledger.broken(f"{target} is answered {status}")

    def _flights(self) -> list[Flight]:
        return [flight for flight in self._scene.ledger.under_way() if flight.upload.known]

    def _some_upload(self) -> Upload | None:
        flights = self._flights()
        known = [upload for upload in list(self._scene.ledger.uploads) if upload.known]
        if flights and self._chance.random() < 0.7:
            return self._chance.choice(flights).upload
        return self._chance.choice(known) if known else None
