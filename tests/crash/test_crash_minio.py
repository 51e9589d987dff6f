"""The crash machine with a MinIO as the server's store: the same promises, and MinIO that dies, refuses, forgets to
answer, and gets late what a killed server had sent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_signing import Keys
from ferryman_server.storage.s3_sums import summed
from tests.crash.in_minio import BUCKET, PREFIX, InMinio
from tests.crash.ledger import Broken
from tests.crash.machine import run
from tests.crash.scene import Scene
from tests.crash.schedule import WEIGHTS, Kind, Plan, Step, draw
from tests.support.uploading import id_of

SEED = 145  # requests arrive after the death of their server, MinIO refuses, MinIO is away, an upload is taken over
STEPS = 4
CLIENTS = 3

pytestmark = pytest.mark.usefixtures("minio_program")


def test_no_promise_is_broken_in_a_bucket(tmp_path: Path) -> None:
    """Nothing that was told is lost, no byte is wrong, no request breaks by itself, and nothing is left in MinIO."""
    figures = run(draw(SEED, STEPS, clients=CLIENTS, into="minio"), tmp_path)
    assert figures.counts["downloads"]
    assert figures.counts["store faults"]


def kills(number: int) -> Plan:
    """A plan that only kills the server."""
    step = Step(kind=Kind.KILL, after=0.8, lasts=0.0)
    flags = ("--s3-patience", "1s", "--log-format", "json")
    return Plan(seed=number, clients=2, flags=flags, small_disk=None, steps=(step,) * number, into="minio")


def client_of(scene: Scene) -> S3Client:
    """A client behind the server's back."""
    assert isinstance(scene.place, InMinio)
    minio = scene.place.minio
    return S3Client(minio.endpoint, BUCKET, Keys(access=minio.access_key, secret=minio.secret_key), "us-east-1")


def change_finished_object(scene: Scene) -> None:
    """Put other bytes in the place of one that was found right."""
    client = client_of(scene)
    done = {id_of(upload.path or "") for upload in scene.ledger.uploads if upload.digest and not upload.deleting}
    for listed in list(s3_calls.walk(client, f"{PREFIX}/")):
        if listed.size and done & set(listed.key.split("/")):
            other = bytes(listed.size)
            found = s3_calls.head(client, listed.key)
            assert found is not None
            s3_calls.put(client, listed.key, other, len(other), summed([other]), {}, replaces=found.etag)
    client.close()


def leave_rubbish(scene: Scene) -> None:
    """Begin a multipart upload and put an object, of neither of which a row speaks."""
    client = client_of(scene)
    s3_calls.begin(client, f"{PREFIX}/2026-01-01/{'a' * 26}/upload", {})
    s3_calls.put(client, f"{PREFIX}/.ferryman/draft", b"?", 1, summed([b"?"]), {})
    client.close()


SPOILT: dict[Callable[[Scene], None], tuple[int, str]] = {  # how many kills it may take, and what is found
    change_finished_object: (40, "differs from an earlier one|bytes .* are not right"),
    leave_rubbish: (1, "left over after the reaper.*multipart.*draft"),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_the_machine_finds_what_was_spoilt_in_a_bucket(spoil: Callable[[Scene], None], tmp_path: Path) -> None:
    """Checks that find nothing prove nothing: each kind of damage done behind the server's back ends the run."""
    most, found = SPOILT[spoil]
    with pytest.raises(Broken, match=found):
        run(kills(most), tmp_path, meddle=spoil)


def test_what_is_about_a_disk_stays_out_of_a_bucket() -> None:
    """A long schedule meets every kind of step that a bucket knows, and no other."""
    assert {step.kind for step in draw(3, 300, into="minio").steps} == set(WEIGHTS["minio"])
    assert draw(3, 5, can_mount=True, into="minio").small_disk is None
