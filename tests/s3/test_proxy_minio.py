"""The proxy before a real MinIO: signatures hold, operations are known, and faults are what a client of S3 meets."""

import io
import os
from collections.abc import Iterator

import pytest
from minio import Minio as Client
from minio.commonconfig import CopySource
from minio.error import S3Error
from urllib3 import PoolManager, Retry
from urllib3.exceptions import MaxRetryError

from tests.minio import Minio
from tests.s3.faults import Answer, ChangeAnswer, Corrupt, LoseAnswer
from tests.s3.log import Seen
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy

PART = 5 << 20  # bytes: the least that S3 takes
BODY = os.urandom(2 * PART + 1000)


@pytest.fixture
def proxy(minio: Minio) -> Iterator[FaultProxy]:
    """A proxy of this test alone."""
    with FaultProxy(minio.endpoint) as made:
        yield made


@pytest.fixture
def client(minio: Minio, proxy: FaultProxy) -> Iterator[Client]:
    """A client that signs for the proxy's address and tries nothing twice."""
    with PoolManager(retries=Retry(0)) as pool:
        yield Client(
            proxy.address, minio.access_key, minio.secret_key, secure=False, region="us-east-1", http_client=pool
        )


def put(client: Client, bucket: str, key: str, body: bytes = BODY) -> None:
    """Store it, in parts if it is long."""
    client.put_object(bucket, key, io.BytesIO(body), len(body), part_size=PART)


def get(client: Client, bucket: str, key: str) -> bytes:
    """Read it."""
    with client.get_object(bucket, key) as answer:
        return answer.data


def test_every_operation_of_a_real_client_is_known(proxy: FaultProxy, client: Client, bucket: str) -> None:
    """Signed for the proxy's address, each is accepted by MinIO and counted under its name."""
    put(client, bucket, "folder/long")
    put(client, bucket, "short", b"short")
    client.copy_object(bucket, "copy", CopySource(bucket, "short"))
    assert get(client, bucket, "folder/long") == BODY
    assert client.stat_object(bucket, "copy").size == 5
    assert {found.object_name for found in client.list_objects(bucket)} == {"folder/", "short", "copy"}
    client.remove_object(bucket, "copy")
    assert proxy.log.counts() == {
        Operation.CREATE_MULTIPART: 1,
        Operation.UPLOAD_PART: 3,
        Operation.COMPLETE: 1,
        Operation.PUT: 1,
        Operation.COPY: 1,
        Operation.GET: 1,
        Operation.HEAD: 2,  # its package asks for the size before it copies
        Operation.LIST: 1,
        Operation.DELETE: 1,
    }
    assert all(seen.status in (200, 204) for seen in proxy.log)
    assert sum(seen.sent for seen in proxy.log.of(Operation.UPLOAD_PART)) == len(BODY)


def test_a_presigned_address_of_the_proxy_holds(proxy: FaultProxy, client: Client, bucket: str) -> None:
    """The parameters of its signature do not make another operation of it."""
    address = client.get_presigned_url("PUT", bucket, "key")
    with PoolManager() as pool:
        assert pool.request("PUT", address, body=b"body").status == 200
    assert proxy.log.counts() == {Operation.PUT: 1}
    assert get(client, bucket, "key") == b"body"


def test_a_part_that_s3_refuses_once_is_known_by_its_error(proxy: FaultProxy, client: Client, bucket: str) -> None:
    """The client reads the proxy's error as it reads one of MinIO's, and succeeds the next time."""
    proxy.on(Operation.UPLOAD_PART, part=2, do=Answer(400, "RequestTimeout"))
    with pytest.raises(S3Error) as refused:
        put(client, bucket, "key")
    assert refused.value.code == "RequestTimeout"
    put(client, bucket, "key")
    assert get(client, bucket, "key") == BODY


def test_complete_is_done_and_answers_an_error(minio: Minio, proxy: FaultProxy, client: Client, bucket: str) -> None:
    """The object is there, whatever the client believes."""
    proxy.on(Operation.COMPLETE, do=ChangeAnswer(409, "OperationAborted"))
    with pytest.raises(S3Error) as told:
        put(client, bucket, "key")
    assert told.value.code == "OperationAborted"
    assert minio.client().stat_object(bucket, "key").size == len(BODY)


def test_an_upload_is_aborted_behind_its_back_before_complete(proxy: FaultProxy, client: Client, bucket: str) -> None:
    """By a request of somebody else, just when Complete has been sent: MinIO itself says what that means."""

    def abort(seen: Seen) -> None:
        address = client.get_presigned_url(
            "DELETE", seen.bucket, seen.key, extra_query_params={"uploadId": seen.upload_id or ""}
        )
        with PoolManager() as pool:
            assert pool.request("DELETE", address).status == 204

    proxy.on(Operation.COMPLETE, before=abort)
    with pytest.raises(S3Error) as told:
        put(client, bucket, "key")
    assert told.value.code == "NoSuchUpload"
    assert proxy.log.counts()[Operation.ABORT] >= 1


def test_minio_notices_a_flipped_byte(proxy: FaultProxy, client: Client, bucket: str) -> None:
    """By the checksum that is signed with the request."""
    proxy.on(Operation.UPLOAD_PART, part=2, do=Corrupt(PART // 2))
    with pytest.raises(S3Error) as told:
        put(client, bucket, "key")
    assert told.value.code == "XAmzContentSHA256Mismatch"


def test_an_answer_is_lost_and_the_object_is_there(
    minio: Minio, proxy: FaultProxy, client: Client, bucket: str
) -> None:
    """The client sees the connection end."""
    proxy.on(Operation.PUT, do=LoseAnswer())
    with pytest.raises(MaxRetryError):
        put(client, bucket, "key", b"body")
    assert minio.client().stat_object(bucket, "key").size == 4


def test_minio_is_gone_and_comes_back(proxy: FaultProxy, client: Client, bucket: str) -> None:
    """The same client goes on with the same address."""
    put(client, bucket, "key", b"body")
    proxy.refuse()
    with pytest.raises(MaxRetryError):
        get(client, bucket, "key")
    proxy.accept()
    assert get(client, bucket, "key") == b"body"
