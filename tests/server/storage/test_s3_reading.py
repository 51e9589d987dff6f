"""A download goes on behind a failure in its middle: a real MinIO, and a proxy before it that breaks answers."""

import io
import random
from collections.abc import Iterator

import pytest

from ferryman_server.storage.s3_calls import PIECE
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_reading import read_on
from ferryman_server.storage.s3_signing import Keys
from tests.minio import Minio
from tests.s3.faults import Answer, Drop
from tests.s3.moments import Way
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy

KEY = "film"
CONTENT = random.Random(6).randbytes(3 << 20)
CUT = Drop(after=1 << 20, way=Way.DOWN)


@pytest.fixture
def proxy(minio: Minio, bucket: str) -> Iterator[FaultProxy]:
    """Between us and a MinIO that has the object."""
    put(minio, bucket, CONTENT)
    with FaultProxy(minio.endpoint) as made:
        yield made


@pytest.fixture
def client(minio: Minio, bucket: str, proxy: FaultProxy) -> Iterator[S3Client]:
    """Through the proxy."""
    keys = Keys(access=minio.access_key, secret=minio.secret_key)
    made = S3Client(proxy.endpoint, bucket, keys, "us-east-1")
    yield made
    made.close()


def put(minio: Minio, bucket: str, content: bytes) -> None:
    """Store the object, past the proxy."""
    minio.client().put_object(bucket, KEY, io.BytesIO(content), len(content))


def read(client: S3Client, start: int = 0, stop: int = len(CONTENT), patience: float = 10.0) -> Iterator[bytes]:
    """The object, as a download reads it."""
    return read_on(client, KEY, start, stop, PIECE, patience=patience)


def ranges(proxy: FaultProxy) -> list[str]:
    """What was asked for, in order."""
    return [seen.headers["range"] for seen in proxy.log]


def test_an_answer_that_breaks_off_is_read_on(client: S3Client, proxy: FaultProxy) -> None:
    """Whoever reads gets every byte once, though two answers in a row break off in their middle."""
    proxy.on(Operation.GET, do=CUT, times=2)
    assert b"".join(read(client, 1000)) == CONTENT[1000:]
    firsts = [int(asked.removeprefix("bytes=").partition("-")[0]) for asked in ranges(proxy)]
    assert len(firsts) == 3
    assert firsts[0] == 1000 < firsts[1] < firsts[2]  # and what came is not asked for again
    assert all(asked.endswith(f"-{len(CONTENT) - 1}") for asked in ranges(proxy))


def test_a_server_that_is_away_for_a_moment_is_waited_for(client: S3Client, proxy: FaultProxy) -> None:
    """Errors that pass are tried again behind pauses."""
    proxy.on(Operation.GET, do=CUT)
    proxy.on(Operation.GET, do=Answer(503, "SlowDown"), nth=2, times=2)
    assert b"".join(read(client)) == CONTENT
    assert len(ranges(proxy)) == 4


def test_it_is_not_waited_for_without_end(client: S3Client, proxy: FaultProxy) -> None:
    """A server that breaks off every answer at its first byte ends the reading when patience is over."""
    proxy.on(Operation.GET, do=CUT)
    proxy.on(Operation.GET, do=Drop(after=0, way=Way.DOWN), nth=2, times=None)
    got: list[bytes] = []
    with pytest.raises(S3Error):
        got.extend(read(client, patience=0.5))
    assert 0 < len(b"".join(got)) < len(CONTENT)
    assert CONTENT.startswith(b"".join(got))


@pytest.mark.parametrize("fault", [Answer(503, "SlowDown"), Drop(after=0, way=Way.DOWN)])
def test_what_fails_before_the_first_byte_is_told_at_once(client: S3Client, proxy: FaultProxy, fault: Answer) -> None:
    """Nothing was sent to anybody yet, who can be told to come again."""
    proxy.on(Operation.GET, do=fault, times=None)
    with pytest.raises(S3Error):
        next(read(client))
    assert len(ranges(proxy)) == 1


def test_another_object_is_not_mixed_in(client: S3Client, proxy: FaultProxy, minio: Minio, bucket: str) -> None:
    """Somebody replaces the object while it is read: the reading ends, and what was given out is of the first one."""
    rule = proxy.on(Operation.GET, do=CUT)
    reading = read(client)
    got = [next(reading)]
    rule.remove()
    put(minio, bucket, CONTENT[::-1])
    with pytest.raises(S3Error) as raised:
        got.extend(reading)
    assert raised.value.status == 412
    assert CONTENT.startswith(b"".join(got))


def test_nothing_is_asked_for_no_bytes(client: S3Client, proxy: FaultProxy) -> None:
    """No range says that."""
    assert list(read(client, 5, 5)) == []
    assert ranges(proxy) == []
