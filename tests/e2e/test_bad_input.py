"""Bad header fields and bad ids, sent to a real server: each is refused in words, and nothing comes of it.

What is wrong with the bytes of HTTP itself is in test_bad_framing.
"""

import gzip
from collections.abc import Iterator

import pytest
import zstandard

from tests.support.probing import NOBODY, PROMPT, STREAM, TUS, ask, checked, final, unchanged, unharmed
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, chunked, head
from tests.support.uploading import (
    DIALECTS,
    INTEROP,
    MIB,
    Dialect,
    append,
    append_head,
    assert_whole,
    create,
    inspect,
    offset_of,
)

OFFSET_0 = "Upload-Offset: 0"
PARTIAL = "Content-Type: application/partial-upload"
NOT_NUMBERS = (
    "-1",
    str(10**30),
    "+5",
    "007",
    "1_0",
    "0x5",
    "5.0",
    "5 5",
    "5,5",
    "\u00b2",
    "\u00d9\u00a3",
    "",
    "NaN",
    "?1",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of it, which must have come to no harm at the end."""
    with serving(tmp_path_factory.mktemp("bad-input") / "data") as running, unharmed(running):
        yield running


@pytest.fixture
def path(server: Server) -> str:
    """An upload of ten bytes, still empty."""
    return create(server, "tus", length=10)


BAD_IDS = (
    "..",
    "../..",
    "%2e%2e",
    "a/b",
    "a%2fb",
    "//",
    "%00",
    "abc%00",
    "a" * 25 + "%00",
    "a" * 5000,
    "%61" * 1500,
    "%C3%A9",
    "%FF%FE",
    "\u00c3\u00a9",
    "%E2%80%AE",
    "A" * 26,
    "a" * 25,
    "a" * 27,
    "a" * 25 + "1",
    "a" * 25 + "%0a",
    "%20" + "a" * 25,
    "a" * 26 + "%20",
    "a" * 26 + ";x",
    "a" * 26 + "/",
    "%",
    "%zz",
    "state.db",
    "..%5c..%5cx",
    "${x}",
    "'--",
    "nul",
)


@pytest.mark.parametrize("upload_id", BAD_IDS, ids=lambda each: repr(each[:20]))
def test_id_that_is_none(server: Server, upload_id: str) -> None:
    """An id with dots, slashes, NUL, 5,000 characters or other scripts in it names no upload, for any method."""
    with unchanged(server):
        for method in ("GET", "HEAD", "DELETE", "PATCH"):
            for fields in ((TUS, STREAM, OFFSET_0), (INTEROP, PARTIAL, OFFSET_0, "Upload-Complete: ?1"), ()):
                body = b"x" if method == "PATCH" else None
                answer = ask(server, method, f"/files/{upload_id}", *fields, body=body)
                # raw bytes in a target are no HTTP; a PATCH that speaks neither protocol is told about its type
                assert answer.status in ((404,) if upload_id.isascii() else (400, 404)), (method, fields, answer)


def test_query_changes_nothing(server: Server, path: str) -> None:
    """A query behind an upload's URL is ignored, and leads nowhere."""
    assert ask(server, "HEAD", path + "?x=/../y&%00", TUS).status == 200
    assert ask(server, "HEAD", NOBODY + "?" + path, TUS).status == 404


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_length_that_is_no_number(server: Server, value: str) -> None:
    """tus: an Upload-Length that is not a plain whole number creates nothing."""
    with unchanged(server):
        assert ask(server, "POST", "/files/", TUS, f"Upload-Length: {value}").status == 400


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_offset_that_is_no_number(server: Server, path: str, value: str) -> None:
    """An Upload-Offset that is not a plain whole number stores nothing, in either protocol."""
    with unchanged(server, path):
        assert ask(server, "PATCH", path, TUS, STREAM, f"Upload-Offset: {value}", body=b"x").status == 400
        ietf = (INTEROP, PARTIAL, f"Upload-Offset: {value}", "Upload-Complete: ?0")
        # structured fields take leading zeros, so `007` is an offset there, and a wrong one
        assert ask(server, "PATCH", path, *ietf, body=b"x").status in (400, 409)


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_content_length_that_is_no_number(server: Server, path: str, value: str) -> None:
    """A Content-Length that is not a plain whole number is refused before any byte is believed to be a body."""
    with unchanged(server, path), RawClient(server.port, timeout=PROMPT) as client:
        client.send(head("PATCH", path, TUS, STREAM, OFFSET_0, f"Content-Length: {value}"), b"x" * 10)
        assert final(client).status == 400


@pytest.mark.parametrize("value", ["?2", "true", "1", "?1;", "?1, ?0", '"?1"', "?", "", "??1", "\u00ff"])
def test_completeness_that_is_none(server: Server, path: str, value: str) -> None:
    """RUFH: an Upload-Complete that is no Boolean counts as absent: nothing is created, nothing appended."""
    with unchanged(server, path):
        assert ask(server, "POST", "/files/", f"Upload-Complete: {value}", body=b"x").status == 400
        fields = (INTEROP, PARTIAL, OFFSET_0, f"Upload-Complete: {value}")
        assert ask(server, "PATCH", path, *fields, body=b"x").status == 400


def test_lengths_missing_doubled_and_both(server: Server) -> None:
    """No length, two lengths, a length and a deferred one: 400 each."""
    with unchanged(server):
        for fields in (
            (),
            ("Upload-Length: 5", "Upload-Length: 5"),
            ("Upload-Length: 5", "Upload-Length: 6"),
            ("Upload-Length: 5", "Upload-Defer-Length: 1"),
            ("Upload-Defer-Length: 1", "Upload-Defer-Length: 1"),
            ("Upload-Defer-Length: 0",),
        ):
            assert ask(server, "POST", "/files/", TUS, *fields).status == 400, fields


@pytest.mark.parametrize(
    "field",
    [
        TUS,
        STREAM,
        OFFSET_0,
        "Upload-Length: 10",
        "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        "X-HTTP-Method-Override: PATCH",
    ],
)
def test_field_that_comes_twice(server: Server, path: str, field: str) -> None:
    """A field that may come once and comes twice is refused, even when both say the same."""
    name = field.partition(":")[0]
    others = [each for each in (TUS, STREAM, OFFSET_0) if not each.startswith(name)]
    with unchanged(server, path):
        assert ask(server, "PATCH", path, *others, field, field, body=b"x" * 10).status == 400


@pytest.mark.parametrize("field", ["Upload-Complete: ?1", OFFSET_0, PARTIAL, "Upload-Length: 10"])
def test_ietf_field_that_comes_twice(server: Server, path: str, field: str) -> None:
    """The same holds for the fields of the IETF protocol."""
    name = field.partition(":")[0]
    others = [each for each in (INTEROP, PARTIAL, OFFSET_0, "Upload-Complete: ?1") if not each.startswith(name)]
    with unchanged(server, path):
        assert ask(server, "PATCH", path, *others, field, field, body=b"x" * 10).status == 400


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_body_beyond_the_length(server: Server, path: str, dialect: Dialect, framing: str) -> None:
    """An over-long body: tus keeps the upload below its length and goes on; RUFH makes it invalid, as each protocol
    says."""
    size = 20 if framing == "content-length" else None
    body = b"x" * 20 if size else chunked(b"x" * 4, b"x" * 16)
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head(dialect, path, 0, size=size, last=False), body)
        answer = final(client)
    if dialect == "tus":
        assert answer.status == 413
        offset = offset_of(server, "tus", path)
        assert offset < 10
        rest = ask(server, "PATCH", path, TUS, STREAM, f"Upload-Offset: {offset}", body=b"x" * (10 - offset))
        assert rest.status == 204
        assert_whole(server, path, b"x" * 10)
    else:
        assert answer.status == 400
        assert inspect(server, "tus", path).status == 410
        assert inspect(server, "rufh", path).status == 410


