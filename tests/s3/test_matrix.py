"""What can go wrong between the server and its store, step by step: the offset told is true, resuming finishes, the
object is right, nothing is left over."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.minio import Minio
from tests.s3.faults import Answer, ChangeAnswer, Corrupt, Drop, ErrorInside200, LoseAnswer, Slow
from tests.s3.holding import Hold, When
from tests.s3.log import Seen
from tests.s3.moments import Fault
from tests.s3.operations import Operation
from tests.s3.scene import ENDS, MIB, PART, WHOLE, Scene
from tests.support.process import eventually
from tests.support.raw_http import RawClient
from tests.support.uploading import DIALECTS, Dialect, append_head, content, delete, id_of, inspect, observed

WHENS: Final = (When.UNFINISHED, When.DONE)  # the request arrives although the server is dead; nobody hears the answer


def kill_at(scene: Scene, gate: Hold) -> None:
    """Kill the server when the request stands there; then it goes on to where it was going."""
    gate.await_reached()
    scene.server.kill()
    gate.release()
    scene.server.restart()


# -- kill -9 at every step --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("part", [1, 3])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_killed_while_a_part_is_sent(scene: Scene, dialect: Dialect, part: int, when: When) -> None:
    """The part arrives, or is stored and nobody knows: it does not count, and its number is not taken again."""
    path = scene.create(dialect)
    gate = Hold(when)
    scene.proxy.on(Operation.UPLOAD_PART, part=part, do=gate)
    scene.sending(path, 0, len(WHOLE), dialect)
    kill_at(scene, gate)
    offset = scene.offset(path, dialect)
    assert offset in (0, *ENDS[:2])
    used = {seen.part for seen in scene.proxy.log.of(Operation.UPLOAD_PART)}
    scene.proxy.clear()
    scene.resume(path, dialect)
    if scene.open_uploads(path) == [] and offset:  # the same multipart upload
        assert used.isdisjoint({seen.part for seen in scene.proxy.log.of(Operation.UPLOAD_PART)})
    scene.check(path)


@pytest.mark.parametrize("when", WHENS)
def test_killed_while_the_multipart_upload_is_created(scene: Scene, when: When) -> None:
    """It is there and its id is lost with the process: the next one finds it by its key, and aborts it."""
    path = scene.create()
    gate = Hold(when)
    scene.proxy.on(Operation.CREATE_MULTIPART, do=gate)
    scene.sending(path, 0, len(WHOLE))
    kill_at(scene, gate)
    eventually(lambda: len(scene.open_uploads(path)) == 1)
    assert scene.offset(path) == 0
    scene.resume(path)
    scene.check(path)


def test_killed_after_an_offset_was_committed(scene: Scene) -> None:
    """What the row says is what the next process goes on from."""
    path = scene.create()
    scene.proxy.on(Operation.UPLOAD_PART, part=4, do=Hold(When.BEFORE), times=None)
    scene.sending(path, 0, len(WHOLE))
    eventually(lambda: observed(scene.server, path) == ENDS[2])
    scene.server.kill()
    scene.proxy.disarm()
    scene.server.restart()
    scene.resume(path, told=ENDS[2])
    scene.check(path)


@pytest.mark.parametrize("when", WHENS)
def test_killed_while_a_tail_is_written(scene: Scene, when: When) -> None:
    """What a request left over was on its way: it was not told, and what was told before stands."""
    path = scene.create()
    assert scene.send(path, 0, PART + MIB).status == 204
    gate = Hold(when)
    scene.proxy.on(Operation.PUT, key="/tails/", do=gate)
    scene.sending(path, PART + MIB, PART + 2 * MIB)
    kill_at(scene, gate)
    scene.resume(path, told=PART + MIB)
    scene.check(path, tails_may_be_left=True)


@pytest.mark.parametrize("when", [When.BEFORE, When.DONE])
def test_killed_while_an_old_tail_is_deleted(scene: Scene, when: When) -> None:
    """It is only deleted once the part that holds its bytes is committed."""
    path = scene.create()
    assert scene.send(path, 0, MIB).status == 204
    gate = Hold(when)
    scene.proxy.on(Operation.DELETE, key="/tails/", do=gate)
    scene.sending(path, MIB, PART + MIB)
    gate.await_reached()
    eventually(lambda: scene.offset(path) == PART + MIB)
    scene.server.kill()
    gate.drop() if when is When.BEFORE else gate.release()
    scene.server.restart()
    scene.resume(path, told=PART + MIB)
    if when is When.DONE:
        scene.check(path)


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_killed_while_it_is_completed(scene: Scene, dialect: Dialect, when: When) -> None:
    """Complete was sent, or done and never recorded: the next process recognises the object by its size and CRC."""
    path = scene.create(dialect)
    gate = Hold(when)
    scene.proxy.on(Operation.COMPLETE, do=gate)
    scene.sending(path, 0, len(WHOLE), dialect)
    kill_at(scene, gate)
    eventually(lambda: httpx.get(scene.server.url + path).status_code == 200)
    scene.check(path)


@pytest.mark.parametrize("when", WHENS)
def test_killed_while_a_small_file_is_put(scene: Scene, when: When) -> None:
    """One PUT is all of it: the row says nothing yet, the client sends it again, and the same object is recognised."""
    whole = content(MIB)
    path = scene.create(size=MIB)
    gate = Hold(when)
    scene.proxy.on(Operation.PUT, do=gate)
    scene.sending(path, 0, MIB, whole=whole)
    kill_at(scene, gate)
    assert scene.offset(path) == 0
    scene.resume(path, whole=whole)
    scene.check(path, whole)


def test_killed_after_the_object_was_recorded(scene: Scene) -> None:
    """The answer was the promise."""
    path = scene.create()
    assert scene.send(path, 0, len(WHOLE)).status == 204
    scene.server.crash()
    scene.check(path)
    assert httpx.get(scene.server.url + path).content == WHOLE


def test_a_slow_part_then_a_kill(scene: Scene) -> None:
    """Part 2 is slow while 3 and 4 succeed: nothing behind the gap is told, and the kill loses nothing that was."""
    path = scene.create()
    scene.proxy.on(Operation.UPLOAD_PART, part=2, do=Hold(When.UNFINISHED))
    scene.sending(path, 0, len(WHOLE))
    eventually(lambda: sum(seen.told == 200 for seen in scene.proxy.log.of(Operation.UPLOAD_PART)) >= 3)
    assert scene.offset(path) <= PART
    scene.server.kill()
    scene.proxy.disarm()
    scene.server.restart()
    scene.resume(path)
    scene.check(path)


# -- requests that fail -----------------------------------------------------------------------------------------------

PASSING: Final = [
    Answer(503, "SlowDown"),
    Answer(500, "InternalError"),
    ChangeAnswer(500, "InternalError"),
    LoseAnswer(),
    LoseAnswer(reset=True),
    Drop(),
    Drop(after=3 * MIB),
    Drop(after=100, reset=True),
    Corrupt(position=12345),
]
NAMES: Final = ["503", "500", "done-500", "lost", "lost-rst", "cut", "cut-3MiB", "cut-rst", "corrupt"]


@pytest.mark.parametrize("fault", PASSING, ids=NAMES)
def test_one_failure_of_a_part_is_not_noticed(scene: Scene, fault: Fault) -> None:
    """The bytes are in memory: the same part is sent again, under the same number, within the same request."""
    path = scene.create()
    scene.proxy.on(Operation.UPLOAD_PART, part=2, do=fault)
    answer = scene.send(path, 0, len(WHOLE))
    assert answer.status == 204, answer
    scene.check(path)


@pytest.mark.parametrize("fault", [fault for fault in PASSING if not isinstance(fault, Drop | Corrupt)], ids=str)
@pytest.mark.parametrize("operation", [Operation.CREATE_MULTIPART, Operation.COMPLETE, Operation.PUT])
def test_one_failure_of_another_request_is_not_noticed(scene: Scene, operation: Operation, fault: Fault) -> None:
    """Creating, completing and putting are repeated until they are done once."""
    whole = WHOLE[:MIB] if operation is Operation.PUT else WHOLE
    path = scene.create(size=len(whole))
    scene.proxy.on(operation, do=fault)
    answer = scene.send(path, 0, len(whole), whole=whole)
    assert answer.status == 204, answer
    scene.check(path, whole)


@pytest.mark.parametrize("done", [False, True])
def test_an_error_inside_a_200_is_an_error(scene: Scene, done: bool) -> None:
    """S3 may answer Complete with 200 and tell of an error behind it."""
    path = scene.create()
    scene.proxy.on(Operation.COMPLETE, do=ErrorInside200("InternalError", done=done))
    assert scene.send(path, 0, len(WHOLE)).status == 204
    scene.check(path)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_middle_part_that_never_succeeds(scene: Scene, dialect: Dialect) -> None:
    """Every try of part 2 fails while 3 and 4 succeed: 503, the offset is that before the gap, and later it goes on."""
    path = scene.create(dialect)
    rule = scene.proxy.on(Operation.UPLOAD_PART, part=2, do=Answer(503, "SlowDown"), times=None)
    answer = scene.send(path, 0, len(WHOLE), dialect)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "5")
    assert scene.offset(path, dialect) == PART
    rule.remove()
    scene.resume(path, dialect, told=PART)
    scene.check(path)


@pytest.mark.parametrize(
    "fault", [Answer(500, "InternalError"), ChangeAnswer(500, "InternalError")], ids=["not", "done"]
)
def test_a_complete_that_never_succeeds(scene: Scene, fault: Fault) -> None:
    """503 while the store fails, never "complete" before the object can be read; afterwards it completes by itself."""
    path = scene.create()
    rule = scene.proxy.on(Operation.COMPLETE, do=fault, times=None)
    assert scene.send(path, 0, len(WHOLE)).status == 503
    assert inspect(scene.server, "tus", path).status == 503
    assert httpx.get(scene.server.url + path).status_code == 503
    rule.remove()
    eventually(lambda: inspect(scene.server, "tus", path).status == 200, timeout=30)
    scene.check(path)


def test_a_tail_that_never_succeeds(scene: Scene) -> None:
    """What was confirmed before stays confirmed; the bytes of this request are sent again."""
    path = scene.create()
    assert scene.send(path, 0, MIB).status == 204
    rule = scene.proxy.on(Operation.PUT, key="/tails/", do=Answer(503, "SlowDown"), times=None)
    assert scene.send(path, MIB, 2 * MIB).status == 503
    rule.remove()
    scene.resume(path, told=MIB)
    scene.check(path)


def test_a_tail_that_cannot_be_read_back(scene: Scene) -> None:
    """A part whose tail cannot be read fails as a whole: nothing is lost, later it goes on."""
    path = scene.create()
    assert scene.send(path, 0, MIB).status == 204
    rule = scene.proxy.on(Operation.GET, key="/tails/", do=Answer(503, "SlowDown"), times=None)
    assert scene.send(path, MIB, len(WHOLE)).status == 503
    rule.remove()
    scene.resume(path, told=MIB)
    scene.check(path)


@pytest.mark.parametrize("code", ["AccessDenied", "SignatureDoesNotMatch"])
def test_refused_keys_are_a_failure_of_ours(scene: Scene, code: str) -> None:
    """403 of the store is 503 to a client, at once, and nothing is lost."""
    path = scene.create()
    rule = scene.proxy.on(Operation.UPLOAD_PART, part=2, do=Answer(403, code), times=None)
    assert scene.send(path, 0, len(WHOLE)).status == 503
    rule.remove()
    scene.resume(path)
    scene.check(path)


def test_a_store_that_fails_is_never_404(scene: Scene) -> None:
    """Reads, writes, questions and deletions are answered 503, or as if nothing was wrong, while S3 says 503."""
    path, done = scene.create(), scene.create(size=MIB)
    assert scene.send(path, 0, PART).status == 204
    assert scene.send(done, 0, MIB, whole=WHOLE[:MIB]).status == 204
    rule = scene.proxy.on(*Operation, do=Answer(503, "SlowDown"), times=None)
    assert httpx.get(scene.server.url + done).status_code == 503
    assert inspect(scene.server, "tus", done).status == 200
    assert inspect(scene.server, "tus", path).status == 200
    assert scene.send(path, PART, 2 * PART).status == 503
    rule.remove()
    assert httpx.get(scene.server.url + done).content == WHOLE[:MIB]
    scene.resume(path, told=PART)
    scene.check(path)


def test_a_creation_whose_store_fails(scene: Scene) -> None:
    """A creation with all its bytes is refused as a whole: no upload is known, and no object is left."""
    listing = f"{scene.server.url}/api/uploads"
    before = httpx.get(listing).json()
    rule = scene.proxy.on(Operation.PUT, do=ChangeAnswer(503, "SlowDown"), times=None)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(MIB), "Content-Type": "application/offset+octet-stream"}
    assert httpx.post(scene.server.files, headers=headers, content=WHOLE[:MIB], timeout=30).status_code == 503
    rule.remove()
    eventually(lambda: scene.keys() == [])
    assert httpx.get(listing).json() == before


# -- behind our back --------------------------------------------------------------------------------------------------


def abort_of(scene: Scene) -> Callable[[Seen], None]:
    """Abort the multipart upload that a request is about."""

    def abort(seen: Seen) -> None:
        assert seen.upload_id is not None
        scene.abort(seen.key, seen.upload_id)

    return abort


@pytest.mark.parametrize("at", ["part", "complete", "rest"])
def test_a_multipart_upload_that_is_aborted_behind_our_back(scene: Scene, at: str) -> None:
    """Its parts are gone: the offset says so from then on, and the upload can be finished all the same."""
    path = scene.create()
    if at == "rest":
        assert scene.send(path, 0, 3 * PART).status == 204
        (upload,) = scene.open_uploads(path)
        scene.abort(scene.target(path), upload)
        assert scene.send(path, 3 * PART, len(WHOLE)).status == 503
    else:
        which = {"part": 3} if at == "part" else {}
        operation = Operation.UPLOAD_PART if at == "part" else Operation.COMPLETE
        scene.proxy.on(operation, before=abort_of(scene), **which)  # type: ignore[arg-type]
        assert scene.send(path, 0, len(WHOLE)).status == 503
    assert scene.offset(path) == 0
    scene.resume(path)
    scene.check(path)


def test_an_ietf_upload_whose_bytes_are_lost_is_given_up(scene: Scene) -> None:
    """Its protocol forbids an offset to go back (R2): the upload has failed, with a reason, and the next one works."""
    path = scene.create("rufh")
    scene.proxy.on(Operation.UPLOAD_PART, part=3, before=abort_of(scene))
    assert scene.send(path, 0, len(WHOLE), "rufh").status == 503
    answer = inspect(scene.server, "rufh", path)
    assert answer.status == 410
    path = scene.create("rufh")
    scene.resume(path, "rufh")
    scene.check(path)


def test_a_client_that_deletes_while_parts_are_on_their_way(scene: Scene) -> None:
    """What was under way clears up after itself: no object, no tail, no multipart upload."""
    path = scene.create()
    scene.proxy.on(Operation.UPLOAD_PART, part=2, do=Slow(4 * MIB))
    sending = scene.sending(path, 0, len(WHOLE))
    eventually(lambda: any(seen.part == 2 for seen in scene.proxy.log))
    assert delete(scene.server, "tus", path) == 204
    assert sending.result().status in (409, 410, 423, 503)
    eventually(lambda: scene.keys() == [] and scene.open_uploads(path) == [])


@pytest.mark.parametrize("same", [True, False])
def test_a_take_over_while_a_part_is_on_its_way(scene: Scene, same: bool) -> None:
    """A second client goes on at the last committed offset, at once; the first one's part arrives later and does no
    harm, whatever bytes it has."""
    path = scene.create()
    gate = Hold(When.UNFINISHED)
    scene.proxy.on(Operation.UPLOAD_PART, part=2, do=gate)
    with RawClient(scene.server.port) as first:
        first.send(append_head("tus", path, 0, size=len(WHOLE)))
        first.send(WHOLE[:PART] + (WHOLE if same else WHOLE[::-1])[PART : 3 * PART])
        gate.await_reached()
        eventually(lambda: observed(scene.server, path) == PART)
        second = scene.sending(path, PART, len(WHOLE))
        eventually(lambda: any((seen.part or 0) > 3 for seen in scene.proxy.log))  # the second one's are on their way
        gate.release()
        assert second.result(timeout=30).status == 204
    scene.check(path)


# -- MinIO itself -----------------------------------------------------------------------------------------------------


def test_minio_is_gone_for_a_moment(scene: Scene) -> None:
    """Connections are refused for a second: the request waits, and goes on."""
    path = scene.create()
    gate = Hold(When.BEFORE)
    scene.proxy.on(Operation.UPLOAD_PART, part=2, do=gate)
    sending = scene.sending(path, 0, len(WHOLE))
    gate.await_reached()
    scene.proxy.refuse()
    gate.drop()
    time.sleep(1.0)
    assert scene.offset(path) in (0, PART)  # nobody has to wait for an answer about it
    scene.proxy.accept()
    assert sending.result().status == 204
    scene.check(path)


def test_minio_is_gone_for_long(scene: Scene) -> None:
    """Longer than the server's patience: 503 with Retry-After, a true offset, and a later request goes on."""
    path = scene.create()
    assert scene.send(path, 0, 2 * PART).status == 204
    scene.proxy.refuse()
    answer = scene.send(path, 2 * PART, len(WHOLE))
    assert (answer.status, answer.headers.get("retry-after")) == (503, "5")
    assert scene.offset(path) == 2 * PART
    scene.proxy.accept()
    scene.resume(path, told=2 * PART)
    scene.check(path)


