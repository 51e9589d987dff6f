"""The commands beside a real server on a real MinIO, and on what its kill leaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman_cli import main
from tests.minio import Minio
from tests.s3.scene import MIB, WHOLE, Scene
from tests.support.uploading import id_of


@pytest.fixture
def scene(minio: Minio, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A server, and an environment in which commands find what it works on."""
    with Scene(minio, bucket, tmp_path / "data").played() as played:
        for name, value in {
            "FERRYMAN_DATA": str(tmp_path / "data"),
            "FERRYMAN_STORE": f"s3://{bucket}/library",
            "FERRYMAN_S3_ENDPOINT": minio.endpoint,
            "AWS_ACCESS_KEY_ID": minio.access_key,
            "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        }.items():
            monkeypatch.setenv(name, value)
        yield played


def test_looking_disturbs_nobody(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A complete upload and a half one: every command that looks is content, and the half one goes on."""
    complete, half = scene.create(), scene.create()
    scene.send(complete, 0, len(WHOLE))
    scene.send(half, 0, 12 * MIB)
    port = scene.server.url.rpartition(":")[2].strip("/")
    assert main(["status", "--port", port]) == 0
    assert main(["gc", "--dry-run"]) == 0
    assert main(["gc"]) == 2
    assert main(["ls"]) == 0
    main(["doctor", "--port", port, "--verify"])
    said = capsys.readouterr()
    assert f"running, process {scene.server.pid}, ready" in said.out
    assert "58.7 MB complete, 12.6 MB unfinished, by the database" in said.out
    assert "There is nothing to clear away." in said.out
    assert f"a server (process {scene.server.pid}) uses " in said.err
    assert "read back 1 complete uploads, 58.7 MB: every length and CRC64/NVME is right" in said.out
    scene.resume(half, told=12 * MIB)
    scene.check(half)


def test_gc_after_a_kill_takes_nothing_that_was_told(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """What was confirmed is there when the server comes back, and the upload is finished with it."""
    path = scene.create()
    scene.send(path, 0, 12 * MIB)
    scene.sending(path, 12 * MIB, len(WHOLE))
    scene.server.kill()
    assert main(["gc"]) == 0
    assert id_of(path) not in capsys.readouterr().out
    scene.server.start()
    scene.resume(path, told=12 * MIB)
    scene.check(path)
    scene.server.kill()
    main(["doctor", "--verify", "--port", "0"])
    assert "read back 1 complete uploads" in capsys.readouterr().out
