"""What the answer to a request with a body means, or the lack of one, and whether the situation allows it."""

import time
from typing import Final

from tests.crash.ledger import Flight
from tests.crash.scene import Scene, now
from tests.crash.weather import NETWORK, STORE, Ill
from tests.support.raw_http import RawResponse

SOON: Final = 0.05  # seconds until a question is asked again
_LATER: Final = {  # why the server may ask to come again, and what has to be wrong for it; nothing: it may always
    "finishing": (Ill.DEAD, *STORE),
    "shutting-down": (Ill.DEAD,),
    "storage-unavailable": STORE,
    "storage-full": (Ill.FULL,),
}
_UNFINISHED: Final = ("disconnected", "body-stalled", "truncated-encoding")  # the body did not come to its end
_OVERTAKEN: Final = ("superseded", "mismatching-upload-offset", "completed-upload")


def code_of(answer: RawResponse) -> str:
    """The refusal's row in the server's catalogue."""
    if answer.headers.get("content-type") != "application/problem+json":
        return ""
    kind: str = answer.document["type"]
    return kind.replace("#", ":").rpartition(":")[2]


def told_on_the_way(scene: Scene, flight: Flight, answer: RawResponse) -> None:
    """An interim answer."""
    upload = flight.upload
    if "location" in answer.headers:
        scene.ledger.located(upload, answer.headers["location"])
    if "upload-offset" in answer.headers:
        scene.ledger.tell(upload, int(answer.headers["upload-offset"]), flight.floor, f"a {answer.status}")


def broke(scene: Scene, flight: Flight, failure: OSError) -> None:
    """A request got no answer."""
    upload = flight.upload
    scene.ledger.note(f"#{upload.number} {flight.sent} broke after {flight.raw} bytes: {failure!r}")
    if not scene.excused(flight, *NETWORK):
        raise scene.ledger.broken(f"the connection broke although nothing disturbed it: {failure!r}", upload)
    upload.broke_at = now()
    upload.broken_reach = flight.reach if flight.plain else None
    upload.broken_by_kill = scene.weather.since(flight.began, Ill.DEAD)


def brought(scene: Scene, flight: Flight, answer: RawResponse, stop: int, *, creating: bool) -> None:
    """The final answer to a request that was to carry an upload up to the offset `stop`."""
    upload, ledger = flight.upload, scene.ledger
    told = answer.headers.get("upload-offset")
    ledger.note(f"#{upload.number} {flight.sent}: {answer.status} {code_of(answer)}, offset {told}")
    if answer.status not in (201, 204):
        _refused(scene, flight, answer)
        return
    if creating:
        ledger.located(upload, answer.headers["location"])
    if told is not None or not creating or stop:
        if told != str(stop):
            raise ledger.broken(f"{answer.status} for bytes up to {stop} tells {told}", upload)
        ledger.tell(upload, stop, flight.floor, f"a {answer.status}")
    upload.broken_reach = None
    upload.claimed = answer.headers.get("repr-digest", upload.claimed)
    if upload.dialect == "rufh":
        complete = answer.headers.get("upload-complete") == "?1"
    else:
        complete = stop == upload.length and not (creating and upload.deferred)
    if complete:
        ledger.finished(upload, f"a {answer.status}")


def _refused(scene: Scene, flight: Flight, answer: RawResponse) -> None:
    upload, ledger, code = flight.upload, scene.ledger, code_of(answer)
    if "upload-offset" in answer.headers and upload.known:
        ledger.tell(upload, int(answer.headers["upload-offset"]), flight.floor, f"{answer.status} {code}")
    if code in _OVERTAKEN:
        allowed = scene.contested(upload, flight.began) or _outdated(scene, flight)
    elif code in ("gone", "not-found"):
        allowed = upload.deleting
    elif code in _UNFINISHED:
        allowed = scene.excused(flight, *NETWORK)
    else:
        allowed = may_put_off(scene, answer, flight.began) or (
            code == "finishing" and scene.contested(upload, flight.began)
        )
    if not allowed:
        raise ledger.broken(f"{flight.sent} was answered {answer.status} {code}: {answer.body!r}", upload)
    if answer.status >= 500:
        time.sleep(SOON)


def _outdated(scene: Scene, flight: Flight) -> bool:
    """Whether the server died after it had told where to go on: the next one may have found more."""
    return flight.asked is not None and scene.weather.since(flight.asked, Ill.DEAD)


def may_put_off(scene: Scene, answer: RawResponse, began: float) -> bool:
    """Whether a 503 or 507 is due to something that was wrong."""
    ills = _LATER.get(code_of(answer))
    promises = answer.status == 507 or "retry-after" in answer.headers
    return ills is not None and promises and scene.weather.since(began, *ills)
