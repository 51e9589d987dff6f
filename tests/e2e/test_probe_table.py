"""The probes that other servers were put to, row by row, put to ours.

Each docstring begins with the row's name in the table of measurements (peers, §3). What a refused request must not do
is looked at in three places: the rows, the files on disk, and HEAD.
"""

import gzip
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem
from ferryman_server.app import create_app
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.settings import Settings
from ferryman_server.wire import Protocol
from tests.support.conversation import check_problem
from tests.support.probing import NOBODY, PROMPT, STREAM, TUS, ask, final, stored, unchanged
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, chunked, head
from tests.support.serving import Serving
from tests.support.uploading import (
    INTEROP,
    MIB,
    append,
    append_head,
    assert_whole,
    content,
    create,
    finished_bytes,
    inspect,
    offset_of,
    published,
    receiving,
)

MAX_SIZE = 10_000_000
WHOLE = content(100_000)
OFFSET_0 = "Upload-Offset: 0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a maximum size."""
    with serving(tmp_path_factory.mktemp("probes") / "data", "--max-size", str(MAX_SIZE)) as running:
        yield running


def test_wrong_offset(server: Server) -> None:
    """Wrong offset: 409 with the right one."""
    path = create(server, "tus", length=10)
    append(server, "tus", path, 0, b"abcde")
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, TUS, STREAM, "Upload-Offset: 3", body=b"xxxxx")
        assert answer.status == 409
        assert answer.headers["upload-offset"] == "5"


def test_wrong_content_type(server: Server) -> None:
    """Wrong content-type: 415, and not a byte is stored."""
    path = create(server, "tus", length=10)
    with unchanged(server, path):
        for wrong in ((), ("Content-Type: application/octet-stream",), ("Content-Type: application/json",)):
            assert ask(server, "PATCH", path, TUS, OFFSET_0, *wrong, body=b"x" * 10).status == 415
    assert not receiving(server.data, path).exists()


def test_missing_tus_resumable(server: Server) -> None:
    """Missing Tus-Resumable on PATCH: 412 with Tus-Version, and not a byte is stored."""
    path = create(server, "tus", length=10)
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, STREAM, OFFSET_0, body=b"x" * 10)
        assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")


def test_other_version(server: Server) -> None:
    """Version 0.2.2: 412 with Tus-Version, and not a byte is stored."""
    path = create(server, "tus", length=10)
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, "Tus-Resumable: 0.2.2", STREAM, OFFSET_0, body=b"x" * 10)
        assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")
        assert ask(server, "POST", "/files/", "Tus-Resumable: 0.2.2", "Upload-Length: 10").status == 412


async def only_creations(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
    """A guard that lets everyone create, and nobody else in without a proof."""
    if action in (Action.CREATE, Action.INSPECT) or "authorization" in caller.headers:
        return Allow()
    return Refuse(problem=Problem(kind=problems.UNAUTHORISED, detail="Authorization is missing."))


def test_guard_that_refuses(tmp_path: Path) -> None:
    """Auth dependency → 401: the guard is asked before a byte of the body is stored."""
    app = create_app(Settings(data=tmp_path / "data"), guard=only_creations)
    with Serving(app, http=Protocol, lifespan="on") as serving_app:
        url = f"http://127.0.0.1:{serving_app.port}/files/"
        tus = {"Tus-Resumable": "1.0.0"}
        location = httpx.post(url, headers={**tus, "Upload-Length": "10"}).headers["location"]
        fields = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        refused = httpx.patch(httpx.URL(url).join(location), headers=fields, content=b"x" * 10)
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        assert httpx.head(httpx.URL(url).join(location), headers=tus).headers["upload-offset"] == "0"
        assert not receiving(tmp_path / "data", location).exists()
        let_in = httpx.patch(httpx.URL(url).join(location), headers={**fields, "Authorization": "x"}, content=b"x" * 10)
        assert let_in.status_code == 204


@pytest.mark.parametrize("coded", [False, True], ids=["content-length", "chunked"])
def test_body_beyond_the_length(server: Server, coded: bool) -> None:
    """Body > Upload-Length: 413; the offset stays true, and a right retry makes the right file."""
    whole, size = WHOLE[:50_000], 50_000
    path = create(server, "tus", length=size)
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, size=None if coded else len(WHOLE)))
        client.send(chunked(WHOLE[:30_000], WHOLE[30_000:]) if coded else WHOLE)
        assert final(client).status == 413
    offset = offset_of(server, "tus", path)
    assert 0 <= offset < size
    assert len(receiving(server.data, path).read_bytes() if offset else b"") == offset
    assert append(server, "tus", path, offset, whole[offset:]).status == 204
    assert_whole(server, path, whole)


