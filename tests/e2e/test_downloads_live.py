"""Downloads from a real server: ranges and conditions over one connection, readers that leave, and names and types that
people chose."""

import hashlib
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from email.utils import formatdate
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import httpx
import pytest

from tests.support.probing import STREAM, TUS, ask, descriptors, final, unharmed
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.uploading import (
    INTEROP,
    KIB,
    MIB,
    append,
    append_head,
    assert_whole,
    content,
    create,
    observed,
)

WHOLE: Final = content(300_000, seed=81)
SIZE: Final = len(WHOLE)
LARGE: Final = content(20 * MIB, seed=82)
TAKEN: Final = 100 * KIB  # bytes that a reader takes before it leaves
COMPLETE: Final = "Upload-Complete: ?1"
LONG_AGO: Final = formatdate(0, usegmt=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of it, which must have come to no harm at the end."""
    with serving(tmp_path_factory.mktemp("downloads") / "data") as running, unharmed(running):
        yield running


@pytest.fixture(scope="module")
def path(server: Server) -> str:
    """A complete upload of 300,000 bytes."""
    return stored_whole(server, WHOLE, "Content-Type: image/png")


@pytest.fixture(scope="module")
def large(server: Server) -> str:
    """A complete upload of 20 MiB."""
    return stored_whole(server, LARGE)


@pytest.fixture(scope="module")
def fields(server: Server, path: str) -> dict[str, str]:
    """The fields of the whole answer: its ETag and its date."""
    return ask(server, "GET", path).headers


def stored_whole(server: Server, body: bytes, *fields: str) -> str:
    """Upload a file in one request; its path."""
    created = ask(server, "POST", "/files/", INTEROP, COMPLETE, *fields, body=body)
    assert created.status == 201
    return created.headers["location"]


# -- ranges and conditions --------------------------------------------------------------------------------------------


def get(client: RawClient, path: str, *fields: str) -> RawResponse:
    """GET on a connection that stays."""
    client.send(head("GET", path, *fields))
    return final(client)


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    """One connection for a whole test: each answer must leave it where the next one begins."""
    with RawClient(server.port) as opened:
        yield opened


@pytest.mark.parametrize(
    ("value", "start", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=-500", SIZE - 500, SIZE),
        (f"bytes=-{SIZE + 1}", 0, SIZE),
        ("bytes=299000-", 299_000, SIZE),
        ("bytes=0-", 0, SIZE),
        ("bytes=0-0", 0, 1),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE),
        (f"bytes={SIZE - 10}-{SIZE + 10}", SIZE - 10, SIZE),
        ("BYTES=131071-131073", 131_071, 131_074),
        ("bytes= 5-9 ,", 5, 10),
    ],
)
def test_one_range_is_served(client: RawClient, path: str, value: str, start: int, stop: int) -> None:
    """First bytes, last ones, an open end, a single byte, an end beyond the file: 206 with exactly these bytes."""
    for _ in range(2):
        answer = get(client, path, f"Range: {value}")
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert answer.headers["content-length"] == str(stop - start)
        assert answer.body == WHOLE[start:stop]


@pytest.mark.parametrize(
    "value", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0", "bytes=999999999999999999999-"]
)
def test_a_range_behind_the_end_is_refused(client: RawClient, path: str, value: str) -> None:
    """416 tells the size, so that the client can ask for something that is there; it then does, on the same line."""
    refusal = get(client, path, f"Range: {value}")
    assert (refusal.status, refusal.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert get(client, path, f"Range: bytes={SIZE - 1}-").body == WHOLE[-1:]


@pytest.mark.parametrize(
    "fields",
    [
        ("Range: bytes=0-1,5-9",),
        ("Range: bytes=0-1", "Range: bytes=5-9"),
        (f"Range: bytes=0-1,{SIZE}-",),
        ("Range: bytes=9-0",),
        ("Range: bytes=x-9",),
        ("Range: bytes=0-1-2",),
        ("Range: bytes=--1",),
        ("Range: bytes=0x0-0x9",),
        ("Range: bytes 0-9",),
        ("Range: lines=0-9",),
        ("Range: bytes=",),
        ("Range:",),
    ],
    ids=lambda fields: " + ".join(fields),
)
def test_other_ranges_are_answered_with_the_whole(client: RawClient, path: str, fields: tuple[str, ...]) -> None:
    """Several ranges, other units and what cannot be read: 200, as if nobody had asked for a part."""
    answer = get(client, path, *fields)
    assert (answer.status, answer.body) == (200, WHOLE)
    assert "content-range" not in answer.headers
    assert get(client, path, "Range: bytes=0-3").body == WHOLE[:4]


def test_if_range_gives_the_part_only_of_the_same_file(client: RawClient, path: str, fields: dict[str, str]) -> None:
    """The very ETag or the very date: the part. Anything else: the whole, for the part would not fit."""
    etag, date = fields["etag"], fields["last-modified"]
    for validator in (etag, date):
        assert get(client, path, "Range: bytes=7-8", f"If-Range: {validator}").body == WHOLE[7:9]
    for validator in ('"other"', f"W/{etag}", etag.strip('"'), f"{etag}, {etag}", LONG_AGO, "yesterday", "*"):
        answer = get(client, path, "Range: bytes=7-8", f"If-Range: {validator}")
        assert (answer.status, answer.body) == (200, WHOLE), validator


def test_what_the_client_has_already_is_not_sent_again(client: RawClient, path: str, fields: dict[str, str]) -> None:
    """304 has no body, and the fields that a cache needs."""
    etag, date = fields["etag"], fields["last-modified"]
    held = (f"If-None-Match: {etag}", f'If-None-Match: "a", W/{etag}', "If-None-Match: *", f"If-Modified-Since: {date}")
    for condition in held:
        answer = get(client, path, condition, "Range: bytes=0-1")
        assert (answer.status, answer.headers["etag"]) == (304, etag)
        assert answer.headers["cache-control"] == fields["cache-control"]
    for condition in ('If-None-Match: "other"', f"If-Modified-Since: {LONG_AGO}", "If-Modified-Since: yesterday"):
        assert get(client, path, condition).body == WHOLE
    both = get(client, path, 'If-None-Match: "other"', f"If-Modified-Since: {date}")
    assert (both.status, both.body) == (200, WHOLE)


def test_a_condition_that_does_not_hold_is_refused(client: RawClient, path: str, fields: dict[str, str]) -> None:
    """412 before any other condition, and before any range."""
    etag = fields["etag"]
    also = ("Range: bytes=0-1", f"If-None-Match: {etag}")
    for condition in ('If-Match: "other"', f"If-Match: W/{etag}", f"If-Unmodified-Since: {LONG_AGO}"):
        assert get(client, path, condition, *also).status == 412
    for condition in (f"If-Match: {etag}", "If-Match: *", f"If-Unmodified-Since: {fields['last-modified']}"):
        answer = get(client, path, condition, "Range: bytes=0-1")
        assert (answer.status, answer.body) == (206, WHOLE[:2])


@pytest.mark.parametrize(
    "condition",
    ["", "Range: bytes=0-9", "Range: bytes=999999-", "If-None-Match: *", 'If-Match: "other"', "If-Range: x"],
)
def test_head_tells_what_get_would(client: RawClient, path: str, condition: str) -> None:
    """The same status and fields without the body (ranges are for GET alone), besides the offsets that HEAD adds."""
    extra = (condition,) if condition else ()
    client.send(head("HEAD", path, *extra))
    described = final(client, "HEAD")
    answer = get(client, path, *(() if condition.startswith("Range") else extra))
    assert described.status == answer.status
    own = {"date", "upload-offset", "upload-length", "upload-complete", "upload-limit", "cache-control"}
    assert _but(described, own) == _but(answer, own)
    if answer.status == 200:
        assert int(described.headers["content-length"]) == len(answer.body)


def _but(answer: RawResponse, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in names}


def test_an_empty_file(server: Server, client: RawClient) -> None:
    """Nothing is a file too: 200 and no byte, for the last bytes of it as well; no byte has a number."""
    whole_in_one = stored_whole(server, b"")
    by_tus = create(server, "tus", length=0)
    for path in (whole_in_one, by_tus):
        for fields in ((), ("Range: bytes=-5",), ("Range: bytes=5-1",)):
            answer = get(client, path, *fields)
            assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")
        for value in ("bytes=0-", "bytes=0-0", "bytes=-0"):
            refusal = get(client, path, f"Range: {value}")
            assert (refusal.status, refusal.headers["content-range"]) == (416, "bytes */0")


def test_an_unfinished_upload_has_no_bytes_to_give(server: Server, client: RawClient) -> None:
    """GET tells where it stands, in the IETF fields, whoever made it and whatever the request names."""
    path = create(server, "tus", length=10)
    assert append(server, "tus", path, 0, b"abcd").status == 204
    for fields in ((), ("Range: bytes=0-1",), ("If-Match: *",), (INTEROP,), (TUS,)):
        answer = get(client, path, *fields)
        assert (answer.status, answer.body) == (204, b"")
        told = {name: answer.headers.get(name) for name in ("upload-offset", "upload-length", "upload-complete")}
        assert told == {"upload-offset": "4", "upload-length": "10", "upload-complete": "?0"}
        assert "upload-limit" in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert not {"etag", "last-modified", "content-range", "accept-ranges"} & set(answer.headers)
    assert append(server, "tus", path, 4, b"efghij").status == 204
    assert_whole(server, path, b"abcdefghij")


# -- readers that leave, and readers at once --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_readers_that_leave_take_nothing_with_them(server: Server, large: str, how: str) -> None:
    """Ten times away after 100 KiB of 20 MiB, with FIN or RST: handles come back, the log is surprised by nothing."""
    before, lines = descriptors(server), len(server.lines)
    for _ in range(10):
        with RawClient(server.port) as client:
            client.send(head("GET", large))
            taken = 0
            while taken < TAKEN:
                taken += len(client.socket.recv(32 * KIB))
            if how == "rst":
                client.reset()
    eventually(lambda: descriptors(server) <= before)
    assert ask(server, "GET", large, f"Range: bytes={len(LARGE) - 5}-").body == LARGE[-5:]
    eventually(lambda: sum(large in line for line in server.lines[lines:]) == 11)
    log = "\n".join(server.lines[lines:])
    assert "Traceback" not in log
    assert not re.search(r'"level": ?"(warning|error)"', log), log


def test_a_reader_that_stops_reading_holds_up_nobody(server: Server, large: str, path: str) -> None:
    """A download nobody takes costs neither other readers nor writers anything, and can be taken up again."""
    with RawClient(server.port) as client:
        client.send(head("GET", large, "Connection: close"))
        first = client.socket.recv(64 * KIB)
        assert ask(server, "GET", path).body == WHOLE
        upload = create(server, "tus", length=SIZE)
        assert append(server, "tus", upload, 0, WHOLE).status == 204
        body = (first + client.rest()).partition(b"\r\n\r\n")[2]
    assert hashlib.sha256(body).digest() == hashlib.sha256(LARGE).digest()


def test_two_downloads_during_an_upload(server: Server, large: str) -> None:
    """Each gets its bytes: a writer and two readers of another file do not disturb each other."""
    path = create(server, "tus", length=len(LARGE))
    digests: list[bytes] = []

    def download() -> None:
        digests.append(hashlib.sha256(httpx.get(server.url + large, timeout=30).content).digest())

    readers = [threading.Thread(target=download) for _ in range(2)]
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=len(LARGE)), LARGE[: 5 * MIB])
        eventually(lambda: observed(server, path) > 0)
        for reader in readers:
            reader.start()
        for start in range(5 * MIB, len(LARGE), MIB):
            client.send(LARGE[start : start + MIB])
        answer = final(client)
    for reader in readers:
        reader.join()
    assert (answer.status, answer.headers["upload-offset"]) == (204, str(len(LARGE)))
    assert digests == [hashlib.sha256(LARGE).digest()] * 2
    assert_whole(server, path, LARGE)


def test_a_download_under_way_when_the_upload_is_deleted(server: Server) -> None:
    """Who reads already reads to the end or sees the connection break: never other bytes; the URL is gone at once."""
    path = stored_whole(server, LARGE)
    with RawClient(server.port) as client:
        client.send(head("GET", path, "Connection: close"))
        received = client.socket.recv(64 * KIB)
        assert ask(server, "DELETE", path, INTEROP).status == 204
        assert ask(server, "GET", path).status == 410
        received = (received + client.rest()).partition(b"\r\n\r\n")[2]
    assert LARGE.startswith(received)


# -- names and types --------------------------------------------------------------------------------------------------

NAMES: Final = {
    "quotes": ('the "best" take.zip', 'the "best" take.zip'),
    "a parameter of its own": ('x"; filename="y.exe', 'x"; filename="y.exe'),
    "line ends": ("a.zip\r\nSet-Cookie: x=1\r\n\r\n<script>", "a.zipSet-Cookie: x=1<script>"),
    "NUL": ("film\0.zip", "film.zip"),
    "slashes": ("../../etc/passwd", "passwd"),
    "backslashes": ("C:\\films\\..\\take.zip", "take.zip"),
    "unicode": ("Grüße \u5e27 \U0001f39e.zip", "Grüße \u5e27 \U0001f39e.zip"),
    "turned round": ("\u202egnp.exe", "gnp.exe"),
    "percent signs": ("100%41.zip", "100%41.zip"),
    "semicolons": ("a;b=c, d.zip", "a;b=c, d.zip"),
    "5,000 letters": ("n" * 4996 + ".zip", "n" * 251 + ".zip"),
    "5,000 letters of two bytes": ("é" * 4996 + ".zip", "é" * 125 + ".zip"),
    "dots": ("..", None),
    "nothing but controls": ("\x01\x02\x7f", None),
}


def told_name(answer: RawResponse) -> str | None:
    """The file name a browser would take, from a field that must be printable ASCII in the grammar of RFC 6266."""
    value = answer.headers["content-disposition"]
    found = re.fullmatch(
        r'(?:inline|attachment)(?:; filename="(?P<plain>[ !#-\[\]-~]*)")?'
        r"(?:; filename\*=UTF-8''(?P<exact>(?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-F]{2})+))?",
        value,
    )
    assert found is not None, value
    if found["exact"] is not None:
        assert found["plain"], value  # for those who know only the plain form
        return unquote_to_bytes(found["exact"]).decode()
    return found["plain"]


@pytest.mark.parametrize("by", ["metadata", "disposition"])
@pytest.mark.parametrize("case", NAMES)
def test_names_come_back_as_what_is_safe_of_them(server: Server, by: str, case: str) -> None:
    """Whatever a name holds, the header stays one header, and the name that is told is the exact one."""
    name, safe = NAMES[case]
    if by == "metadata":
        metadata = f"Upload-Metadata: filename {b64encode(name.encode()).decode()}"
        created = ask(server, "POST", "/files/", TUS, "Upload-Length: 3", metadata, STREAM, body=b"abc")
        path = created.headers["location"]
    else:
        path = stored_whole(server, b"abc", f"Content-Disposition: attachment; filename*=UTF-8''{quote(name, safe='')}")
    with RawClient(server.port) as client:
        answer = get(client, path)
        assert (answer.status, answer.body) == (200, b"abc")
        assert "set-cookie" not in answer.headers
        assert told_name(answer) == safe
        assert get(client, path, "Range: bytes=1-1").body == b"b"  # not a byte too many or too few before
    row = httpx.get(f"{server.url}/api/uploads/{path.rpartition('/')[2]}")
    assert row.status_code == 200


@pytest.mark.parametrize("by", ["metadata", "type"])
@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("text/html", "attachment"),
        ("TEXT/HTML; charset=utf-8", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("application/pdf", "attachment"),
        ("text/javascript", "attachment"),
        ("text/xml", "attachment"),
        ("multipart/x-mixed-replace; boundary=x", "attachment"),
        ("image/png, text/html", "attachment"),
        ("image/png\ttext/html", "attachment"),
        ("nonsense", "attachment"),
        ("image/png", "inline"),
        ("image/jpeg", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("video/mp4", "inline"),
    ],
)
def test_only_what_runs_nothing_is_shown_in_place(server: Server, by: str, media_type: str, kind: str) -> None:
    """Pages, drawings with scripts and the like are saved, not shown; nothing is guessed, nothing may run."""
    page = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    if by == "metadata":
        metadata = f"Upload-Metadata: filetype {b64encode(media_type.encode()).decode()}"
        created = ask(server, "POST", "/files/", TUS, f"Upload-Length: {len(page)}", metadata, STREAM, body=page)
        path = created.headers["location"]
    else:
        path = stored_whole(server, page, f"Content-Type: {media_type}")
    for value, body in (("bytes=0-", page), ("bytes=0-3", page[:4])):
        answer = ask(server, "GET", path, f"Range: {value}")
        assert (answer.status, answer.body) == (206, body)
        assert answer.headers["content-disposition"].partition(";")[0] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("sandbox;")
        assert "allow" not in answer.headers["content-security-policy"]
        assert re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+(; charset=[a-z0-9-]+)?", answer.headers["content-type"])
