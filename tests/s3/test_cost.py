"""What uploads cost in requests to S3: each is latency, and on Amazon's a price."""

import httpx
import pytest

from tests.s3.operations import Operation
from tests.s3.scene import ENDS, MIB, PART, WHOLE, Scene
from tests.support.uploading import DIALECTS, Dialect, id_of, inspect


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [1, 1024, MIB, PART - 1, PART])
def test_a_file_within_a_part_costs_one_request(scene: Scene, dialect: Dialect, size: int) -> None:
    """One PUT, whatever the protocol."""
    path = scene.create(dialect, size=size)
    scene.send(path, 0, size, dialect, WHOLE[:size])
    assert scene.proxy.log.counts() == {Operation.PUT: 1}
    scene.check(path, WHOLE[:size])


@pytest.mark.parametrize("size", [1024, MIB])
def test_a_creation_with_all_its_bytes_costs_one_request(scene: Scene, size: int) -> None:
    """Creation-with-upload, and the IETF protocol's single request."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Content-Type": "application/offset+octet-stream"}
    for fields in (headers, {"Upload-Complete": "?1"}):
        scene.proxy.clear()
        made = httpx.post(scene.server.files, headers=fields, content=WHOLE[:size])
        assert made.status_code == 201
        assert scene.proxy.log.counts() == {Operation.PUT: 1}
        scene.check(made.headers["location"], WHOLE[:size])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_n_parts_cost_n_and_two_requests(scene: Scene, dialect: Dialect) -> None:
    """Creating, the parts, and completing; in one request, which has larger parts, or in one for each part."""
    for step, parts in ((len(WHOLE), len(ENDS)), (PART, len(WHOLE) // PART)):
        path = scene.create(dialect)
        scene.proxy.clear()
        for start in range(0, len(WHOLE), step):
            assert scene.send(path, start, start + step, dialect).status in (201, 204)
        expected = {Operation.CREATE_MULTIPART: 1, Operation.UPLOAD_PART: parts, Operation.COMPLETE: 1}
        assert scene.proxy.log.counts() == expected
        scene.check(path)


def test_an_empty_file_costs_one_request(scene: Scene) -> None:
    """Nothing is an object too."""
    path = scene.create(size=0)
    assert scene.proxy.log.counts() == {Operation.PUT: 1}
    scene.check(path, b"")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_questions_cost_nothing(scene: Scene, dialect: Dialect) -> None:
    """HEAD is answered from the state: of an empty upload, a half one, a complete one; and so is the listing."""
    half, done = scene.create(dialect), scene.create(dialect, size=MIB)
    scene.send(half, 0, PART + MIB, dialect)
    scene.send(done, 0, MIB, dialect, WHOLE[:MIB])
    scene.proxy.clear()
    for path in (half, done):
        assert inspect(scene.server, dialect, path).status in (200, 204)
    listed = {upload["id"] for upload in httpx.get(f"{scene.server.url}/api/uploads").json()["uploads"]}
    assert {id_of(half), id_of(done)} <= listed
    assert scene.proxy.log.counts() == {}


def test_a_download_costs_one_request(scene: Scene) -> None:
    """Whole or a range: one GET."""
    path = scene.create()
    scene.send(path, 0, len(WHOLE))
    for headers, expected in (({}, WHOLE), ({"Range": "bytes=5-9000000"}, WHOLE[5:9000001])):
        scene.proxy.clear()
        assert httpx.get(scene.server.url + path, headers=headers).content == expected
        assert scene.proxy.log.counts() == {Operation.GET: 1}


def test_a_tail_costs_one_request_and_one_to_take_it_in(scene: Scene) -> None:
    """A request that ends amid a part writes one object; the part that swallows it reads it, and then it is deleted."""
    path = scene.create()
    scene.proxy.clear()
    assert scene.send(path, 0, MIB).status == 204
    assert scene.proxy.log.counts() == {Operation.PUT: 1}
    scene.proxy.clear()
    assert scene.send(path, MIB, len(WHOLE)).status == 204
    scene.check(path)
    counts = scene.proxy.log.counts()
    assert (counts[Operation.GET], counts[Operation.PUT], counts[Operation.DELETE]) == (1, 0, 1)


def test_deleting_an_unfinished_upload_costs_what_it_has(scene: Scene) -> None:
    """Its multipart upload, its tail, and the object that may have been made without being recorded."""
    path = scene.create()
    scene.send(path, 0, PART + MIB)
    scene.proxy.clear()
    assert httpx.delete(scene.server.url + path, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    assert scene.proxy.log.counts() == {Operation.ABORT: 1, Operation.DELETE: 2}
