"""gzip and zstd at a real server: what is stored, what a damaged body leaves behind, and what a bomb costs.

In tus a coding belongs to one message and offsets count decoded bytes. In the IETF protocol it belongs to the upload,
offsets count coded bytes, and the coded bytes are what is stored and served.
"""

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
import zstandard

from tests.support.coded import CODERS, CODINGS, DAMAGES, gzip_bomb, in_parts, zstd_bomb
from tests.support.probing import STREAM, TUS, ask, checked, descriptors, final, resident, unchanged, unharmed
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, RawResponse, chunked, head
from tests.support.uploading import (
    INTEROP,
    KIB,
    MIB,
    append,
    append_head,
    assert_whole,
    content,
    create,
    finished_bytes,
    inspect,
    observed,
    offset_of,
    stored,
)

MAX_SIZE: Final = 2 * MIB
BOMB_COST: Final = 40 * MIB  # bytes that the server may grow by while it is sent a bomb
START: Final = 1000  # where the coded request begins: no offset that an upload has by itself
NOISE: Final = content(1_000_000, seed=71)  # its coded form is as large: half of the one is half of the other
TEXT: Final = b"".join(b"%d frames carried, none lost\n" % number for number in range(20_000))
COMPLETE: Final = "Upload-Complete: ?1"
INCOMPLETE: Final = "Upload-Complete: ?0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of it, which must have come to no harm at the end."""
    data = tmp_path_factory.mktemp("codings") / "data"
    with serving(data, "--max-size", str(MAX_SIZE)) as running, unharmed(running):
        yield running


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """A GiB of zeros in each coding."""
    return {"gzip": gzip_bomb(), "zstd": zstd_bomb()}


def patch(server: Server, path: str, offset: int, coding: str, body: bytes, *fields: str) -> RawResponse:
    """A tus PATCH with a coding; its answer, checked."""
    return checked(append(server, "tus", path, offset, body, f"Content-Encoding: {coding}", *fields))


def begun(server: Server, whole: bytes) -> str:
    """A tus upload of `whole` that has its first START bytes."""
    path = create(server, "tus", length=len(whole))
    assert append(server, "tus", path, 0, whole[:START]).status == 204
    return path


def code(answer: RawResponse) -> str:
    """The code of a problem document."""
    return str(answer.document["type"]).rpartition(":")[2]


def checksum(body: bytes) -> str:
    """The field that says what SHA-1 a body has."""
    return f"Upload-Checksum: sha1 {b64encode(hashlib.sha1(body).digest()).decode()}"


# -- tus: what is taken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("number", [1, 5])
def test_a_patch_stores_what_its_coding_stands_for(server: Server, coding: str, number: int) -> None:
    """One member or frame, or several behind each other: the offset counts what they decode to."""
    path = begun(server, TEXT)
    answer = patch(server, path, START, coding, in_parts(coding, TEXT[START:], number))
    assert (answer.status, answer.headers["upload-offset"]) == (204, str(len(TEXT)))
    assert finished_bytes(server.data, path) == TEXT


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [len(TEXT), 300_000])
def test_a_creation_with_upload_may_be_coded(server: Server, coding: str, size: int) -> None:
    """The body of a creation is decoded like that of a PATCH, be it the whole or a part."""
    fields = (TUS, f"Upload-Length: {len(TEXT)}", STREAM, f"Content-Encoding: {coding}")
    created = ask(server, "POST", "/files/", *fields, body=in_parts(coding, TEXT[:size]))
    assert (created.status, created.headers["upload-offset"]) == (201, str(size))
    path = created.headers["location"]
    if size < len(TEXT):
        assert patch(server, path, size, coding, CODERS[coding](TEXT[size:])).status == 204
    assert_whole(server, path, TEXT)