@pytest.mark.parametrize("dialect", DIALECTS)
def test_second_patch_while_the_first_stalls(server: Server, path: str, dialect: Dialect) -> None:
    """The second one is served at once; the first is told why it was ended."""
    with RawClient(server.port, timeout=PROMPT) as stalled:
        stalled.send(append_head(dialect, path, 0, size=10), b"x")
        eventually(lambda: offset_of(server, "tus", path) == 1)
        assert append(server, dialect, path, 1, b"x" * 9).status in (201, 204)
        assert final(stalled).status == 409
    assert_whole(server, path, b"x" * 10)


def test_large_header_fields(server: Server) -> None:
    """10,000 bytes of header fields are taken, 64 KiB are not, in one field or in many."""
    metadata = "filename Zm9v,note " + "YWJj" * 2400
    answer = ask(server, "POST", "/files/", TUS, "Upload-Length: 3", f"Upload-Metadata: {metadata}")
    assert answer.status == 201
    assert inspect(server, "tus", answer.headers["location"]).headers["upload-metadata"] == metadata
    with unchanged(server):
        assert ask(server, "POST", "/files/", TUS, "Upload-Length: 3", "X: " + "y" * (64 << 10)).status == 431
        many = [f"X-{number}: y" for number in range(8000)]
        assert ask(server, "POST", "/files/", TUS, "Upload-Length: 3", *many).status == 431
        assert ask(server, "GET", "/files/" + "a" * (64 << 10)).status == 431


