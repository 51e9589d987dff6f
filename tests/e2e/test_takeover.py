"""Two requests for one upload: the newer one takes over, observers disturb nobody, and the older one is told."""

import gzip
import hashlib
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, head
from tests.support.uploading import (
    DIALECTS,
    INTEROP,
    KIB,
    MIB,
    Dialect,
    append,
    append_head,
    assert_whole,
    await_stored,
    content,
    create,
    delete,
    finish,
    id_of,
    inspect,
    observed,
    offset_of,
    receiving,
    stored,
)

WHOLE = content(1_000_000)
PART = 300_000  # bytes that have arrived when the newer request comes
SOON = 5.0  # seconds: far below every time-out, far above what a take-over takes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that commits nothing by the clock, so that the committed offset is known."""
    with serving(tmp_path_factory.mktemp("takeover") / "data", "--checkpoint-interval", "10min") as running:
        yield running


@contextmanager
def stalled(
    server: Server, dialect: Dialect, path: str, part: bytes, *fields: str, offset: int = 0
) -> Iterator[RawClient]:
    """A PATCH that announced everything, brought `part`, which the server has written, and says nothing more."""
    with RawClient(server.port) as client:
        client.send(append_head(dialect, path, offset, *fields, size=len(WHOLE) - offset), part)
        await_stored(server.data, path, offset + len(part))
        yield client


def assert_superseded(client: RawClient) -> None:
    """The older sender can read that a newer request took over."""
    answer = client.responses()[-1]
    assert answer.status == 409, answer
    assert answer.document["type"] == "urn:ferryman:problem:superseded"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_patch_at_the_committed_offset_replaces_what_was_not_committed(server: Server, dialect: Dialect) -> None:
    """The newer PATCH brings the same range again: the older one's uncommitted bytes are dropped for it."""
    path = create(server, dialect, length=len(WHOLE))
    with stalled(server, dialect, path, bytes(PART)) as older:
        began = time.monotonic()
        assert append(server, dialect, path, 0, WHOLE).status in (201, 204)
        assert time.monotonic() - began < SOON
        assert_superseded(older)
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_patch_at_another_offset_finds_everything_committed(server: Server, dialect: Dialect) -> None:
    """Before the offsets are compared the older transfer commits what it has: here they differ."""
    path = create(server, dialect, length=len(WHOLE))
    with stalled(server, dialect, path, WHOLE[:PART]) as older:
        refused = append(server, dialect, path, 5, WHOLE[5:])
        assert (refused.status, refused.headers["upload-offset"]) == (409, str(PART))
        assert_superseded(older)
    assert offset_of(server, dialect, path) == PART
    finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_patch_where_the_older_one_has_got_to_goes_on_from_there(server: Server, dialect: Dialect) -> None:
    """A client that knows what it sent may go on at once, on a new connection."""
    path = create(server, dialect, length=len(WHOLE))
    with stalled(server, dialect, path, WHOLE[:PART]) as older:
        assert append(server, dialect, path, PART, WHOLE[PART:]).status in (201, 204)
        assert_superseded(older)
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_sender_at_full_speed_is_stopped_and_told(server: Server, dialect: Dialect) -> None:
    """An older PATCH that sends as fast as it can is cut off, and finds its answer when it looks."""
    size = 1 << 30
    path = create(server, dialect, length=size)
    with RawClient(server.port) as older:
        older.send(append_head(dialect, path, 0, size=size))
        flood = threading.Thread(target=older.flood, args=(size,))
        flood.start()
        eventually(lambda: stored(server.data, path) > 2 * MIB)
        began = time.monotonic()
        assert append(server, dialect, path, 1, b"?").status == 409
        assert time.monotonic() - began < SOON
        assert_superseded(older)
        flood.join(SOON)
        assert not flood.is_alive()
    stands = offset_of(server, dialect, path)
    assert stored(server.data, path) == stands > 2 * MIB
    assert delete(server, dialect, path) == 204


def test_a_tus_head_commits_what_has_arrived_and_ends_nothing(server: Server) -> None:
    """HEAD tells at least what had arrived a moment before, and the PATCH goes on to its end."""
    path = create(server, "tus", length=len(WHOLE))
    with stalled(server, "tus", path, WHOLE[:PART]) as client:
        for _ in range(3):
            assert offset_of(server, "tus", path) == PART
        assert observed(server, path) == PART
        client.send(WHOLE[PART : 2 * PART])
        await_stored(server.data, path, 2 * PART)
        assert offset_of(server, "tus", path) == 2 * PART
        client.send(WHOLE[2 * PART :])
        assert client.responses()[-1].status == 204
    assert_whole(server, path, WHOLE)