def test_unknown_upload(server: Server) -> None:
    """HEAD/PATCH unknown: 404."""
    with unchanged(server):
        assert ask(server, "HEAD", NOBODY, TUS).status == 404
        assert ask(server, "HEAD", NOBODY).status == 404
        assert ask(server, "PATCH", NOBODY, TUS, STREAM, OFFSET_0, body=b"x").status == 404
        assert ask(server, "GET", NOBODY).status == 404
        assert ask(server, "DELETE", NOBODY, TUS).status == 404


def test_head_during_a_patch(server: Server) -> None:
    """HEAD during PATCH: answered at once with all that arrived, and the PATCH goes on."""
    path = create(server, "tus", length=len(WHOLE))
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=len(WHOLE)), WHOLE[:70_000])
        eventually(lambda: offset_of(server, "tus", path) == 70_000)
        began = time.monotonic()
        assert offset_of(server, "tus", path) == 70_000
        assert time.monotonic() - began < PROMPT
        client.send(WHOLE[70_000:])
        assert final(client).headers["upload-offset"] == str(len(WHOLE))
    assert_whole(server, path, WHOLE)


def test_second_patch_while_the_first_stalls(server: Server) -> None:
    """2nd PATCH while 1st stalls: it takes over at once, the first is told, and other requests notice nothing."""
    path = create(server, "tus", length=len(WHOLE))
    with RawClient(server.port) as stalled:
        stalled.send(append_head("tus", path, 0, size=len(WHOLE)), WHOLE[:70_000])
        eventually(lambda: offset_of(server, "tus", path) == 70_000)
        answer = ask(server, "PATCH", path, TUS, STREAM, "Upload-Offset: 70000", body=WHOLE[70_000:])
        assert answer.status == 204
        refused = final(stalled)
        assert refused.status == 409
        check_problem(refused, "superseded")
    assert ask(server, "GET", "/healthz").status == 200
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("end", ["rst", "fin"])
def test_connection_that_ends_in_a_patch(server: Server, end: str) -> None:
    """RST/FIN mid-PATCH, then HEAD: exact."""
    path = create(server, "tus", length=len(WHOLE))
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=len(WHOLE)), WHOLE[:70_000])
        if end == "rst":
            eventually(lambda: offset_of(server, "tus", path) == 70_000)  # a reset may outrun what was sent before it
            client.reset()
    eventually(lambda: offset_of(server, "tus", path) == 70_000)
    assert append(server, "tus", path, 70_000, WHOLE[70_000:]).status == 204
    assert_whole(server, path, WHOLE)


def test_kill_in_a_patch(tmp_path: Path) -> None:
    """kill -9 after 1+20 MiB, HEAD: nothing that was acknowledged is lost, and the resumed file is right."""
    whole = content(24 * MIB)
    with serving(tmp_path / "data", "--durability", "os") as server:
        path = create(server, "tus", length=len(whole))
        assert append(server, "tus", path, 0, whole[:MIB]).status == 204
        with RawClient(server.port) as client:
            client.send(append_head("tus", path, MIB, size=len(whole) - MIB), whole[MIB : 21 * MIB])
            eventually(lambda: offset_of(server, "tus", path) == 21 * MIB)
            server.kill()
        server.restart()
        offset = offset_of(server, "tus", path)
        assert offset == 21 * MIB
        assert receiving(server.data, path).stat().st_size == offset
        assert append(server, "tus", path, offset, whole[offset:]).status == 204
        assert_whole(server, path, whole)


