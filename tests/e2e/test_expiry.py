"""Time runs out for what nobody goes on with, and for nothing else."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.uploading import (
    DIALECTS,
    TUS,
    Dialect,
    append,
    append_head,
    assert_whole,
    await_stored,
    content,
    create,
    finish,
    id_of,
    inspect,
    offset_of,
    published,
    receiving,
)

WHOLE = content(50_000)
TTL = 2.0  # seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which time runs fast."""
    flags = ("--upload-ttl", f"{TTL:g}s", "--reap-interval", "200ms", "--checkpoint-interval", "300ms")
    with serving(tmp_path_factory.mktemp("expiry") / "data", *flags) as running:
        yield running


def phase_of(server: Server, path: str) -> str:
    """What the listing says about an upload; "" when its row is gone."""
    answer = httpx.get(f"{server.url}/api/uploads/{id_of(path)}")
    return str(answer.json()["phase"]) if answer.status_code == 200 else ""


def await_status(server: Server, dialect: Dialect, path: str, status: int) -> None:
    """Wait until HEAD is answered so."""
    eventually(lambda: inspect(server, dialect, path).status == status)


def gc(data: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run `ferryman gc`."""
    command = [sys.executable, "-m", "ferryman_cli", "gc", "--data", str(data), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def concatenate(server: Server, *paths: str) -> RawResponse:
    """Create a final upload of these partial ones."""
    with RawClient(server.port) as client:
        client.send(head("POST", "/files/", TUS, f"Upload-Concat: final;{' '.join(paths)}"))
        return client.response()


def test_only_what_nobody_goes_on_with_is_gone(server: Server) -> None:
    """410 once its time is over, its file deleted, 404 a TTL later; what is complete never expires, however old."""
    kept = [create(server, dialect, length=len(WHOLE)) for dialect in DIALECTS]
    left = [create(server, dialect, length=len(WHOLE)) for dialect in DIALECTS]
    for dialect, finished, path in zip(DIALECTS, kept, left, strict=True):
        finish(server, dialect, finished, WHOLE)
        assert append(server, dialect, path, 0, WHOLE[:1000], last=False).status == 204
        assert receiving(server.data, path).exists()
    for dialect, path in zip(DIALECTS, left, strict=True):
        await_status(server, dialect, path, 410)
        assert append(server, dialect, path, 1000, WHOLE[1000:]).status in (404, 410)  # 404: forgotten already
    eventually(lambda: not any(receiving(server.data, path).exists() for path in left))
    for path in left:
        await_status(server, "tus", path, 404)
    for path in kept:
        assert "upload-expires" not in inspect(server, "tus", path).headers
        assert_whole(server, path, WHOLE)


def test_tus_tells_when_in_http_date(server: Server) -> None:
    """Upload-Expires is in the answers to creation, PATCH and HEAD, and about a TTL away."""
    with RawClient(server.port) as client:
        client.send(head("POST", "/files/", TUS, f"Upload-Length: {len(WHOLE)}"))
        answers = [client.response()]
    path = answers[0].headers["location"]
    answers += [append(server, "tus", path, 0, WHOLE[:10]), inspect(server, "tus", path)]
    for answer in answers:
        left = parsedate_to_datetime(answer.headers["upload-expires"]).timestamp() - time.time()
        assert -TTL - 1 < left < TTL + 1, answer  # the date has no fractions of a second


def test_the_ietf_protocol_tells_the_age(server: Server) -> None:
    """`max-age` of Upload-Limit: the seconds that are left."""
    path = create(server, "rufh", length=len(WHOLE))
    limit = inspect(server, "rufh", path).headers["upload-limit"]
    found = re.search(r"max-age=(\d+)", limit)
    assert found is not None, limit
    assert int(found[1]) <= TTL


def test_bytes_push_the_end_away(server: Server) -> None:
    """An upload lives a TTL from its last byte, even within one long request."""
    path = create(server, "tus", length=len(WHOLE))
    began, sent = time.monotonic(), 0
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=len(WHOLE)))
        while time.monotonic() < began + 1.5 * TTL:
            client.send(WHOLE[sent : sent + 100])
            sent += 100
            await_stored(server.data, path, sent)
            time.sleep(0.1)
        assert phase_of(server, path) == "receiving"
        client.send(WHOLE[sent:])
        assert client.response().status == 204
    assert_whole(server, path, WHOLE)


def test_a_final_upload_fails_when_a_part_it_waits_for_expires(server: Server) -> None:
    """It says which one, and itself expires in its own time."""
    complete = create(server, "tus", "Upload-Concat: partial", length=3)
    missing = create(server, "tus", "Upload-Concat: partial", length=3)
    assert append(server, "tus", complete, 0, b"abc").status == 204
    time.sleep(TTL / 2)  # or a late look would find the time of both over
    final = concatenate(server, missing, complete).headers["location"]
    eventually(lambda: phase_of(server, final) == "failed")
    answer = httpx.get(f"{server.url}/api/uploads/{id_of(final)}").json()
    assert id_of(missing) in answer["reason"]
    assert "expired" in answer["reason"]
    assert inspect(server, "tus", final).status == 410
    eventually(lambda: phase_of(server, final) in ("expired", ""))


def test_a_complete_partial_upload_is_freed_when_its_time_is_over(server: Server) -> None:
    """Partial uploads are kept for further use, but not for ever; the final made of them stays."""
    parts = [create(server, "tus", "Upload-Concat: partial", length=3) for _ in range(2)]
    for path, body in zip(parts, (b"abc", b"def"), strict=True):
        assert append(server, "tus", path, 0, body).status == 204
    final = concatenate(server, *parts).headers["location"]
    eventually(lambda: phase_of(server, final) == "complete")
    eventually(lambda: all(phase_of(server, path) in ("expired", "") for path in parts))
    eventually(lambda: not any(published(server.data, path).exists() for path in parts))
    assert_whole(server, final, b"abcdef")


def test_a_published_file_without_a_row_is_never_deleted_by_the_server(server: Server) -> None:
    """Only a person decides about it; the running reaper reports it. An unpublished one is freed."""
    published_id, orphan_id = "pubpubpubpubpubpubpubpubpu", "orporporporporporporporpor"
    stray = published(server.data, published_id)
    orphan = receiving(server.data, orphan_id)
    for file in (stray, orphan):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"whose?")
        os.utime(file, (0, 0))
    try:
        eventually(lambda: not orphan.exists())
        assert stray.read_bytes() == b"whose?"
        eventually(lambda: "published files without a row" in server.log())
    finally:
        stray.unlink()


def test_gc_tells_in_a_dry_run_what_it_would_do_and_then_does_it(tmp_path: Path) -> None:
    """`ferryman gc` on a stopped server: the same that the server does, told first if asked to."""
    data = tmp_path / "data"
    with serving(data, "--upload-ttl", "1s", "--reap-interval", "1h") as server:
        path = create(server, "tus", length=len(WHOLE))
        assert append(server, "tus", path, 0, WHOLE[:1000]).status == 204
        kept = create(server, "tus", length=len(WHOLE))
        finish(server, "tus", kept, WHOLE)
        time.sleep(1.1)  # until its time is over
        beside = gc(data, "--dry-run", "--upload-ttl", "1s")
        assert f"{id_of(path)}: would expire" in beside.stdout, beside
        refused = gc(data)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"process {server.pid}" in refused.stderr
        assert offset_of(server, "tus", path) == 1000, "a dry run changes nothing"
        assert server.stop() == 0
    told = gc(data, "--dry-run", "--upload-ttl", "1s")
    assert (told.returncode, receiving(data, path).exists()) == (0, True)
    assert f"{id_of(path)}: would expire" in told.stdout
    done = gc(data, "--upload-ttl", "1s")
    assert (done.returncode, receiving(data, path).exists()) == (0, False), done
    assert f"{id_of(path)}: expired" in done.stdout
    assert id_of(kept) not in done.stdout
    assert published(data, kept).read_bytes() == WHOLE
