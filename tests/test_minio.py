"""The MinIO that other tests build on: it starts, dies and comes back as they need it, and never outlives them."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.minio import HEALTH, Minio
from tests.support.process import eventually

STARTER: Final = """
import sys
from pathlib import Path
from tests.minio import Minio
server = Minio(Path(sys.argv[1])).start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def is_there(pid: int) -> bool:
    """Whether a process of this number exists and still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def put(server: Minio, bucket: str, key: str, content: bytes) -> None:
    """Store an object."""
    server.client().put_object(bucket, key, io.BytesIO(content), len(content))


def stored(server: Minio, bucket: str, key: str) -> bytes:
    """The content of an object."""
    answer = server.client().get_object(bucket, key)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def test_what_was_stored_is_there_after_a_kill_and_a_stop(minio_program: Path, tmp_path: Path) -> None:
    """The next process has the same addresses, the same user and the same data."""
    with Minio(tmp_path) as server:
        server.client().make_bucket("films")
        put(server, "films", "a/b", b"content")
        addresses, first = (server.endpoint, server.console), server.pid
        server.kill()
        assert not server.running
        server.start()
        assert server.stop() == 0
        server.start()
        assert (server.endpoint, server.console) == addresses
        assert server.pid != first
        assert stored(server, "films", "a/b") == b"content"


def test_its_environment_reaches_the_server(minio_program: Path, tmp_path: Path) -> None:
    """A password that MinIO does not take keeps it from starting, which is told in its own words."""
    with pytest.raises(AssertionError, match=r"(?i)invalid credentials"):
        Minio(tmp_path, environment={"MINIO_ROOT_PASSWORD": "short"}).start()


def test_it_dies_with_the_process_that_started_it(minio_program: Path, tmp_path: Path) -> None:
    """Also when that one is killed and cannot tidy up."""
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_there(pid)
        os.kill(starter.pid, signal.SIGKILL)
    eventually(lambda: not is_there(pid))


def test_buckets_are_new_and_the_server_is_shared(minio: Minio, bucket: str) -> None:
    """A test finds its own bucket empty beside those of others."""
    client = minio.client()
    assert client.bucket_exists(bucket)
    assert list(client.list_objects(bucket, recursive=True)) == []
    put(minio, bucket, "key", b"content")
    assert stored(minio, bucket, "key") == b"content"


def test_the_console_answers(minio: Minio) -> None:
    """There is a page at the console's own address, and the health check at the other."""
    assert "MinIO Console" in httpx.get(minio.console).text
    assert httpx.get(minio.endpoint + HEALTH).status_code == 200