@pytest.mark.parametrize("coding", CODINGS)
def test_chunks_may_cut_a_coded_body_anywhere(server: Server, coding: str) -> None:
    """A coded body in chunks of one byte: neither headers nor trailers of members need to arrive in one piece."""
    data = TEXT[:2000]
    path = create(server, "tus", length=len(data))
    coded = in_parts(coding, data, 3)
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, f"Content-Encoding: {coding}", size=None))
        client.send(chunked(*(coded[at : at + 1] for at in range(len(coded)))))
        assert final(client).status == 204
    assert_whole(server, path, data)


@pytest.mark.parametrize("coding", ["x-gzip", "GZip", "identity, gzip", "X-GZIP , identity"])
def test_other_names_of_gzip(server: Server, coding: str) -> None:
    """x-gzip is gzip, case does not matter, and identity is no coding at all."""
    path = begun(server, TEXT)
    assert patch(server, path, START, coding, gzip.compress(TEXT[START:])).status == 204
    assert_whole(server, path, TEXT)


def test_identity_is_no_coding(server: Server) -> None:
    """Bytes that look coded are stored as they are when nobody says that they are."""
    coded = gzip.compress(TEXT)
    path = create(server, "tus", length=len(coded))
    assert patch(server, path, 0, "identity", coded).status == 204
    assert_whole(server, path, coded)


# -- tus: what breaks off ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("number", [1, 3])
def test_a_cut_keeps_the_decoded_prefix(server: Server, coding: str, how: str, number: int) -> None:
    """Until the cut HEAD tells the request's start, then what was decoded; a fresh stream goes on from there."""
    path = begun(server, NOISE)
    coded = in_parts(coding, NOISE[START:], number)
    part = coded[: len(coded) // 2]
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, START, f"Content-Encoding: {coding}", size=len(coded)), part)
        eventually(lambda: stored(server.data, path) > 350_000)
        assert offset_of(server, "tus", path) == START
        assert observed(server, path) == START
        if how == "rst":
            client.reset()
        else:
            client.half_close()
        eventually(lambda: observed(server, path) > START)
    offset = offset_of(server, "tus", path)
    assert 350_000 < offset <= len(part) + START
    rest = patch(server, path, offset, coding, CODERS[coding](NOISE[offset:]))
    assert (rest.status, rest.headers["upload-offset"]) == (204, str(len(NOISE)))
    assert_whole(server, path, NOISE)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_body_that_ended_stores_nothing(server: Server, coding: str, damage: str) -> None:
    """The client said that this was all, and it is wrong: 400, HEAD tells the request's start, a right body follows."""
    path = begun(server, TEXT)
    part = TEXT[START:200_000]
    answer = patch(server, path, START, coding, DAMAGES[damage](CODERS[coding](part)))
    assert answer.status == 400
    assert code(answer) in ("corrupt-encoding", "truncated-encoding")
    assert offset_of(server, "tus", path) == START
    assert patch(server, path, START, coding, CODERS[coding](TEXT[START:])).status == 204
    assert_whole(server, path, TEXT)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("damage", ["in the middle", "in the last byte", "without the last byte"])
def test_a_damaged_creation_with_upload_holds_no_bytes(server: Server, coding: str, damage: str) -> None:
    """400, and if an upload is left at all it is empty."""
    before = {row["id"] for row in _rows(server)}
    fields = (TUS, f"Upload-Length: {len(TEXT)}", STREAM, f"Content-Encoding: {coding}")
    assert ask(server, "POST", "/files/", *fields, body=DAMAGES[damage](CODERS[coding](TEXT))).status == 400
    assert all(row["offset"] == 0 for row in _rows(server) if row["id"] not in before)


def _rows(server: Server) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = httpx.get(f"{server.url}/api/uploads", params={"limit": 500}).json()["uploads"]
    return rows


# -- tus: what is too much --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("number", [1, 4])
def test_decoded_bytes_beyond_the_length_are_refused(server: Server, coding: str, number: int) -> None:
    """One decoded byte too many, though the coded body is shorter than the room: 413, and nothing of it counts."""
    path = begun(server, TEXT)
    coded = in_parts(coding, TEXT[START:] + b"!", number)
    assert len(coded) < len(TEXT) - START
    answer = patch(server, path, START, coding, coded)
    assert (answer.status, code(answer)) == (413, "exceeds-length")
    assert offset_of(server, "tus", path) == START
    assert patch(server, path, START, coding, in_parts(coding, TEXT[START:], number)).status == 204
    assert_whole(server, path, TEXT)


