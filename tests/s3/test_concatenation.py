"""Final uploads in a bucket: copied by MinIO itself, right byte for byte, through crashes; little comes through us."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx
import pytest

from ferryman_server.digests import crc64
from tests.minio import Minio
from tests.s3.faults import Answer, ChangeAnswer, LoseAnswer
from tests.s3.holding import Hold, When
from tests.s3.moments import Fault
from tests.s3.operations import Operation
from tests.s3.scene import MIB, WHOLE, Scene
from tests.support.process import eventually
from tests.support.raw_http import RawClient, head
from tests.support.uploading import TUS, create

LEAST: Final = 5 * MIB
SIZES: Final = {
    "large": [12 * MIB, 9 * MIB],
    "small ones": [1, 1000, 2 * MIB, 700],
    "small ones that make a part": [3 * MIB, 3 * MIB, 3 * MIB],
    "a small one first": [1000, 12 * MIB, 8 * MIB],
    "small ones between": [8 * MIB, 10, 8 * MIB, 2 * MIB, 1, 6 * MIB],
    "a small one last": [9 * MIB, 10],
    "on the edge": [LEAST, LEAST - 1, 1, LEAST + 1, LEAST - 1],
    "hardly more than a part": [1, LEAST, 1, LEAST + 3],
    "one": [7 * MIB],
    "nothing": [0, 0],
    "something and nothing": [0, 6 * MIB, 0, 10],
}


@pytest.fixture
def scene(minio: Minio, bucket: str, tmp_path: Path) -> Iterator[Scene]:
    """A server on an empty bucket."""
    with Scene(minio, bucket, tmp_path / "data").played() as played:
        yield played


def partials(scene: Scene, sizes: Sequence[int]) -> tuple[list[str], bytes]:
    """Finished partial uploads of these sizes, and what they are together."""
    paths, at = [], 0
    for size in sizes:
        path = create(scene.server, "tus", "Upload-Concat: partial", "Content-Length: 0", length=size)
        if size:
            assert scene.send(path, 0, size, whole=WHOLE[at : at + size]).status == 204
        paths.append(path)
        at += size
    return paths, WHOLE[:at]


def final(scene: Scene, paths: Sequence[str]) -> str:
    """The final upload of these; its path."""
    with RawClient(scene.server.port) as client:
        client.send(head("POST", "/files/", TUS, f"Upload-Concat: final;{' '.join(paths)}", "Content-Length: 0"))
        answer = client.responses()[-1]
    assert answer.status == 201, answer
    return answer.headers["location"]


def await_whole(scene: Scene, path: str, whole: bytes) -> None:
    """It becomes complete, and is right."""
    eventually(lambda: httpx.get(scene.server.url + path).status_code == 200, timeout=30)
    answer = httpx.get(scene.server.url + path)
    assert answer.content == whole
    assert answer.headers["etag"] == f'"{crc64([whole]):016x}-{len(whole):x}"'
    scene.check(path, whole)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_parts_of_any_size_make_the_whole(scene: Scene, sizes: Sequence[int]) -> None:
    """In order, with the right bytes; the partial ones stay what they are."""
    paths, whole = partials(scene, sizes)
    await_whole(scene, final(scene, paths), whole)
    for path, stop in zip(paths, itertools.accumulate(sizes), strict=True):
        size = int(httpx.head(scene.server.url + path).headers["content-length"])
        assert httpx.get(scene.server.url + path).content == whole[stop - size : stop]


def test_only_what_is_too_short_comes_through_us(scene: Scene) -> None:
    """Forty megabytes are copied by MinIO; what is read is less than two least parts."""
    paths, whole = partials(scene, [10 * MIB, 100, 20 * MIB])
    scene.proxy.clear()
    await_whole(scene, final(scene, paths), whole)
    assert scene.proxy.log.counts()[Operation.UPLOAD_PART_COPY] == 2
    ours = [seen for seen in scene.proxy.log.of(Operation.GET) if "/partials/" in seen.key or "/tails/" in seen.key]
    assert sum(seen.answered for seen in ours) < 2 * LEAST


def test_a_part_may_be_used_twice(scene: Scene) -> None:
    """Partial uploads are material: in one final upload several times, and in several."""
    paths, whole = partials(scene, [6 * MIB, 1000])
    await_whole(scene, final(scene, [paths[0], paths[1], paths[0]]), whole + whole[: 6 * MIB])
    await_whole(scene, final(scene, [paths[0]]), whole[: 6 * MIB])


STEPS: Final = [Operation.CREATE_MULTIPART, Operation.UPLOAD_PART_COPY, Operation.UPLOAD_PART, Operation.COMPLETE]


@pytest.mark.parametrize("when", [When.UNFINISHED, When.DONE])
@pytest.mark.parametrize("operation", STEPS)
def test_killed_while_it_is_assembled(scene: Scene, operation: Operation, when: When) -> None:
    """At every step: the next process goes on, and the whole is right."""
    paths, whole = partials(scene, [6 * MIB, 1000, 12 * MIB])
    gate = Hold(When.BEFORE if when is When.UNFINISHED and operation is not Operation.UPLOAD_PART else when)
    scene.proxy.on(operation, do=gate)
    path = final(scene, paths)
    gate.await_reached()
    scene.server.kill()
    gate.release()
    scene.server.restart()
    await_whole(scene, path, whole)


@pytest.mark.parametrize("fault", [Answer(503, "SlowDown"), ChangeAnswer(500, "InternalError"), LoseAnswer()], ids=str)
@pytest.mark.parametrize("operation", STEPS)
def test_one_failure_is_not_noticed(scene: Scene, operation: Operation, fault: Fault) -> None:
    """Each request is repeated until it is done."""
    paths, whole = partials(scene, [6 * MIB, 1000, 12 * MIB])
    scene.proxy.on(operation, do=fault)
    await_whole(scene, final(scene, paths), whole)


def test_what_was_assembled_is_deleted_behind_our_back(scene: Scene) -> None:
    """The final upload has failed, and says so; its partial ones make another."""
    paths, whole = partials(scene, [6 * MIB, 7 * MIB])

    def abort(seen: object) -> None:
        (upload,) = scene.open_uploads(path)
        scene.abort(scene.target(path), upload)

    gate = Hold(When.BEFORE)
    scene.proxy.on(Operation.COMPLETE, do=gate)
    path = final(scene, paths)
    gate.await_reached()
    abort(None)
    gate.release()
    eventually(lambda: httpx.head(scene.server.url + path, headers={"Tus-Resumable": "1.0.0"}).status_code == 410)
    await_whole(scene, final(scene, paths), whole)
