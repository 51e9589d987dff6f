"""Real archives, uploaded to a real server in pieces that break off, with the server killed in between: the frames
are there with the last byte, in local files and in MinIO. What each tool packs, test_archives_clients.py uploads."""

import hashlib
import json
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.minio import Minio
from tests.support.archive import FRAMES as FILM_FRAMES
from tests.support.archive import HEIGHT, WIDTH, frames_archive
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient
from tests.support.uploading import MIB, append_head, create
from tests.zips.film import FRAMES
from tests.zips.producers import archive

FRAME: Final = WIDTH * HEIGHT * 2  # bytes of the film's


def named(name: str, **more: str) -> str:
    """The field that names an upload's file."""
    pairs = {"filename": name, **more}.items()
    return "Upload-Metadata: " + ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs)


def stores(folder: Path, minio: Minio, bucket: str, kind: str) -> Iterator[Server]:
    """A server on local files, or on a bucket."""
    if kind == "local":
        with serving(folder / "data") as server:
            yield server
        return
    keys = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
    place = ("--store", f"s3://{bucket}/media", "--s3-endpoint", minio.endpoint)
    with serving(folder / "data", *place, env=keys) as server:
        yield server


@pytest.fixture(params=["local", "minio"])
def server(request: pytest.FixtureRequest, tmp_path: Path, minio: Minio, bucket: str) -> Iterator[Server]:
    """A server of its own for each test: some kill it."""
    yield from stores(tmp_path, minio, bucket, request.param)


def uploads_frames(server: Server, path: str) -> dict[str, Any]:
    """What the server says of the frames of an upload."""
    answer = httpx.get(f"{server.url}/api/uploads/{path.rpartition('/')[2]}/frames")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ready(server: Server, path: str) -> dict[str, Any]:
    """The medium that an upload has become."""
    eventually(lambda: uploads_frames(server, path)["phase"] == "ready")
    (medium,) = (
        medium
        for medium in httpx.get(f"{server.url}/api/media").json()["media"]
        if medium["upload"] == path.rpartition("/")[2]
    )
    return dict(medium)


def frame(server: Server, medium: dict[str, Any], n: int) -> bytes:
    """A frame's own bytes."""
    answer = httpx.get(f"{server.url}{medium['url']}/frames/{n}.raw")
    assert answer.status_code == 200, answer.text
    return answer.content


def put(server: Server, path: str, offset: int, body: bytes, *, cut: bool = False) -> None:
    """A PATCH; `cut`: that breaks off in its middle, when all it brought has arrived."""
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, offset, size=len(body) + cut))
        client.send(body)
        if not cut:
            assert client.responses()[-1].status == 204


def offset_of(server: Server, path: str) -> int:
    """How far an upload is."""
    answer = httpx.head(server.url + path, headers={"Tus-Resumable": "1.0.0"})
    return int(answer.headers["upload-offset"])


def test_frames_are_seen_before_the_last_byte(server: Server) -> None:
    """With the first part of an archive come its first frames, small pictures too; with its last byte all of them."""
    data = frames_archive().read_bytes()
    path = create(server, "tus", named("film.zip"), "Content-Length: 0", length=len(data))
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=len(data)))
        client.send(data[: 12 * MIB])
        eventually(lambda: uploads_frames(server, path)["count"] > 5)
        seen = uploads_frames(server, path)
        assert seen["provisional"]
        assert seen["count"] < FILM_FRAMES
        eventually(lambda: any(each["thumb"] for each in uploads_frames(server, path)["frames"]))
        thumb = next(each["thumb"] for each in uploads_frames(server, path)["frames"] if each["thumb"])
        assert httpx.get(server.url + thumb).content.startswith(b"\xff\xd8\xff")
        client.send(data[12 * MIB :])
        assert client.responses()[-1].status == 204
    medium = ready(server, path)
    assert medium["frames"] == FILM_FRAMES
    with zipfile.ZipFile(frames_archive()) as plain:
        names = sorted(name for name in plain.namelist() if name.startswith("frames/"))
        for n in (0, 7, FILM_FRAMES - 1):
            assert frame(server, medium, n) == plain.read(names[n])
        answer = httpx.get(f"{server.url}{medium['url']}/frames/10-29.raw")
        assert answer.content == b"".join(plain.read(name) for name in names[10:30])


def test_cuts_and_kills_lose_no_frame(server: Server) -> None:
    """An upload that breaks off and whose server is killed, again and again, ends with the same frames."""
    data = frames_archive().read_bytes()
    path = create(server, "tus", named("film.zip"), "Content-Length: 0", length=len(data))
    for step in range(1, 6):
        offset = offset_of(server, path)
        put(server, path, offset, data[offset : max(offset + 1, step * len(data) // 7)], cut=True)
        server.crash()
    offset = offset_of(server, path)
    put(server, path, offset, data[offset:])
    medium = ready(server, path)
    whole = hashlib.sha256()
    for start in range(0, FILM_FRAMES, 50):
        whole.update(httpx.get(f"{server.url}{medium['url']}/frames/{start}-{start + 49}.raw").content)
    with zipfile.ZipFile(frames_archive()) as plain:
        names = sorted(name for name in plain.namelist() if name.startswith("frames/"))
        assert whole.digest() == hashlib.sha256(b"".join(plain.read(name) for name in names)).digest()


def test_a_kill_behind_the_last_byte_loses_no_medium(server: Server) -> None:
    """A server that is killed when it has told that an upload is complete publishes it at its next start."""
    data = archive("python-deflate").read_bytes()
    path = create(server, "tus", named("film.zip"), "Content-Length: 0", length=len(data))
    put(server, path, 0, data)
    server.crash()
    assert ready(server, path)["frames"] == FRAMES


def test_a_bad_archive_says_why(server: Server) -> None:
    """What is wrong with an archive of frames can be read where its upload can."""
    said = json.dumps({"width": 8, "height": 8, "format": "rgb565le", "fps": 5})
    target = server.data.parent / "bad.zip"
    with zipfile.ZipFile(target, "w") as bad:
        bad.writestr("metadata.json", said)
        bad.writestr("frames/1.rgb", bytes(128))
        bad.writestr("frames/2.rgb", bytes(127))
    data = target.read_bytes()
    path = create(server, "tus", named("bad.zip"), "Content-Length: 0", length=len(data))
    put(server, path, 0, data)
    eventually(lambda: uploads_frames(server, path)["phase"] == "failed")
    reason = uploads_frames(server, path)["reason"]
    assert [word for word in ("frames/2.rgb", "127", "128") if word not in reason] == []
    assert httpx.get(server.url + path).content == data
