"""Two servers on one upload: the older one was given up for dead, and is not. A lock keeps that from happening on one
machine (the tests take it away); what keeps the upload right all the same is the fence in its row."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.s3.holding import Hold, When
from tests.s3.operations import Operation
from tests.s3.scene import MIB, PART, WHOLE, Scene
from tests.support.process import Server, eventually
from tests.support.uploading import append, assert_whole, inspect, observed

OTHER = WHOLE[::-1]
WHENS = (When.BEFORE, When.UNFINISHED, When.DONE)


@contextmanager
def successor(scene: Scene, endpoint: str = "") -> Iterator[Server]:
    """A second server on the same data and the same bucket, past the first one's proxy."""
    (scene.server.data / "lock").unlink()
    env = {
        "FERRYMAN_S3_ENDPOINT": endpoint or scene.minio.endpoint,
        "AWS_ACCESS_KEY_ID": scene.minio.access_key,
        "AWS_SECRET_ACCESS_KEY": scene.minio.secret_key,
    }
    server = Server(scene.server.data, "--store", f"s3://{scene.bucket}/library", env=env).start()
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("when", WHENS)
def test_a_part_of_the_older_server_does_not_count(scene: Scene, when: When) -> None:
    """It arrives while the newer one goes on with other bytes, or when that one has completed the upload."""
    path = scene.create()
    gate = Hold(when)
    scene.proxy.on(Operation.UPLOAD_PART, part=2, do=gate)
    sending = scene.sending(path, 0, len(WHOLE))
    gate.await_reached()
    eventually(lambda: observed(scene.server, path) == PART)
    with successor(scene) as newer:
        assert append(newer, "tus", path, PART, OTHER[PART : 3 * PART]).status == 204
        gate.release()
        assert sending.result().status in (409, 423, 503)
        assert append(newer, "tus", path, 3 * PART, OTHER[3 * PART :]).status == 204
        right = WHOLE[:PART] + OTHER[PART:]
        assert_whole(newer, path, right)
        scene.check(path, right)


@pytest.mark.parametrize("when", [When.BEFORE, When.DONE])
def test_a_small_file_of_the_older_server_is_replaced_or_never_made(scene: Scene, when: When) -> None:
    """Both put an object under the same key, with other bytes: what the newer one has told is what is there."""
    path = scene.create(size=MIB)
    gate = Hold(when)
    scene.proxy.on(Operation.PUT, do=gate)
    sending = scene.sending(path, 0, MIB, whole=WHOLE[:MIB])
    gate.await_reached()
    with successor(scene) as newer:
        assert append(newer, "tus", path, 0, OTHER[:MIB]).status == 204
        gate.release()
        assert sending.result().status in (409, 423, 503)
        assert_whole(newer, path, OTHER[:MIB])
        scene.check(path, OTHER[:MIB])


@pytest.mark.parametrize("when", WHENS)
def test_both_complete_the_same_upload(scene: Scene, when: When) -> None:
    """The newer one finds it half-way at its start, and goes on by itself; nobody is told anything that is not so."""
    path = scene.create()
    gate = Hold(when)
    scene.proxy.on(Operation.COMPLETE, do=gate)
    sending = scene.sending(path, 0, len(WHOLE))
    gate.await_reached()
    with successor(scene) as newer:
        eventually(lambda: inspect(newer, "tus", path).headers.get("upload-offset") == str(len(WHOLE)))
        gate.release()
        assert sending.result().status in (204, 409, 423, 503)
        assert_whole(newer, path, WHOLE)
        scene.check(path)
