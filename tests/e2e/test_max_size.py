"""The ways around tusd's `-max-size` (tusd, §1, below the table of inputs), none of which is a way around ours."""

from collections.abc import Iterator

import pytest

from tests.support.conversation import check_problem
from tests.support.probing import PROMPT, ask, final
from tests.support.process import Server, serving
from tests.support.raw_http import RawClient, RawResponse, chunked, head
from tests.support.uploading import append, append_head, content, create, delete, inspect, observed, offset_of

MAX_SIZE = 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a small maximum size."""
    with serving(tmp_path_factory.mktemp("max-size") / "data", "--max-size", str(MAX_SIZE)) as running:
        yield running


def over_the_maximum(server: Server, *, chunks: bool, declare: bool) -> RawResponse:
    """Try to bring five times the maximum into an upload of deferred length."""
    path = create(server, "tus")
    body = content(5 * MAX_SIZE)
    extra = (f"Upload-Length: {len(body)}",) if declare else ()
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, *extra, size=None if chunks else len(body)))
        client.send(chunked(body) if chunks else body)
        answer = final(client)
    assert offset_of(server, "tus", path) < MAX_SIZE
    assert delete(server, "tus", path) == 204
    return answer


@pytest.mark.parametrize("chunks", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize("declare", [False, True], ids=["silent", "declared"])
def test_deferred_length_is_no_way_around_the_maximum(server: Server, chunks: bool, declare: bool) -> None:
    """max-size bypass, deferred length: 413 instead of five times the maximum."""
    answer = over_the_maximum(server, chunks=chunks, declare=declare)
    assert answer.status == 413
    check_problem(answer, "exceeds-max-size")


@pytest.mark.parametrize("complete", ["?0", "?1"])
@pytest.mark.parametrize("chunks", [False, True], ids=["content-length", "chunked"])
def test_ietf_creations_are_no_way_around_the_maximum(server: Server, complete: str, chunks: bool) -> None:
    """max-size bypass, every RUFH POST: 413 with the limits, and no upload is left over the maximum."""
    body = content(5 * MAX_SIZE)
    framing = "Transfer-Encoding: chunked" if chunks else f"Content-Length: {len(body)}"
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(head("POST", "/files/", f"Upload-Complete: {complete}", framing))
        client.send(chunked(body) if chunks else body)
        answer = final(client)
    assert answer.status == 413
    assert answer.headers["upload-limit"].startswith(f"max-size={MAX_SIZE}")
    check_problem(answer, "exceeds-max-size")


def test_ietf_appends_are_no_way_around_the_maximum(server: Server) -> None:
    """max-size bypass, RUFH: an append cannot pass it either."""
    path = create(server, "rufh")
    assert append(server, "rufh", path, 0, content(900), last=False).status == 204
    assert append(server, "rufh", path, 900, content(200), last=True).status == 413
    assert observed(server, path) == 900


def test_negative_ietf_length(server: Server) -> None:
    """RUFH `Upload-Length: -5`: the field counts as absent, as the draft says; no length is recorded."""
    answer = ask(server, "POST", "/files/", "Upload-Complete: ?0", "Upload-Length: -5", body=b"")
    assert answer.status == 201
    assert "upload-length" not in inspect(server, "rufh", answer.headers["location"]).headers
