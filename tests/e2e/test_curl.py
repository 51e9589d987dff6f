"""curl, over the IETF protocol as the README says it, against a real server process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.curl import curl
from tests.support.process import Server, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import MIB, content

WHOLE: Final = content(5 * MIB + 99, seed=31)
LIMIT: Final = 8 * MIB  # bytes; of the server's largest upload
COMPLETE: Final = ("-H", "Upload-Complete: ?1")
INCOMPLETE: Final = ("-H", "Upload-Complete: ?0")
INTEROP: Final = ("-H", "Upload-Draft-Interop-Version: 8")
APPEND: Final = ("-X", "PATCH", "-H", "Content-Type: application/partial-upload")
EAGER: Final = ("-H", "Expect:")  # curl then sends a large body without waiting for 100 (Continue)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of these tests."""
    with serving(tmp_path_factory.mktemp("curl") / "data", "--max-size", f"{LIMIT}") as running:
        yield running


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "film.zip"
    path.write_bytes(WHOLE)
    return path


def assert_stored(server: Server, path: str, expected: bytes = WHOLE) -> None:
    """A download gives the bytes back."""
    download = curl(server.url + path)
    assert download.final.status == 200
    assert download.body == expected


def test_a_creation_that_carries_the_file(server: Server, film: Path) -> None:
    """One POST, with a name and a type that the download has as well."""
    named = ("-H", 'Content-Disposition: inline; filename="film.zip"', "-H", "Content-Type: application/zip")
    creation = curl("-X", "POST", *COMPLETE, *named, "--data-binary", f"@{film}", server.files)
    assert creation.final.status == 201
    assert creation.final.headers["upload-complete"] == "?1"
    assert_stored(server, creation.location())
    head = curl("-I", server.url + creation.location()).final
    assert head.headers["content-type"] == "application/zip"
    assert "film.zip" in head.headers["content-disposition"]


def test_the_rest_after_a_cut(server: Server, film: Path) -> None:
    """The URL came in a 104; HEAD tells how far the file came, and a PATCH carries the rest."""
    with Proxy(server.port) as proxy:
        proxy.at(3 * MIB, Cut.FIN)
        broken = curl("-X", "POST", *INTEROP, *COMPLETE, "--data-binary", f"@{film}", proxy.files)
    assert broken.exit != 0
    url = server.url + broken.location()
    head = curl("-I", url).final
    offset = int(head.headers["upload-offset"])
    assert 0 < offset <= 3 * MIB
    assert head.headers["upload-complete"] == "?0"
    rest = curl(*APPEND, *COMPLETE, "-H", f"Upload-Offset: {offset}", "--data-binary", "@-", url, stdin=WHOLE[offset:])
    assert rest.final.headers["upload-complete"] == "?1"
    assert_stored(server, broken.location())


def test_the_rest_after_a_silence(server: Server, film: Path) -> None:
    """curl gives up on a network that fell silent; the next request takes over for good."""
    with Proxy(server.port) as proxy:
        proxy.at(3 * MIB, proxy.stall)
        silent = curl("-X", "POST", *INTEROP, *COMPLETE, "-m", "1.5", "--data-binary", f"@{film}", proxy.files)
        assert silent.exit == 28  # time is over
        url = server.url + silent.location()
        offset = int(curl("-I", url).final.headers["upload-offset"])
        assert 0 < offset <= 3 * MIB
        at = ("-H", f"Upload-Offset: {offset}")
        middle = curl(*APPEND, *INCOMPLETE, *at, "--data-binary", "@-", url, stdin=WHOLE[offset : 4 * MIB])
        assert middle.final.status == 204
        proxy.resume()
        at = ("-H", f"Upload-Offset: {4 * MIB}")
        rest = curl(*APPEND, *COMPLETE, *at, "--data-binary", "@-", url, stdin=WHOLE[4 * MIB :])
        assert rest.final.headers["upload-complete"] == "?1"
    assert_stored(server, silent.location())


def test_a_large_body_waits_for_100_continue(server: Server, film: Path) -> None:
    """curl asks before it sends more than 1 MiB; 104 with the URL comes first and does not stand for the 100."""
    creation = curl("-X", "POST", *INTEROP, *COMPLETE, "--data-binary", f"@{film}", server.files)
    statuses = [answer.status for answer in creation.answers]
    assert statuses[:2] == [104, 100]
    assert set(statuses[2:-1]) <= {104}  # progress
    assert statuses[-1] == 201
    assert_stored(server, creation.location())