@pytest.mark.parametrize("method", ["PUT", "POST", "TRACE", "PROPFIND", "LOCK", "PURGE", "QUERY"])
def test_method_that_is_not_for_uploads(server: Server, path: str, method: str) -> None:
    """Another method is not allowed on an upload, and Allow tells which are."""
    with unchanged(server, path):
        for fields in ((TUS,), (INTEROP,), ()):
            answer = ask(server, method, path, *fields)
            assert answer.status == 405
            assert "PATCH" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "LOCK"])
def test_method_that_is_not_for_the_collection(server: Server, method: str) -> None:
    """The collection cannot be read, deleted or locked."""
    for fields in ((TUS,), (INTEROP,), ()):
        answer = ask(server, method, "/files/", *fields)
        assert answer.status == 405
        assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("override", ["PUT", "", "PATCH, DELETE", "x" * 5000, "\u00ff", "HEAD ", "OPTIONS", "CONNECT"])
def test_method_override_with_anything(server: Server, path: str, override: str) -> None:
    """A method override is no way to a method that is not there."""
    with unchanged(server, path):
        answer = ask(server, "POST", path, TUS, f"X-HTTP-Method-Override: {override}")
        assert answer.status in (200, 204, 405), answer


BOMBS = {"gzip": gzip.compress(bytes(64 * MIB), 9), "zstd": zstandard.compress(bytes(64 * MIB))}


@pytest.mark.parametrize("coding", BOMBS)
def test_decompression_bomb(server: Server, path: str, coding: str) -> None:
    """A small body that becomes a large one is refused before it does."""
    answer = ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, f"Content-Encoding: {coding}", body=BOMBS[coding])
    assert answer.status == 413
    assert offset_of(server, "tus", path) < 10


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "gzip, zstd", "\u00ff", "x" * 5000, "chunked"])
def test_coding_that_is_not_taken(server: Server, path: str, coding: str) -> None:
    """An unknown coding, or several on top of each other: 415 with those that are taken."""
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, f"Content-Encoding: {coding}", body=b"x")
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "gzip, zstd")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("body", [b"", b"x", b"\x1f\x8b\x08", b"(\xb5/\xfd", b"\x00" * 100], ids=repr)
def test_coded_body_that_is_none(server: Server, path: str, coding: str, body: bytes) -> None:
    """Bytes that are not what their coding says: 400, and nothing is stored."""
    with unchanged(server, path):
        answer = ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, f"Content-Encoding: {coding}", body=body)
        assert answer.status in ((400,) if body else (204, 400)), answer


