"""What a killed server had sent arrives when the next one is at work already, or done."""

import time

import pytest

from tests.s3.holding import Hold, When
from tests.s3.operations import Operation
from tests.s3.scene import MIB, PART, WHOLE, Scene
from tests.support.process import eventually
from tests.support.uploading import content, delete


def kill_while_held(scene: Scene, gate: Hold) -> None:
    """Kill the server when a request stands there, and start the next one before it goes on."""
    gate.await_reached()
    scene.server.kill()
    scene.proxy.disarm()
    scene.server.restart()


def killed_in_create(scene: Scene) -> tuple[str, Hold]:
    """An upload whose server was killed while it created the multipart upload, and the request, still on its way."""
    path, gate = scene.create(), Hold(When.UNFINISHED)
    scene.proxy.on(Operation.CREATE_MULTIPART, do=gate)
    scene.sending(path, 0, len(WHOLE))
    kill_while_held(scene, gate)
    return path, gate


@pytest.mark.parametrize("when", [When.UNFINISHED, When.DONE])
@pytest.mark.parametrize("operation", [Operation.UPLOAD_PART, Operation.COMPLETE])
def test_a_request_of_the_dead_server_arrives_after_the_upload_is_complete(
    scene: Scene, operation: Operation, when: When
) -> None:
    """It changes nothing, and leaves nothing."""
    path = scene.create()
    gate = Hold(when)
    scene.proxy.on(operation, do=gate)
    scene.sending(path, 0, len(WHOLE))
    kill_while_held(scene, gate)
    if operation is Operation.COMPLETE:
        eventually(lambda: scene.offset(path) == len(WHOLE))
    else:
        scene.resume(path)
    gate.release()
    scene.check(path)


def test_a_small_file_of_the_dead_server_is_on_its_way(scene: Scene) -> None:
    """MinIO lets the next one wait until it has all of it; it is replaced then, since nobody was told of it."""
    whole, other = content(MIB, seed=1), content(MIB, seed=2)
    path = scene.create(size=MIB)
    gate = Hold(When.UNFINISHED)
    scene.proxy.on(Operation.PUT, do=gate)
    scene.sending(path, 0, MIB, whole=whole)
    kill_while_held(scene, gate)
    resuming = scene.sending(path, 0, MIB, whole=other)
    time.sleep(0.3)
    gate.release()
    assert resuming.result().status == 204
    scene.check(path, other)


def test_a_multipart_upload_of_the_dead_server_arrives_after_the_upload_was_deleted(scene: Scene) -> None:
    """Nobody knows its id, but its key is in the row for as long as that is there: the reaper looks once more."""
    path, gate = killed_in_create(scene)
    assert delete(scene.server, "tus", path) == 204
    gate.release()
    eventually(lambda: len(scene.open_uploads(path)) == 1)
    scene.server.stop()
    scene.gc(ahead=2 * 3600)
    assert scene.open_uploads(path) == []


def test_a_multipart_upload_of_the_dead_server_arrives_after_the_upload_is_complete(scene: Scene) -> None:
    """The next server looked for it before it began its own, and does so once more when the upload is complete."""
    path, gate = killed_in_create(scene)
    assert scene.send(path, 0, 2 * PART).status == 204
    gate.release()
    eventually(lambda: len(scene.open_uploads(path)) == 2)
    scene.resume(path)
    assert scene.open_uploads(path) == []