def test_minio_is_killed_in_mid_part(minio_program: Path, tmp_path: Path) -> None:
    """It dies with a part half-way, and comes back: the request goes on, or is resumed."""
    folder = tmp_path / "minio"
    folder.mkdir()
    with Minio(folder) as minio:
        minio.client().make_bucket("uploads")
        with Scene(minio, "uploads", tmp_path / "data").played() as scene:
            path = scene.create()
            scene.proxy.on(Operation.UPLOAD_PART, part=3, do=Slow(8 * MIB))
            sending = scene.sending(path, 0, len(WHOLE))
            eventually(lambda: any(seen.part == 3 and seen.sent for seen in scene.proxy.log))
            told = observed(scene.server, path)
            minio.kill()
            minio.start()
            if sending.result().status != 204:
                scene.resume(path, told=told)
            scene.check(path)


def test_the_server_starts_while_minio_is_away(scene: Scene) -> None:
    """It says why it does not start, in words an operator understands; when MinIO is back, so is everything else."""
    path = scene.create()
    assert scene.send(path, 0, PART).status == 204
    scene.server.stop()
    scene.proxy.refuse()
    with pytest.raises(AssertionError, match="no answer"):
        scene.server.start()
    scene.proxy.accept()
    scene.server.start()
    scene.resume(path, told=PART)
    scene.check(path)
    assert id_of(path) in scene.keys()[0]


def test_a_part_that_was_replaced_behind_our_back(scene: Scene) -> None:
    """Somebody sent other bytes under a part's number: Complete refuses, the upload begins again, and the multipart
    upload that is no good any more is aborted."""
    path = scene.create()

    def replace(seen: Seen) -> None:
        assert seen.upload_id is not None
        scene.replace_part(seen.key, seen.upload_id, 2)

    scene.proxy.on(Operation.COMPLETE, before=replace)
    assert scene.send(path, 0, len(WHOLE)).status == 503
    assert scene.offset(path) == 0
    scene.resume(path)
    scene.check(path)
