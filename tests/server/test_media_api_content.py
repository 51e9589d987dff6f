"""The content of an edit as it comes over a real connection: what is too long, breaks off or stalls changes nothing."""

from collections.abc import Iterator

import httpx
import pytest

from ferryman_server.app import create_app
from ferryman_server.json_content import MOST, parse_object
from ferryman_server.settings import Settings
from ferryman_server.wire import protocol_class
from tests.server.media_api_rig import CONTENT, metadata
from tests.support.process import eventually
from tests.support.raw_http import RawClient, head
from tests.support.serving import Serving

EDIT = b'{"rating": 5}'
TYPE = "Content-Type: application/json"


@pytest.fixture
def server() -> Iterator[Serving]:
    """A server with a medium `moon`, which waits a moment only for content that does not come."""
    app = create_app(Settings(store="memory"))
    with Serving(app, http=protocol_class(idle_timeout=0.3), lifespan="on") as running:
        fields = {**CONTENT, "Upload-Length": "5", "Upload-Metadata": metadata({"filename": "moon.png"})}
        assert httpx.post(url(running, "/files/"), content=b"moons", headers=fields).status_code == 201
        eventually(lambda: httpx.get(url(running, "/api/media/moon")).status_code == 200)
        yield running


def url(server: Serving, path: str) -> str:
    """Where that is."""
    return f"http://127.0.0.1:{server.port}{path}"


def begun(server: Serving, *fields: str) -> RawClient:
    """A connection on which an edit's head was sent."""
    client = RawClient(server.port)
    client.send(head("PATCH", "/api/media/moon", TYPE, *fields, host="127.0.0.1"))
    return client


def rating(server: Serving) -> int:
    """What the medium has."""
    found: int = httpx.get(url(server, "/api/media/moon")).json()["rating"]
    return found


def test_content_that_would_be_too_long_is_not_waited_for(server: Serving) -> None:
    """Its length is told in its head, and that is enough."""
    with begun(server, f"Content-Length: {MOST + 1}") as client:
        answer = client.response()
    assert (answer.status, answer.document["type"]) == (413, "urn:ferryman:problem:content-too-large")


def test_content_that_stalls_changes_nothing(server: Serving) -> None:
    """408, though what has come would do."""
    with begun(server, f"Content-Length: {len(EDIT) + 1}") as client:
        client.send(EDIT)
        answer = client.response()
    assert (answer.status, answer.document["type"]) == (408, "urn:ferryman:problem:body-stalled")
    assert rating(server) == 0


def test_content_that_breaks_off_changes_nothing(server: Serving) -> None:
    """Nobody knows what was still to come."""
    with begun(server, f"Content-Length: {len(EDIT) + 1}") as client:
        client.send(EDIT)
        client.half_close()
        assert client.closed()
    assert rating(server) == 0


def test_content_in_chunks_is_taken(server: Serving) -> None:
    """However it comes."""
    with begun(server, "Transfer-Encoding: chunked") as client:
        client.send(b"4\r\n" + EDIT[:4] + b"\r\n")
        client.send(b"%x\r\n" % len(EDIT[4:]) + EDIT[4:] + b"\r\n0\r\n\r\n")
        assert client.response().status == 200
    assert rating(server) == 5


def test_a_byte_order_mark_is_none_of_the_content() -> None:
    """RFC 8259 §8.1 lets a reader ignore it."""
    assert parse_object(b"\xef\xbb\xbf" + EDIT) == {"rating": 5}