def test_a_coded_body_may_be_longer_than_what_it_stands_for(server: Server) -> None:
    """Content-Length counts coded bytes: it is never compared with the room."""
    path = begun(server, NOISE)
    coded = in_parts("gzip", NOISE[START:], 500)
    assert len(coded) > len(NOISE) - START
    assert patch(server, path, START, "gzip", coded).status == 204
    assert_whole(server, path, NOISE)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_costs_next_to_nothing(server: Server, bombs: dict[str, bytes], coding: str) -> None:
    """A GiB of zeros for an upload of 1 MiB, of unknown length, or in its creation: 413 at once, without the memory."""
    bomb, coded = bombs[coding], f"Content-Encoding: {coding}"
    assert len(bomb) < (64 * KIB if coding == "zstd" else 2 * MIB)
    known, deferred = create(server, "tus", length=MIB), create(server, "tus")
    _forget_peak(server)
    memory, handles = resident(server), descriptors(server)
    for path, limit, problem in ((known, MIB, "exceeds-length"), (deferred, MAX_SIZE, "exceeds-max-size")):
        answer = patch(server, path, 0, coding, bomb)
        assert (answer.status, code(answer)) == (413, problem)
        assert offset_of(server, "tus", path) == 0
        assert stored(server.data, path) <= limit
    with unchanged(server):
        refused = ask(server, "POST", "/files/", TUS, f"Upload-Length: {MAX_SIZE + 1}", STREAM, coded, body=bomb)
    assert refused.status == 413
    assert ask(server, "POST", "/files/", TUS, f"Upload-Length: {MIB}", STREAM, coded, body=bomb).status == 413
    grown = _peak(server) - memory
    assert grown < BOMB_COST, f"the server grew by {grown >> 20} MiB"
    eventually(lambda: descriptors(server) <= handles)


def _peak(server: Server) -> int:
    """The most bytes of memory that the process held since the peak was forgotten."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * KIB


def _forget_peak(server: Server) -> None:
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


@pytest.mark.parametrize(("window_log", "status"), [(25, 400), (24, 400), (23, 204)])
def test_a_zstd_window_has_at_most_8_mib(server: Server, window_log: int, status: int) -> None:
    """A frame that needs more memory than every decoder must have is refused, and told so."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # the size is not known to it
    path = begun(server, NOISE)
    answer = patch(server, path, START, "zstd", packer.compress(NOISE[START:]) + packer.flush())
    assert answer.status == status
    if status == 400:
        assert code(answer) == "window-too-large"
        assert offset_of(server, "tus", path) == START


# -- tus: checksums ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
def test_a_checksum_covers_the_coded_body(server: Server, coding: str) -> None:
    """The checksum is that of the bytes on the way: another one is 460 and stores nothing."""
    path = begun(server, TEXT)
    coded = in_parts(coding, TEXT[START:])
    assert patch(server, path, START, coding, coded, checksum(TEXT[START:])).status == 460
    assert offset_of(server, "tus", path) == START
    assert patch(server, path, START, coding, coded, checksum(coded)).status == 204
    assert_whole(server, path, TEXT)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_right_checksum_does_not_save_a_wrong_body(server: Server, coding: str) -> None:
    """A body that arrived as it was sent, but is damaged, or goes beyond the length, stores nothing either."""
    path = begun(server, TEXT)
    cases = ((CODERS[coding](TEXT[START:])[:-1], 400), (CODERS[coding](TEXT[START:] + b"!"), 413))
    for body, status in cases:
        assert patch(server, path, START, coding, body, checksum(body)).status == status
        assert offset_of(server, "tus", path) == START