@pytest.mark.parametrize("tail", ["..%2f..%2fetc%2fpasswd", "..", "%2e%2e", ".", "%00", "a%00b", "../state.db"])
def test_ids_that_lead_elsewhere(server: Server, tail: str) -> None:
    """`..%2f..%2fetc%2fpasswd`, `..`, NUL, DELETE `.`: 404, whatever the method."""
    with unchanged(server):
        for method in ("GET", "HEAD", "DELETE"):
            assert ask(server, method, f"/files/{tail}", TUS).status == 404
            assert ask(server, method, f"/files/{tail}").status == 404
        assert ask(server, "PATCH", f"/files/{tail}", TUS, STREAM, OFFSET_0, body=b"x").status == 404


@pytest.mark.parametrize("suffix", [".info", ".json", ".partial", ".lock", "/", "/x"])
def test_delete_beside_an_upload(server: Server, suffix: str) -> None:
    """DELETE `<id>.info` / `<id>.json`: 404, and the upload beside it is whole."""
    path = create(server, "tus", length=10)
    append(server, "tus", path, 0, b"abcde")
    with unchanged(server, path):
        assert ask(server, "DELETE", path + suffix, TUS).status == 404
    assert append(server, "tus", path, 5, b"fghij").status == 204


@pytest.mark.parametrize("value", ["filename !!!", "filename Zm9", "filename Zm9v=", "filename Zm\tv", "a YQ==,a YQ=="])
def test_bad_metadata(server: Server, value: str) -> None:
    """Bad base64 metadata: 400, nothing is created."""
    with unchanged(server):
        assert ask(server, "POST", "/files/", TUS, "Upload-Length: 3", f"Upload-Metadata: {value}").status == 400


def test_no_metadata(server: Server) -> None:
    """No metadata: 201, and HEAD 200."""
    assert inspect(server, "tus", create(server, "tus", length=3)).status == 200


def test_extra_metadata(server: Server) -> None:
    """Extra metadata keys: kept in HEAD, with those that mean something."""
    value = "colour cmVk,filename Zm9v,relativePath YS9i,empty"
    path = ask(server, "POST", "/files/", TUS, "Upload-Length: 3", f"Upload-Metadata: {value}").headers["location"]
    assert inspect(server, "tus", path).headers["upload-metadata"] == value


@pytest.mark.parametrize("length", ["-1", str(10**30), "1e3", "0x10", "", "NaN"])
def test_impossible_lengths(server: Server, length: str) -> None:
    """Upload-Length -1 / 10^30: 400."""
    with unchanged(server):
        assert ask(server, "POST", "/files/", TUS, f"Upload-Length: {length}").status == 400


def test_no_length(server: Server) -> None:
    """Neither length nor defer: 400."""
    with unchanged(server):
        assert ask(server, "POST", "/files/", TUS).status == 400


def test_length_over_the_maximum(server: Server) -> None:
    """Length > max size: 413, creation-with-upload over the maximum too."""
    with unchanged(server):
        too_long = f"Upload-Length: {MAX_SIZE + 1}"
        assert ask(server, "POST", "/files/", TUS, too_long).status == 413
        assert ask(server, "POST", "/files/", TUS, too_long, STREAM, body=b"x" * 100).status == 413


def test_deferred_length_below_the_offset(server: Server) -> None:
    """Defer, then length < offset: 400, and the length stays open."""
    path = create(server, "tus")
    append(server, "tus", path, 0, b"x" * 100)
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, TUS, STREAM, "Upload-Offset: 100", "Upload-Length: 50", body=b"")
        assert answer.status == 400
    assert inspect(server, "tus", path).headers["upload-defer-length"] == "1"


def test_creation_with_too_much(server: Server) -> None:
    """creation-with-upload 500 B into 100: 413, and nothing is created."""
    with unchanged(server):
        assert ask(server, "POST", "/files/", TUS, "Upload-Length: 100", STREAM, body=b"x" * 500).status == 413


def test_chunked_patch(server: Server) -> None:
    """Chunked PATCH: 204."""
    path = create(server, "tus", length=len(WHOLE))
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, size=None), chunked(WHOLE[:1], WHOLE[1:70_000], WHOLE[70_000:]))
        assert final(client).status == 204
    assert_whole(server, path, WHOLE)