def test_a_tus_head_in_the_middle_of_a_coded_body_tells_where_it_began(server: Server) -> None:
    """Nothing of a coded or checksummed body is known to be right before its end; HEAD does not end it either."""
    checksum = f"Upload-Checksum: sha256 {b64encode(hashlib.sha256(WHOLE).digest()).decode()}"
    path = create(server, "tus", length=len(WHOLE))
    with stalled(server, "tus", path, WHOLE[:PART], checksum) as client:
        assert offset_of(server, "tus", path) == 0
        client.send(WHOLE[PART:])
        assert client.responses()[-1].status == 204
    assert_whole(server, path, WHOLE)
    path = create(server, "tus", length=len(WHOLE))
    coded = gzip.compress(WHOLE, 1)
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, "Content-Encoding: gzip", size=len(coded)), coded[: len(coded) // 2])
        eventually(lambda: stored(server.data, path) > PART)
        assert offset_of(server, "tus", path) == 0
        client.send(coded[len(coded) // 2 :])
        assert client.responses()[-1].status == 204
    assert_whole(server, path, WHOLE)


def test_a_patch_takes_over_from_a_checksummed_one(server: Server) -> None:
    """Nothing of the older body counts, wherever the newer one starts."""
    wrong = f"Upload-Checksum: sha1 {b64encode(bytes(20)).decode()}"
    path = create(server, "tus", length=len(WHOLE))
    for offset, status in ((PART, 409), (0, 204)):
        with stalled(server, "tus", path, bytes(PART), wrong) as older:
            answer = append(server, "tus", path, offset, WHOLE[offset:])
            assert answer.status == status, answer
            assert_superseded(older)
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_ietf_offset_retrieval_takes_over_and_its_offset_is_accepted_next(server: Server, method: str) -> None:
    """The draft: an offset that was told must be accepted, so the transfer that could move it is ended."""
    path = create(server, "rufh", length=len(WHOLE))
    with stalled(server, "rufh", path, WHOLE[:PART]) as older:
        with RawClient(server.port) as client:
            client.send(head(method, path, INTEROP))
            answer = client.response(to_head=method == "HEAD")
        assert (answer.status, answer.headers["upload-offset"]) == (204, str(PART))
        assert_superseded(older)
    assert append(server, "rufh", path, PART, WHOLE[PART:]).status == 201
    assert_whole(server, path, WHOLE)


def test_an_ietf_head_of_a_fast_transfer_tells_an_offset_that_holds(server: Server) -> None:
    """The transfer is stopped first and what it had is committed: the file does not grow any more."""
    size = 1 << 30
    path = create(server, "rufh", length=size)
    with RawClient(server.port) as older:
        older.send(append_head("rufh", path, 0, size=size))
        flood = threading.Thread(target=older.flood, args=(size,))
        flood.start()
        eventually(lambda: stored(server.data, path) > MIB)
        told = offset_of(server, "rufh", path)
        assert_superseded(older)
        flood.join(SOON)
    assert stored(server.data, path) == observed(server, path) == told
    accepted = append(server, "rufh", path, told, bytes(1000), last=False)
    assert (accepted.status, accepted.headers["upload-offset"]) == (204, str(told + 1000))
    assert delete(server, "rufh", path) == 204


def test_observers_disturb_nothing(server: Server) -> None:
    """The listing, the JSON of one upload, metrics, health and a plain GET leave the transfer alone."""
    path = create(server, "rufh", length=len(WHOLE))
    with stalled(server, "rufh", path, WHOLE[:PART]) as client:
        for url in (f"/api/uploads/{id_of(path)}", "/api/uploads", "/metrics", "/healthz", "/readyz", path):
            assert httpx.get(server.url + url).status_code in (200, 204), url
        client.send(WHOLE[PART:])
        assert client.responses()[-1].status == 201
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_delete_ends_the_transfer_and_frees_the_bytes(server: Server, dialect: Dialect) -> None:
    """The older sender is told, the upload is gone, and so is its file."""
    path = create(server, dialect, length=len(WHOLE))
    with stalled(server, dialect, path, WHOLE[:PART]) as older:
        assert delete(server, dialect, path) == 204
        assert_superseded(older)
    assert inspect(server, dialect, path).status == 410
    assert not receiving(server.data, path).exists()
    assert append(server, dialect, path, 0, WHOLE).status == 410


def test_a_creation_under_way_is_taken_over_through_the_url_its_104_told(server: Server) -> None:
    """The IETF protocol tells the URL at once: a client may go on through it while the creation still stalls."""
    with RawClient(server.port) as older:
        older.send(head("POST", "/files/", INTEROP, "Upload-Complete: ?1", f"Content-Length: {len(WHOLE)}"))
        older.send(WHOLE[:PART])
        path = older.response().headers["location"]
        await_stored(server.data, path, PART)
        assert offset_of(server, "rufh", path) == PART
        assert_superseded(older)
    finish(server, "rufh", path, WHOLE)


def test_the_last_of_ten_rapid_patches_is_the_one_that_counts(server: Server) -> None:
    """Ten clients send other bytes for the same range, each before the last has ended: one writer at a time."""
    path = create(server, "tus", length=len(WHOLE))
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(10)]
        for number, client in enumerate(clients):
            part = bytes([number]) * (PART + number)
            client.send(append_head("tus", path, 0, size=len(WHOLE)), part)
            await_stored(server.data, path, len(part))
        clients[-1].send(bytes([9]) * (len(WHOLE) - PART - 9))
        assert clients[-1].responses()[-1].status == 204
        for client in clients[:-1]:
            assert_superseded(client)
    assert_whole(server, path, bytes([9]) * len(WHOLE))


def test_a_crowd_of_resuming_clients_makes_one_right_file(server: Server) -> None:
    """Four clients ask and append, ask and append, at once and in both protocols, until one of them is through."""
    path = create(server, "tus", length=len(WHOLE))
    done = threading.Event()

    def insist(number: int) -> None:
        dialect = DIALECTS[number % 2]
        while not done.is_set():
            offset = offset_of(server, dialect, path)
            piece = WHOLE[offset : offset + 40 * KIB + number]
            if not piece:
                return
            answer = append(server, dialect, path, offset, piece, last=offset + len(piece) == len(WHOLE))
            assert answer.status in (201, 204, 409), answer

    crowd = [threading.Thread(target=insist, args=(number,)) for number in range(4)]
    for one in crowd:
        one.start()
    eventually(lambda: observed(server, path) == len(WHOLE), timeout=30)
    done.set()
    for one in crowd:
        one.join(SOON)
    assert_whole(server, path, WHOLE)