def test_a_body_of_unknown_length(server: Server) -> None:
    """From a pipe curl sends chunks; the end of the body is the end of the upload."""
    creation = curl("-X", "POST", *COMPLETE, "-T", "-", server.files, stdin=WHOLE)
    assert creation.final.status == 201
    assert_stored(server, creation.location())


def test_an_upload_in_pieces_that_is_ended_by_an_empty_one(server: Server) -> None:
    """Nothing is complete before a request says so, not even when all bytes are there."""
    url = server.url + curl("-X", "POST", *INCOMPLETE, server.files).location()
    half = len(WHOLE) // 2
    for start, piece in ((0, WHOLE[:half]), (half, WHOLE[half:])):
        at = ("-H", f"Upload-Offset: {start}")
        answer = curl(*APPEND, *INCOMPLETE, *at, "--data-binary", "@-", url, stdin=piece).final
        assert (answer.status, answer.headers["upload-complete"]) == (204, "?0")
    assert curl(url).final.status == 204
    at = ("-H", f"Upload-Offset: {len(WHOLE)}")
    assert curl(*APPEND, *COMPLETE, *at, url).final.headers["upload-complete"] == "?1"
    assert_stored(server, url.removeprefix(server.url))


@pytest.mark.parametrize("manners", [(), EAGER], ids=["waits", "eager"])
def test_what_is_too_large_is_refused_and_curl_reads_why(
    server: Server, tmp_path: Path, manners: tuple[str, ...]
) -> None:
    """413 comes before the body is read, and the problem document arrives even at a client that is still sending."""
    giant = tmp_path / "giant.bin"
    giant.write_bytes(bytes(4 * LIMIT))
    refusal = curl("-X", "POST", *COMPLETE, *manners, "--data-binary", f"@{giant}", server.files)
    assert refusal.final.status == 413
    problem = json.loads(refusal.body)
    assert problem["status"] == 413
    assert str(LIMIT) in problem["detail"]
    assert f"max-size={LIMIT}" in refusal.final.headers["upload-limit"]


@pytest.mark.parametrize("manners", [(), EAGER], ids=["waits", "eager"])
def test_a_stale_offset_is_refused_and_curl_reads_the_right_one(
    server: Server, film: Path, manners: tuple[str, ...]
) -> None:
    """409 comes before the body is read, and tells where to go on."""
    first = curl("-X", "POST", *INCOMPLETE, "--data-binary", "@-", server.files, stdin=WHOLE[:1000])
    url = server.url + first.location()
    stale = curl(*APPEND, *COMPLETE, *manners, "-H", "Upload-Offset: 0", "--data-binary", f"@{film}", url)
    assert stale.final.status == 409
    assert stale.final.headers["upload-offset"] == "1000"
    assert json.loads(stale.body)["expected-offset"] == 1000
    at = ("-H", "Upload-Offset: 1000")
    assert curl(*APPEND, *COMPLETE, *at, "--data-binary", "@-", url, stdin=WHOLE[1000:]).final.status == 201
    assert_stored(server, first.location())


def test_a_cancelled_upload_is_gone(server: Server) -> None:
    """DELETE frees it; its URL says so from then on."""
    url = server.url + curl("-X", "POST", *INCOMPLETE, "--data-binary", "@-", server.files, stdin=b"half").location()
    assert curl("-X", "DELETE", url).final.status == 204
    assert curl("-I", url).final.status == 410


def test_part_of_a_file(server: Server, film: Path) -> None:
    """curl goes on with a download as well."""
    path = curl("-X", "POST", *COMPLETE, "--data-binary", f"@{film}", server.files).location()
    part = curl("-r", "1000-1999", server.url + path)
    assert part.final.status == 206
    assert part.body == WHOLE[1000:2000]


def test_tus_needs_no_more_than_curl(server: Server, film: Path) -> None:
    """The same URLs speak tus."""
    tus = ("-H", "Tus-Resumable: 1.0.0", "-H", "Content-Type: application/offset+octet-stream")
    length = ("-H", f"Upload-Length: {len(WHOLE)}")
    creation = curl("-X", "POST", *tus, *length, "--data-binary", "@-", server.files, stdin=WHOLE[:1000])
    assert creation.final.headers["upload-offset"] == "1000"
    url = server.url + creation.location()
    at = ("-H", "Upload-Offset: 1000")
    rest = curl("-X", "PATCH", *tus, *at, "--data-binary", "@-", url, stdin=WHOLE[1000:])
    assert (rest.final.status, rest.final.headers["upload-offset"]) == (204, str(len(WHOLE)))
    assert_stored(server, creation.location())