@pytest.mark.parametrize("coding", CODINGS)
def test_a_checksummed_coded_body_that_is_cut_leaves_nothing(server: Server, coding: str) -> None:
    """Nobody can know whether the decoded part is right: all or nothing."""
    path = begun(server, NOISE)
    coded = CODERS[coding](NOISE[START:])
    fields = (f"Content-Encoding: {coding}", checksum(coded))
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, START, *fields, size=len(coded)), coded[: len(coded) // 2])
        eventually(lambda: stored(server.data, path) > 350_000)
        client.half_close()
        client.rest()
    assert offset_of(server, "tus", path) == START
    assert patch(server, path, START, coding, coded, checksum(coded)).status == 204
    assert_whole(server, path, NOISE)


@pytest.mark.parametrize(("right", "status"), [(True, 204), (False, 460)])
def test_a_checksum_behind_a_coded_body(server: Server, right: bool, status: int) -> None:
    """In a trailer it covers the coded bytes without their chunk headers."""
    path = begun(server, TEXT)
    coded = zstandard.compress(TEXT[START:])
    fields = ("Content-Encoding: zstd", "Trailer: Upload-Checksum")
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, START, *fields, size=None))
        client.send(chunked(coded[:777], coded[777:], trailers=(checksum(coded if right else TEXT[START:]),)))
        assert final(client).status == status
    assert observed(server, path) == (len(TEXT) if right else START)


# -- both: what is not taken ------------------------------------------------------------------------------------------

_REFUSED: Final = (
    ("Content-Encoding: deflate",),
    ("Content-Encoding: br",),
    ("Content-Encoding: compress",),
    ("Content-Encoding: gzip, zstd",),
    ("Content-Encoding: gzip", "Content-Encoding: gzip"),
)


@pytest.mark.parametrize("fields", _REFUSED, ids=" + ".join)
def test_what_cannot_be_undone_is_refused_everywhere(server: Server, fields: tuple[str, ...]) -> None:
    """Another coding, or two on top of each other, also over two lines: 415 says what would be taken, nothing stays."""
    path, ietf = begun(server, TEXT), create(server, "rufh")
    patch_type = "Content-Type: application/partial-upload"
    with unchanged(server, path, ietf):
        for answer in (
            ask(server, "PATCH", path, TUS, STREAM, f"Upload-Offset: {START}", *fields, body=b"x"),
            ask(server, "POST", "/files/", TUS, "Upload-Length: 3", STREAM, *fields, body=b"abc"),
            ask(server, "POST", "/files/", INTEROP, COMPLETE, *fields, body=b"abc"),
            ask(server, "PATCH", ietf, INTEROP, INCOMPLETE, "Upload-Offset: 0", patch_type, *fields, body=b"abc"),
        ):
            assert (answer.status, code(answer)) == (415, "unsupported-coding")
            assert answer.headers["accept-encoding"] == "gzip, zstd"


def test_what_would_be_taken_is_told_beforehand(server: Server) -> None:
    """OPTIONS and a creation's answer tell the codings; a refusal because of the type does not (RFC 9110 §15.5.16)."""
    assert ask(server, "OPTIONS", "/files/").headers["accept-encoding"] == "gzip, zstd"
    created = ask(server, "POST", "/files/", TUS, f"Upload-Length: {START}", body=b"")
    assert created.headers["accept-encoding"] == "gzip, zstd"
    path = created.headers["location"]
    wrong_type = ask(server, "PATCH", path, TUS, "Upload-Offset: 0", "Content-Type: text/plain", body=b"x")
    assert wrong_type.status == 415
    assert "accept-encoding" not in wrong_type.headers


# -- IETF -------------------------------------------------------------------------------------------------------------


def ietf(server: Server, coding: str, body: bytes, *fields: str) -> str:
    """An unfinished IETF upload with a coding, and its first coded bytes."""
    created = ask(server, "POST", "/files/", INTEROP, INCOMPLETE, f"Content-Encoding: {coding}", *fields, body=body)
    assert (created.status, created.headers["upload-offset"]) == (201, str(len(body)))
    return created.headers["location"]


