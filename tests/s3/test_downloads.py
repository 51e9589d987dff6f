"""Downloads from a bucket: through the server, or by a link that leads to MinIO itself."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.minio import Minio
from tests.s3.scene import MIB, WHOLE, Scene
from tests.support.raw_http import RawClient, head
from tests.support.uploading import TUS

NAME = "Film \u00fcber Nacht.mp4"
METADATA = "Upload-Metadata: filename RmlsbSDDvGJlciBOYWNodC5tcDQ=,filetype dmlkZW8vbXA0"


@pytest.fixture
def redirecting(minio: Minio, bucket: str, tmp_path: Path) -> Iterator[Scene]:
    """A server that sends clients to the bucket for the bytes, past the proxy."""
    flags = ("--s3-downloads", "redirect", "--s3-public-endpoint", minio.endpoint)
    with Scene(minio, bucket, tmp_path / "data", *flags).played() as played:
        yield played


def finished(scene: Scene, size: int = MIB) -> str:
    """An upload with a name and a type; its path."""
    with RawClient(scene.server.port) as client:
        client.send(head("POST", "/files/", TUS, f"Upload-Length: {size}", METADATA, "Content-Length: 0"))
        path = client.responses()[-1].headers["location"]
    if size:
        assert scene.send(path, 0, size, whole=WHOLE[:size]).status == 204
    return path


def test_a_link_leads_to_the_bucket(redirecting: Scene) -> None:
    """307 with a signed URL, that needs no keys; the bytes come from MinIO, as an attachment with its name and type."""
    path = finished(redirecting)
    answer = httpx.get(redirecting.server.url + path)
    assert answer.status_code == 307
    assert urlsplit(answer.headers["location"]).netloc == urlsplit(redirecting.minio.endpoint).netloc
    got = httpx.get(answer.headers["location"])
    assert got.content == WHOLE[:MIB]
    assert got.headers["content-type"] == "video/mp4"
    assert got.headers["content-disposition"].startswith("attachment; filename=")


def test_ranges_and_questions_work_with_links(redirecting: Scene) -> None:
    """A client that follows takes its Range along; HEAD and conditions are answered by the server."""
    path = finished(redirecting)
    url = redirecting.server.url + path
    part = httpx.get(url, headers={"Range": "bytes=5-9"}, follow_redirects=True)
    assert (part.status_code, part.content) == (206, WHOLE[5:10])
    known = httpx.head(url)
    assert (known.status_code, known.headers["content-length"]) == (200, str(MIB))
    assert httpx.get(url, headers={"If-None-Match": known.headers["etag"]}).status_code == 304
    assert httpx.get(url, headers={"Range": f"bytes={MIB}-"}).status_code == 416
    empty = finished(redirecting, 0)
    assert httpx.get(redirecting.server.url + empty).content == b""


def test_a_link_that_was_changed_is_refused(redirecting: Scene) -> None:
    """It is good for this object alone."""
    location = httpx.get(redirecting.server.url + finished(redirecting)).headers["location"]
    assert httpx.get(location.replace("/library/", "/library/x")).status_code == 403


def test_by_default_the_server_reads_for_the_client(minio: Minio, bucket: str, tmp_path: Path) -> None:
    """Nobody needs to reach MinIO but the server."""
    with Scene(minio, bucket, tmp_path / "data").played() as scene:
        answer = httpx.get(scene.server.url + finished(scene))
        assert (answer.status_code, answer.content) == (200, WHOLE[:MIB])
