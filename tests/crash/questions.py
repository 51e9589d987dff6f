"""What is asked about uploads: how far they are, what they hold; that they be deleted, or put together.

A question that nobody disturbs is answered at once. One that is put off, or broken off, is asked again as long as
something is, or has just been, wrong; otherwise it is a broken promise.
"""

import hashlib
import http.client
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Final, TypeVar

from tests.crash import exchange
from tests.crash.exchange import Route
from tests.crash.ledger import Upload
from tests.crash.scene import Scene, now
from tests.crash.verdicts import SOON, may_put_off
from tests.crash.weather import NETWORK, Ill
from tests.support.raw_http import RawResponse
from tests.support.uploading import INTEROP, TUS

AFTERMATH: Final = 5.0  # seconds for which something that was wrong still excuses a 503
PATIENCE: Final = 60.0  # seconds until a question that keeps being put off is a failure

_T = TypeVar("_T")


def look(scene: Scene, upload: Upload, route: Route, *, speaks: str | None = None) -> int | None:
    """HEAD, once: the offset; None when the server puts it off, or the upload was deleted. Raises OSError."""
    floor, complete_before, deleted_before, began = upload.told, upload.complete, upload.deleted, now()
    assert upload.path is not None
    try:
        answer = exchange.ask(route, "HEAD", upload.path, speaks or _speaks(upload))
    except OSError as failure:
        if route.fate is None and not scene.weather.since(began, *NETWORK):
            raise scene.ledger.broken(f"HEAD broke although nothing disturbed it: {failure!r}", upload) from failure
        scene.ledger.note(f"#{upload.number} HEAD broke: {failure!r}")
        if upload.dialect == "rufh":
            upload.broke_at = now()  # one that is delivered late takes over from whoever is sending then
        raise
    scene.ledger.note(f"#{upload.number} HEAD: {answer.status}, {answer.headers.get('upload-offset')}")
    if answer.status in (404, 410):
        if not upload.deleting:
            raise scene.ledger.broken(f"HEAD says {answer.status}", upload)
        upload.deleted = True
        return None
    if deleted_before:
        raise scene.ledger.broken(f"it was deleted, and HEAD says {answer.status}", upload)
    if answer.status not in (200, 204):
        _put_off(scene, upload, answer.status, began)
        return None
    if "upload-offset" not in answer.headers and upload.parts:
        return None  # a final upload that is being put together
    offset = int(answer.headers["upload-offset"])
    scene.ledger.tell(upload, offset, floor, "HEAD")
    _sent_again(scene, upload, offset)
    if upload.dialect == "rufh":
        complete = answer.headers.get("upload-complete") == "?1"
    else:
        complete = answer.headers.get("upload-length") == str(offset)
    if complete:
        scene.ledger.finished(upload, "HEAD")
    elif complete_before:
        raise scene.ledger.broken("HEAD says it is not complete any more", upload)
    return offset


def verify(scene: Scene, upload: Upload) -> None:
    """Download a finished upload, and hold every byte against what was sent."""
    body = _fetch(scene, upload)
    if body is None:
        return
    if len(body) != upload.length:
        raise scene.ledger.broken(f"{len(body)} bytes were downloaded", upload)
    digest = hashlib.sha256(body).digest()
    if upload.digest is not None:
        if digest != upload.digest:
            raise scene.ledger.broken("the download differs from an earlier one", upload)
        return
    if upload.parts:
        if body != b"".join(scene.tints.of(part.runs or (), 0, part.length) for part in upload.parts):
            raise scene.ledger.broken("it is not its parts behind each other", upload)
    else:
        runs = scene.tints.explain(body, upload.sent)
        if runs is None:
            raise scene.ledger.broken("the download is not what was sent", upload)
        upload.runs = runs
    if upload.claimed is not None and upload.claimed != f"sha-256=:{b64encode(digest).decode()}:":
        raise scene.ledger.broken(f"it was said to have {upload.claimed}", upload)
    upload.digest = digest
    if upload.bare:
        scene.figures.count("bytes", upload.length)
        scene.figures.count("bytes carried", upload.carried)


