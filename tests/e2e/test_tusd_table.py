"""What tusd answers to each kind of input, row by row, and what we answer instead where its answer is wrong.

Each docstring begins with the row's name in the table of inputs (tusd, §1).
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem
from ferryman_server.app import create_app
from ferryman_server.auth import Action, Allow, Caller, Guard, Refuse
from ferryman_server.settings import Settings
from ferryman_server.wire import Protocol
from tests.support.conversation import check_problem
from tests.support.probing import NOBODY, PROMPT, STREAM, TUS, ask, final, unchanged
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, chunked, head
from tests.support.serving import Serving
from tests.support.uploading import (
    INTEROP,
    append,
    append_head,
    assert_whole,
    create,
    finish,
    inspect,
    offset_of,
)

MAX_SIZE = 1000
OFFSET_0 = "Upload-Offset: 0"
PARTIAL = "Content-Type: application/partial-upload"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a small maximum size."""
    with serving(tmp_path_factory.mktemp("tusd") / "data", "--max-size", str(MAX_SIZE)) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives up soon on a silent body."""
    with serving(tmp_path_factory.mktemp("impatient") / "data", "--body-timeout", "1s") as running:
        yield running


@pytest.mark.parametrize("version", [(), ("Tus-Resumable: 0.2.2",), ("Tus-Resumable: 1.0",), ("Tus-Resumable:",)])
def test_version(server: Server, version: tuple[str, ...]) -> None:
    """missing/other `Tus-Resumable`: 412, and with the Tus-Version that the protocol asks for."""
    path = create(server, "tus", length=3)
    with unchanged(server, path):
        for answer in (
            ask(server, "PATCH", path, *version, STREAM, OFFSET_0, body=b"abc"),
            ask(server, "POST", "/files/", *version, "Upload-Length: 3"),
        ):
            assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("Upload-Length: x",), "invalid-field"),
        (("Upload-Length: -1",), "invalid-field"),
        (("Upload-Length: +5",), "invalid-field"),
        (("Upload-Length: 007",), "invalid-field"),
        (("Upload-Length: 3", "Upload-Defer-Length: 1"), "ambiguous-length"),
        (("Upload-Defer-Length: 2",), "invalid-field"),
        (("Upload-Defer-Length: true",), "invalid-field"),
        ((), "ambiguous-length"),
    ],
)
def test_lengths(server: Server, fields: tuple[str, ...], code: str) -> None:
    """bad length / both / bad defer: 400, for `+5` and `007` as well."""
    with unchanged(server):
        answer = ask(server, "POST", "/files/", TUS, *fields)
        assert answer.status == 400
        check_problem(answer, code)


@pytest.mark.parametrize("value", ["filename !!!", "filename Zm9", "na\xefve Zm9v", ",", "a YQ==,a YQ=="])
def test_metadata(server: Server, value: str) -> None:
    """bad metadata base64 or key: 400 instead of ignoring it."""
    with unchanged(server):
        answer = ask(server, "POST", "/files/", TUS, "Upload-Length: 3", f"Upload-Metadata: {value}")
        assert answer.status == 400
        check_problem(answer, "invalid-metadata")


def test_length_over_the_maximum(server: Server) -> None:
    """length > max: 413."""
    with unchanged(server):
        answer = ask(server, "POST", "/files/", TUS, f"Upload-Length: {MAX_SIZE + 1}")
        assert answer.status == 413
        check_problem(answer, "exceeds-max-size")


def test_content_type(server: Server) -> None:
    """wrong Content-Type (parameters too): 415; but parameters of the right type do no harm."""
    path = create(server, "tus", length=3)
    with unchanged(server, path):
        for wrong in ("text/plain", "application/offset+octet-stream2", "", "application/*"):
            answer = ask(server, "PATCH", path, TUS, OFFSET_0, f"Content-Type: {wrong}", body=b"abc")
            assert answer.status == 415
            check_problem(answer, "unsupported-media-type")
    assert ask(server, "PATCH", path, TUS, OFFSET_0, STREAM + "; charset=utf-8", body=b"abc").status == 204


@pytest.mark.parametrize("offset", ["x", "-1", "+0", "00", "0.0", "", str(10**30)])
def test_bad_offset(server: Server, offset: str) -> None:
    """bad offset: 400."""
    path = create(server, "tus", length=3)
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, TUS, STREAM, f"Upload-Offset: {offset}", body=b"abc")
        assert answer.status == 400
        check_problem(answer, "invalid-field")


def test_offset_mismatch(server: Server) -> None:
    """offset mismatch: 409."""
    path = create(server, "tus", length=3)
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, TUS, STREAM, "Upload-Offset: 1", body=b"bc")
        assert answer.status == 409
        check_problem(answer, "mismatching-upload-offset")


def test_body_beyond_the_remainder(server: Server) -> None:
    """body > remainder: 413, and nothing is stored; chunked, a prefix may be kept that stays below the length."""
    path = create(server, "tus", length=3)
    with unchanged(server, path):
        assert append(server, "tus", path, 0, b"abcd").status == 413
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, size=None), chunked(b"ab", b"cd"))
        assert final(client).status == 413
    assert offset_of(server, "tus", path) < 3
    finish(server, "tus", path, b"abc")


def test_unknown_id(server: Server) -> None:
    """unknown id: 404."""
    with unchanged(server):
        for answer in (ask(server, "GET", NOBODY, TUS), ask(server, "DELETE", NOBODY, TUS), ask(server, "GET", NOBODY)):
            assert answer.status == 404
            check_problem(answer, "not-found")


@pytest.mark.parametrize(
    "value",
    [
        "junk",
        "final",
        "final;",
        "Partial",
        "final;/files/../x/s",
        "final;/files/x",
        "final;https://x/",
        "final;{part}?x",
    ],
)
def test_junk_concatenation(server: Server, value: str) -> None:
    """concat: junk: 400; no name leads out of the uploads."""
    part = create(server, "tus", length=3)
    with unchanged(server):
        answer = ask(server, "POST", "/files/", TUS, f"Upload-Concat: {value.format(part=part)}")
        assert answer.status == 400
        check_problem(answer, "invalid-concatenation")


def create_partial(server: Server, body: bytes, length: int) -> str:
    """Create a partial upload that has some of its bytes; its path."""
    fields = (TUS, f"Upload-Length: {length}", "Upload-Concat: partial", STREAM)
    return ask(server, "POST", "/files/", *fields, body=body).headers["location"]


def test_concatenation_of_unfinished_parts(server: Server) -> None:
    """concat: unfinished: taken, since concatenation-unfinished is spoken here; it is done when its parts are."""
    part = create_partial(server, b"ab", 3)
    final_one = ask(server, "POST", "/files/", TUS, f"Upload-Concat: final;{part}").headers["location"]
    assert "upload-offset" not in inspect(server, "tus", final_one).headers
    assert append(server, "tus", part, 2, b"c").status == 204
    eventually(lambda: inspect(server, "tus", final_one).headers.get("upload-offset") == "3")
    assert_whole(server, final_one, b"abc")


def test_patch_of_a_final_upload(server: Server) -> None:
    """concat: PATCH final: 403, and neither it nor its parts change."""
    part = create_partial(server, b"ab", 3)
    final_one = ask(server, "POST", "/files/", TUS, f"Upload-Concat: final;{part}").headers["location"]
    with unchanged(server, part):
        answer = append(server, "tus", final_one, 0, b"abc")
        assert answer.status == 403
        check_problem(answer, "final-upload")
        assert append(server, "rufh", final_one, 0, b"abc").status == 403


def test_concatenation_of_what_is_no_part(server: Server) -> None:
    """concat of non-partial uploads: 400 instead of accepting them."""
    path = create(server, "tus", length=0)
    with unchanged(server):
        answer = ask(server, "POST", "/files/", TUS, f"Upload-Concat: final;{path}")
        assert answer.status == 400
        check_problem(answer, "not-a-partial")


def test_displaced_request(server: Server) -> None:
    """lock wait expired / displaced: no wait; the displaced request gets 409 with what to do."""
    path = create(server, "tus", length=3)
    with RawClient(server.port, timeout=PROMPT) as displaced:
        displaced.send(append_head("tus", path, 0, size=3), b"a")
        eventually(lambda: offset_of(server, "tus", path) == 1)
        assert append(server, "tus", path, 1, b"bc").status == 204
        answer = final(displaced)
        assert answer.status == 409
        check_problem(answer, "superseded")


@pytest.mark.parametrize("dialect", ["tus", "rufh"])
def test_read_timeout(impatient: Server, dialect: str) -> None:
    """read timeout: 408 instead of 500, and what came is kept."""
    spoken: tuple[str, ...] = (TUS, STREAM) if dialect == "tus" else (INTEROP, PARTIAL, "Upload-Complete: ?1")
    path = create(impatient, "tus", length=3)
    with RawClient(impatient.port, timeout=PROMPT) as client:
        client.send(head("PATCH", path, *spoken, OFFSET_0, "Content-Length: 3"), b"a")
        answer = final(client)
    assert answer.status == 408
    check_problem(answer, "body-stalled")
    assert offset_of(impatient, "tus", path) == 1


def test_reset(server: Server) -> None:
    """reset: what came is kept."""
    path = create(server, "tus", length=3)
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=3), b"a")
        eventually(lambda: offset_of(server, "tus", path) == 1)
        client.reset()
    assert append(server, "tus", path, 1, b"bc").status == 204


def test_early_end(server: Server) -> None:
    """early EOF: what came is kept."""
    path = create(server, "tus", length=3)
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, size=3), b"a")
        client.half_close()
        client.rest()
    eventually(lambda: offset_of(server, "tus", path) == 1)
    assert append(server, "tus", path, 1, b"bc").status == 204


def refusing(action: Action) -> Guard:
    """A guard that says no to one kind of action only."""

    async def guard(caller: Caller, asked: Action, upload: Upload | None) -> Allow | Refuse:
        if asked is action:
            return Refuse(problem=Problem(kind=problems.FORBIDDEN, detail=f"Nobody may {action} here."))
        return Allow()

    return guard


def test_refusal_of_a_creation(tmp_path: Path) -> None:
    """hook reject: 403, nothing is created."""
    app = create_app(Settings(data=tmp_path / "data"), guard=refusing(Action.CREATE))
    with Serving(app, http=Protocol, lifespan="on") as running:
        url = f"http://127.0.0.1:{running.port}"
        answer = httpx.post(f"{url}/files/", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "3"})
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
        assert httpx.get(f"{url}/api/uploads").json()["uploads"] == []


def test_refusal_at_the_end(tmp_path: Path) -> None:
    """hook stop: 403 when the last byte is in; the upload is not terminated, and may be finished later."""
    app = create_app(Settings(data=tmp_path / "data"), guard=refusing(Action.FINISH))
    fields = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Content-Type": "application/offset+octet-stream"}
    with Serving(app, http=Protocol, lifespan="on") as running:
        url = httpx.URL(f"http://127.0.0.1:{running.port}/files/")
        path = httpx.post(url, headers={**fields}).headers["location"]
        body = {**fields, "Upload-Offset": "0"}
        assert httpx.patch(url.join(path), headers=body, content=b"abc").status_code == 403
        assert httpx.get(url.join(path)).status_code == 204
        (row,) = httpx.get(url.join("/api/uploads")).json()["uploads"]
        assert row["phase"] in ("empty", "receiving")


def test_refusal_of_a_termination(tmp_path: Path) -> None:
    """hook keep: 403, and the upload is still there."""
    app = create_app(Settings(data=tmp_path / "data"), guard=refusing(Action.TERMINATE))
    with Serving(app, http=Protocol, lifespan="on") as running:
        url = httpx.URL(f"http://127.0.0.1:{running.port}/files/")
        tus = {"Tus-Resumable": "1.0.0"}
        path = httpx.post(url, headers={**tus, "Upload-Length": "3"}).headers["location"]
        assert httpx.delete(url.join(path), headers=tus).status_code == 403
        assert httpx.head(url.join(path), headers=tus).headers["upload-offset"] == "0"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:8080", True),
        ("https://evil.invalid", False),
        ("http://localhost.evil.invalid", False),
        ("http://127.0.0.1.evil.invalid", False),
        ("null", False),
    ],
)
def test_origin(server: Server, origin: str, allowed: bool) -> None:
    """bad origin: no permission is given to it, and no pattern lets a look-alike in; refusals are readable too."""
    for answer in (
        ask(server, "HEAD", NOBODY, TUS, f"Origin: {origin}"),
        ask(server, "POST", "/files/", TUS, "Upload-Length: -1", f"Origin: {origin}"),
        ask(server, "OPTIONS", "/files/", f"Origin: {origin}"),
    ):
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
    listing = ask(server, "GET", "/api/uploads", f"Origin: {origin}")
    assert "access-control-allow-origin" not in listing.headers


def test_shutdown(tmp_path: Path) -> None:
    """shutdown: 503 with Retry-After, and what came is kept."""
    with serving(tmp_path / "data") as stopping:
        path = create(stopping, "tus", length=3)
        with RawClient(stopping.port) as client:
            client.send(append_head("tus", path, 0, size=3), b"a")
            eventually(lambda: offset_of(stopping, "tus", path) == 1)
            assert stopping.stop() == 0
            answer = final(client)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        check_problem(answer, "shutting-down")
        stopping.restart()
        assert append(stopping, "tus", path, 1, b"bc").status == 204


def test_unsupported(server: Server) -> None:
    """unsupported: what is not spoken here is said, with what is."""
    path = create(server, "tus", length=3)
    with unchanged(server, path):
        unknown = "Upload-Checksum: sha3 " + "A" * 43 + "="
        assert ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, unknown, body=b"abc").status == 400
        coded = ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, "Content-Encoding: br", body=b"abc")
        assert (coded.status, coded.headers["accept-encoding"]) == (415, "gzip, zstd")
        assert ask(server, "POST", "/files/", TUS, "Upload-Length: 3", "Transfer-Encoding: gzip, chunked").status == 501


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "PROPFIND", "POST"])
def test_wrong_method(server: Server, method: str) -> None:
    """wrong method: 405, and Allow names the methods of that URL."""
    path = create(server, "tus", length=3)
    target = "test.invalid:80" if method == "CONNECT" else path
    with unchanged(server, path):
        answer = ask(server, method, target, TUS)
        assert answer.status in ((405,) if method != "CONNECT" else (400, 404, 405))
        if answer.status == 405:
            assert "PATCH" in answer.headers["allow"]


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "partial-upload", "\xff\xfe", "application/partial-upload2"]
)
def test_what_is_an_internal_error_elsewhere(server: Server, content_type: str) -> None:
    """anything else (a bad RUFH Content-Type too): never a 500 and never an inner text of ours."""
    path = create(server, "rufh")
    with unchanged(server, path):
        fields = (INTEROP, "Upload-Complete: ?0", OFFSET_0, f"Content-Type: {content_type}")
        answer = ask(server, "PATCH", path, *fields, body=b"abc")
        assert answer.status == 415
        check_problem(answer, "unsupported-media-type")