@pytest.mark.parametrize(
    "target",
    [
        "/api/uploads?limit=-1",
        "/api/uploads?limit=x",
        "/api/uploads?limit=" + "9" * 100,
        "/api/uploads?cursor=%00",
        "/api/uploads?after=x&before=y&limit=1",
        "/api/uploads/%00",
        "/api/uploads/..%2f..",
        "/api/uploads/" + "a" * 5000,
        "/api/",
        "/nothing",
        "/%2e%2e/etc/passwd",
        "/../etc/passwd",
        "//files//",
        "/%",
        "/files%2f",
    ],
)
def test_other_urls_with_anything(server: Server, target: str) -> None:
    """The JSON side and the page answer anything with words too."""
    for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
        answer = ask(server, method, target)
        assert answer.status < 500, (method, answer)


@pytest.mark.parametrize(
    "value",
    ["bytes=5-1", "bytes=-", "bytes=" + "9" * 100 + "-", "bytes=0-0,2-2", "lines=1-2", "bytes=a-b", "\u00ff", ""],
)
def test_range_that_is_none(server: Server, value: str) -> None:
    """A range that cannot be understood is ignored, one outside the file is refused; neither is a mistake of ours."""
    created = ask(server, "POST", "/files/", TUS, "Upload-Length: 3", STREAM, body=b"abc")
    conditions = ("If-Range: x", 'If-Match: "', "If-None-Match: \u00ff", "If-Modified-Since: yesterday")
    for extra in ((), *((each,) for each in conditions)):
        answer = ask(server, "GET", created.headers["location"], f"Range: {value}", *extra)
        assert answer.status in (200, 206, 412, 416), answer


@pytest.mark.parametrize(
    "field",
    [
        "Repr-Digest: sha-256=:!!!:",
        "Content-Digest: sha-256=:AAAA:",
        "Content-Digest: sha-256=1",
        "Repr-Digest: \u00ff",
        "Content-Digest: sha-256=:" + "A" * 9000 + ":",
        "Upload-Checksum: sha1",
        "Upload-Checksum: sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        "Upload-Checksum: \u00ff AAAA",
    ],
)
def test_digest_that_is_none(server: Server, path: str, field: str) -> None:
    """A digest that cannot be read stores nothing."""
    with unchanged(server, path):
        assert ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, field, body=b"x").status == 400


@pytest.mark.parametrize("trailers", [(), ("X: y",), ("Upload-Checksum: sha1 AA",), ("Upload-Checksum: x",) * 2])
def test_checksum_that_was_promised(server: Server, path: str, trailers: tuple[str, ...]) -> None:
    """A checksum announced for the trailer that never comes, or comes broken: 400, and the offset stays."""
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, "Trailer: Upload-Checksum", size=None))
        client.send(chunked(b"x" * 10, trailers=trailers))
        assert final(client).status == 400
    assert ask(server, "PATCH", path, TUS, STREAM, OFFSET_0, "Trailer: Upload-Checksum", body=b"x").status == 400
    assert offset_of(server, "tus", path) == 0


@pytest.mark.parametrize(
    "field",
    [
        "Content-Disposition: attachment; filename*=UTF-8''%ff%00%zz",
        "Content-Disposition: " + ";" * 5000,
        'Content-Disposition: attachment; filename="' + "\\" * 4999,
        "Content-Type: text/html; charset=\u00ff",
        "Content-Type: " + "x/" * 3000,
        "Want-Repr-Digest: sha-256=99, md5=:AAAA:, x",
        "Upload-Draft-Interop-Version: -1",
        "Upload-Draft-Interop-Version: " + "9" * 400,
        "Accept: */*;q=" + "9" * 500,
        "Origin: \u00ff",
        "Cookie: " + "a=b; " * 1000,
    ],
)
def test_creation_with_odd_fields(server: Server, field: str) -> None:
    """What only describes a file, or asks for something, never stops an upload; it is served safely afterwards."""
    answer = ask(server, "POST", "/files/", "Upload-Complete: ?1", field, body=b"abc")
    assert answer.status == 201
    download = checked(ask(server, "GET", answer.headers["location"]))
    assert download.body == b"abc"
    assert download.headers["x-content-type-options"] == "nosniff"
    assert "html" not in download.headers["content-type"] or "attachment" in download.headers["content-disposition"]