def reread(scene: Scene, upload: Upload) -> None:
    """Download once, with the gate closed: it is what it was. A disk in trouble may put it off."""
    assert upload.path is not None
    status, _, body = exchange.download(scene.server.port, upload.path)
    if status == 200:
        scene.figures.count("downloads")
        if hashlib.sha256(body).digest() != upload.digest:
            raise scene.ledger.broken("the download differs from an earlier one", upload)
    elif not upload.deleting:
        _put_off(scene, upload, status, now())


def delete(scene: Scene, upload: Upload) -> None:
    """DELETE, until it is confirmed."""
    path = upload.path
    assert path is not None
    upload.deleting = True

    def ask() -> bool | None:
        answer, began = _asked(scene, "DELETE", path, _speaks(upload))
        if answer.status in (204, 404, 410):  # 404 and 410: an earlier one got through, its answer did not
            return True
        _later(scene, upload, answer, began)
        return None

    upload.deleted = _insist(scene, upload, ask) is True
    scene.figures.count("deletions")


def assemble(scene: Scene, final: Upload) -> None:
    """Create a final upload from its parts. When its answer is lost, another one is created."""
    names = " ".join(part.path or "" for part in final.parts)

    def create() -> bool | None:
        answer, began = _asked(scene, "POST", "/files/", TUS, "Content-Length: 0", f"Upload-Concat: final;{names}")
        if answer.status != 201:
            _later(scene, final, answer, began)
            return None
        scene.ledger.located(final, answer.headers["location"])
        return True

    _insist(scene, final, create)


def await_complete(scene: Scene, final: Upload) -> None:
    """Wait until a final upload is put together; its parts are complete."""

    def ask() -> bool | None:
        with scene.gate.inside():
            look(scene, final, Route(scene.server.port))
        return True if final.complete else None

    _insist(scene, final, ask)


def _fetch(scene: Scene, upload: Upload) -> bytes | None:
    path = upload.path
    assert path is not None

    def ask() -> bytes | None:
        began = now()
        with scene.gate.inside():
            status, _, body = exchange.download(scene.server.port, path)
        if status == 200:
            scene.figures.count("downloads")
            return body
        if status in (404, 410) and upload.deleting:
            upload.deleted = True
        else:
            _put_off(scene, upload, status, began)
        return None

    return _insist(scene, upload, ask, Ill.AWAY)


def _asked(scene: Scene, method: str, path: str, *fields: str) -> tuple[RawResponse, float]:
    with scene.gate.inside():
        began = now()
        return exchange.ask(Route(scene.server.port), method, path, *fields), began


def _insist(scene: Scene, upload: Upload, ask: Callable[[], _T | None], *also: Ill) -> _T | None:
    """Ask until there is an answer, also over breaks that are excused (by the network, and what is named `also`). None
    when the upload was deleted meanwhile, or the run is over because a promise was broken."""
    last = now() + PATIENCE
    while scene.ledger.failure is None:
        began = now()
        try:
            answer = ask()
        except (OSError, http.client.HTTPException) as failure:
            if not scene.weather.since(began, *NETWORK, *also):
                raise scene.ledger.broken(f"a question broke off: {failure!r}", upload) from failure
            answer = None
        if answer is not None or upload.deleted:
            return answer
        if now() > last:
            raise scene.ledger.broken(f"a question was put off for {PATIENCE:.0f} s", upload)
        time.sleep(SOON)
    return None


def _later(scene: Scene, upload: Upload, answer: RawResponse, began: float) -> None:
    if not may_put_off(scene, answer, began):
        raise scene.ledger.broken(f"a question was answered {answer.status}: {answer.body!r}", upload)


def _put_off(scene: Scene, upload: Upload, status: int, began: float) -> None:
    """HEAD tells no reason: something must be, or just have been, wrong with the disk or the server."""
    if status not in (503, 507) or not (scene.weather.since(began - AFTERMATH) or scene.contested(upload, began)):
        raise scene.ledger.broken(f"a question was answered {status}", upload)
    time.sleep(SOON)


def _sent_again(scene: Scene, upload: Upload, offset: int) -> None:
    """Count what a broken request has to bring again."""
    if upload.broken_reach is not None:
        kind = "again, kill" if upload.broken_by_kill else "again, break"
        scene.figures.measure(kind, max(0, upload.broken_reach - offset))
        upload.broken_reach = None


def _speaks(upload: Upload) -> str:
    return TUS if upload.dialect == "tus" else INTEROP
