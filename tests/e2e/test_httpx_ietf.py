"""httpx, an ordinary HTTP client, over the IETF protocol against a real server process."""

import gzip
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Final

import httpx
import pytest
import zstandard

from tests.support.process import Server, eventually, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import MIB, content

WHOLE: Final = content(2 * MIB + 5, seed=41)
TEXT: Final = b"a frame, a frame, another frame\n" * 40_000
COMPLETE: Final = {"Upload-Complete": "?1"}
INCOMPLETE: Final = {"Upload-Complete": "?0"}
PARTIAL: Final = {"Content-Type": "application/partial-upload"}
CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of these tests."""
    with serving(tmp_path_factory.mktemp("httpx") / "data") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client with connections that are used again."""
    with httpx.Client(base_url=server.url) as opened:
        yield opened


def offset_of(client: httpx.Client, path: str) -> int:
    """What HEAD tells."""
    return int(client.head(path).headers["upload-offset"])


def sha256(data: bytes) -> str:
    """A digest as RFC 9530 writes it."""
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_creation_that_carries_the_file(client: httpx.Client, method: str) -> None:
    """Any method may create: the answer tells the URL of the upload, which gives the bytes back."""
    creation = client.request(method, "/files/", headers=COMPLETE, content=WHOLE)
    assert (creation.status_code, creation.headers["upload-complete"]) == (201, "?1")
    download = client.get(creation.headers["location"])
    assert (download.status_code, download.content) == (200, WHOLE)


def test_pieces_on_one_connection(client: httpx.Client) -> None:
    """An empty creation, appends of any size, and a last one that says so."""
    path = client.post("/files/", headers={**INCOMPLETE, "Upload-Length": str(len(WHOLE))}).headers["location"]
    bounds = (0, 1, 1000, MIB, len(WHOLE))
    for start, stop in pairwise(bounds):
        assert offset_of(client, path) == start
        last = {"Upload-Complete": f"?{int(stop == len(WHOLE))}", "Upload-Offset": str(start)}
        answer = client.patch(path, headers={**PARTIAL, **last}, content=WHOLE[start:stop])
        assert answer.headers["upload-complete"] == last["Upload-Complete"], answer.text
    assert client.get(path).content == WHOLE


@pytest.mark.parametrize("cut", Cut)
def test_the_rest_after_a_cut(server: Server, client: httpx.Client, cut: Cut) -> None:
    """HEAD tells how far a broken append came, and that offset is taken next."""
    path = client.post("/files/", headers=INCOMPLETE).headers["location"]
    at_start = {**PARTIAL, **COMPLETE, "Upload-Offset": "0"}
    with Proxy(server.port) as proxy:
        proxy.at(MIB, cut)
        with pytest.raises(httpx.TransportError):
            httpx.patch(proxy.url + path, headers=at_start, content=WHOLE)
    offset = offset_of(client, path)
    assert 0 <= offset <= MIB
    rest = {**PARTIAL, **COMPLETE, "Upload-Offset": str(offset)}
    assert client.patch(path, headers=rest, content=WHOLE[offset:]).status_code == 201
    assert client.get(path).content == WHOLE


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coding_belongs_to_the_representation(client: httpx.Client, coding: str) -> None:
    """Coded bytes are counted, kept and served with their coding, so a client that decodes gets the file."""
    coded = CODINGS[coding](TEXT)
    fields = {**INCOMPLETE, "Content-Encoding": coding, "Content-Type": "text/plain"}
    path = client.post("/files/", headers=fields, content=coded[:100]).headers["location"]
    assert offset_of(client, path) == 100
    rest = {**PARTIAL, **COMPLETE, "Upload-Offset": "100"}
    assert client.patch(path, headers=rest, content=coded[100:]).status_code == 201
    download = client.get(path)
    assert download.headers["content-encoding"] == coding
    assert int(download.headers["content-length"]) == len(coded)
    assert download.content == TEXT


def test_an_unknown_coding_is_refused_with_those_that_are_known(client: httpx.Client) -> None:
    """415 says what would be taken."""
    refusal = client.post("/files/", headers={**COMPLETE, "Content-Encoding": "br"}, content=b"?")
    assert refusal.status_code == 415
    assert {coding.strip() for coding in refusal.headers["accept-encoding"].split(",")} >= set(CODINGS)


async def test_a_body_that_is_made_on_the_way(server: Server) -> None:
    """Chunks of unknown number: their end is the end of the upload."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(WHOLE), 100_000):
            yield WHOLE[start : start + 100_000]

    async with httpx.AsyncClient(base_url=server.url) as client:
        creation = await client.post("/files/", headers=COMPLETE, content=pieces())
        assert creation.status_code == 201
        assert (await client.get(creation.headers["location"])).content == WHOLE


def test_digests_are_checked_and_told(client: httpx.Client) -> None:
    """A wrong Content-Digest stores nothing, a right one does, and the whole file's digest is told when wanted."""
    path = client.post("/files/", headers={**INCOMPLETE, "Want-Repr-Digest": "sha-256=9"}).headers["location"]
    at_start = {**PARTIAL, **COMPLETE, "Upload-Offset": "0"}
    wrong = client.patch(path, headers={**at_start, "Content-Digest": sha256(b"else")}, content=WHOLE)
    assert (wrong.status_code, offset_of(client, path)) == (400, 0)
    right = client.patch(path, headers={**at_start, "Content-Digest": sha256(WHOLE)}, content=WHOLE)
    assert (right.status_code, right.headers["repr-digest"]) == (201, sha256(WHOLE))


def test_the_first_shipped_clients_speak_version_3(client: httpx.Client) -> None:
    """There completeness is said by its opposite, and its absence on an append ends the upload."""
    version = {"Upload-Draft-Interop-Version": "3"}
    creation = client.post("/files/", headers={**version, "Upload-Incomplete": "?1"}, content=WHOLE[:10])
    assert (creation.status_code, creation.headers["upload-incomplete"]) == (201, "?1")
    path = creation.headers["location"]
    rest = client.patch(path, headers={**version, "Upload-Offset": "10"}, content=WHOLE[10:])
    assert (rest.status_code, rest.headers["upload-incomplete"]) == (201, "?0")
    assert client.get(path).content == WHOLE


def test_a_download_goes_on_where_it_broke_off(client: httpx.Client) -> None:
    """Ranges with If-Range give the rest of the same file."""
    path = client.post("/files/", headers=COMPLETE, content=WHOLE).headers["location"]
    whole = client.get(path)
    rest = client.get(path, headers={"Range": f"bytes={MIB}-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, whole.content[:MIB] + rest.content) == (206, WHOLE)


def test_the_list_of_uploads_follows_an_upload(client: httpx.Client) -> None:
    """Observers see the state without disturbing it."""
    path = client.post("/files/", headers=INCOMPLETE, content=WHOLE[:7]).headers["location"]
    document = f"/api/uploads/{path.rpartition('/')[2]}"
    assert (client.get(document).json()["phase"], client.get(document).json()["offset"]) == ("receiving", 7)
    client.patch(path, headers={**PARTIAL, **COMPLETE, "Upload-Offset": "7"}, content=b"the end")
    eventually(lambda: client.get(document).json()["phase"] == "complete")