def test_wrong_checksum(server: Server) -> None:
    """Upload-Checksum wrong: 460, and not a byte is stored."""
    path = create(server, "tus", length=10)
    wrong = "Upload-Checksum: sha1 " + b64encode(bytes(20)).decode()
    assert ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, wrong, body=b"x" * 10).status == 460
    assert offset_of(server, "tus", path) == 0


def test_coded_body(server: Server) -> None:
    """Content-Encoding: gzip: what is stored is what was meant."""
    path = create(server, "tus", length=len(WHOLE))
    coded = gzip.compress(WHOLE)
    answer = ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, "Content-Encoding: gzip", body=coded)
    assert (answer.status, answer.headers["upload-offset"]) == (204, str(len(WHOLE)))
    assert finished_bytes(server.data, path) == WHOLE


def test_method_override(server: Server) -> None:
    """X-HTTP-Method-Override: it works, chunked and from POST as Java clients send it."""
    path = create(server, "tus", length=10)
    with RawClient(server.port, timeout=PROMPT) as client:
        fields = (TUS, STREAM, OFFSET_0, "X-HTTP-Method-Override: PATCH", "Transfer-Encoding: chunked")
        client.send(head("POST", path, *fields), chunked(b"x" * 10))
        assert final(client).status == 204
    assert_whole(server, path, b"x" * 10)


def test_forwarded_host(server: Server) -> None:
    """X-Forwarded-Host in Location: not believed; the Location is a path."""
    forged = ("X-Forwarded-Host: evil.invalid", "X-Forwarded-Proto: https", "Forwarded: host=evil.invalid")
    answer = ask(server, "POST", "/files/", TUS, "Upload-Length: 3", *forged)
    assert answer.status == 201
    assert answer.headers["location"].startswith("/files/")
    assert "evil" not in str(answer.headers)


def test_ietf_request(server: Server) -> None:
    """IETF draft request: it works, on the same URL."""
    answer = ask(server, "POST", "/files/", INTEROP, "Upload-Complete: ?1", body=WHOLE)
    assert (answer.status, answer.headers["upload-complete"]) == (201, "?1")
    assert_whole(server, answer.headers["location"], WHOLE)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "..\\x", "con", "a\0b", "\r\nSet-Cookie: x"])
def test_file_names_that_lead_elsewhere(server: Server, name: str) -> None:
    """Metadata filename `../x` (aiohttp-tus): people's names never become paths, nor header lines."""
    value = b64encode(name.encode()).decode()
    fields = (TUS, "Upload-Length: 3", f"Upload-Metadata: filename {value}", STREAM)
    path = ask(server, "POST", "/files/", *fields, body=b"abc").headers["location"]
    eventually(lambda: published(server.data, path).exists())
    assert_whole(server, path, b"abc")
    assert {file.name for file in stored(server).files} <= {row.rpartition("/")[2] for row in stored(server).rows}
    answer = ask(server, "GET", path)
    assert "set-cookie" not in answer.headers
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment")
    assert not set("/\\\0\r\n") & set(disposition)


_LIMITED_FILES = (
    "import os, resource, sys;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])));"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


def test_disk_full(tmp_path: Path) -> None:
    """Disk full at ~4 MiB: 507 with what to do, HEAD tells exactly what is kept, and with room it goes on."""
    whole = content(6 * MIB)
    prefix = (sys.executable, "-c", _LIMITED_FILES, str(4 * MIB))
    full = Server(tmp_path / "data", prefix=prefix).start()
    try:
        path = create(full, "tus", length=len(whole))
        answer = append(full, "tus", path, 0, whole)
        assert answer.status == 507
        check_problem(answer, "storage-full")
        offset = offset_of(full, "tus", path)
        assert offset == receiving(full.data, path).stat().st_size
        assert 3 * MIB <= offset <= 4 * MIB  # whole pieces that fitted
    finally:
        full.close()
    with serving(tmp_path / "data") as roomy:
        assert offset_of(roomy, "tus", path) == offset
        assert append(roomy, "tus", path, offset, whole[offset:]).status == 204
        assert_whole(roomy, path, whole)