@pytest.mark.parametrize("coding", CODINGS)
def test_an_ietf_upload_counts_stores_and_serves_coded_bytes(server: Server, coding: str) -> None:
    """Length and offsets count coded bytes; a cut in the middle of a frame keeps them raw; the download is decoded by
    its reader."""
    coded = CODERS[coding](TEXT)
    path = ietf(server, coding, coded[:100], f"Upload-Length: {len(coded)}")
    with RawClient(server.port) as client:
        client.send(append_head("rufh", path, 100, size=len(coded) - 100), coded[100:2001])
        client.half_close()
        eventually(lambda: observed(server, path) == 2001)
    answer = inspect(server, "rufh", path)
    assert (answer.headers["upload-offset"], answer.headers["upload-length"]) == ("2001", str(len(coded)))
    finished = append(server, "rufh", path, 2001, coded[2001:], f"Content-Encoding: {coding}")
    assert finished.status == 201
    assert finished_bytes(server.data, path) == coded
    download = httpx.get(server.url + path)
    assert (download.headers["content-encoding"], download.headers["content-length"]) == (coding, str(len(coded)))
    assert download.content == TEXT


def test_an_append_with_another_coding_is_refused(server: Server) -> None:
    """The coding was fixed at the creation: another one, or one where there was none, is 415; the same or none goes."""
    coded = gzip.compress(TEXT)
    path, plain = ietf(server, "x-gzip", coded[:100]), create(server, "rufh")
    for target, offset, coding in ((path, 100, "zstd"), (path, 100, "gzip, gzip"), (plain, 0, "gzip")):
        answer = checked(append(server, "rufh", target, offset, b"x", f"Content-Encoding: {coding}"))
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "gzip, zstd")
        assert offset_of(server, "rufh", target) == offset
    steps = ((100, 200, ("Content-Encoding: gzip",)), (200, 300, ()), (300, 400, ("Content-Encoding: identity",)))
    for start, stop, fields in steps:
        assert append(server, "rufh", path, start, coded[start:stop], *fields, last=False).status == 204
        assert offset_of(server, "rufh", path) == stop
    assert append(server, "rufh", path, 400, coded[400:]).status == 201
    assert_whole(server, path, TEXT)


def test_a_tus_patch_of_a_coded_ietf_upload_is_raw(server: Server) -> None:
    """The stored bytes are coded already: a tus client may append them as they are, but not code them once more."""
    coded = zstandard.compress(TEXT)
    path = ietf(server, "zstd", coded[:100])
    answer = patch(server, path, 100, "zstd", coded[100:])
    assert (answer.status, code(answer), offset_of(server, "tus", path)) == (415, "unsupported-coding", 100)
    assert append(server, "tus", path, 100, coded[100:200]).status == 204
    assert append(server, "rufh", path, 200, coded[200:]).status == 201
    assert_whole(server, path, TEXT)


def test_ranges_of_a_coded_upload_are_ranges_of_coded_bytes(server: Server) -> None:
    """Range, Content-Range and the ETag are about what is stored."""
    coded = gzip.compress(TEXT)
    fields = (INTEROP, COMPLETE, "Content-Encoding: gzip")
    path = ask(server, "POST", "/files/", *fields, body=coded).headers["location"]
    whole = ask(server, "GET", path)
    assert (whole.body, whole.headers["content-encoding"]) == (coded, "gzip")
    part = ask(server, "GET", path, "Range: bytes=10-99", f"If-Range: {whole.headers['etag']}")
    assert (part.status, part.body) == (206, coded[10:100])
    assert (part.headers["content-range"], part.headers["content-encoding"]) == (f"bytes 10-99/{len(coded)}", "gzip")
    assert ask(server, "GET", path, f"Range: bytes={len(coded)}-").status == 416
    with RawClient(server.port) as client:
        client.send(head("HEAD", path, "Accept-Encoding: gzip"))
        described = client.response(to_head=True)
    assert (described.headers["content-length"], described.headers["content-encoding"]) == (str(len(coded)), "gzip")
