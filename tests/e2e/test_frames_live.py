"""Frames from a real server: a film uploaded as an archive, taken out of it again frame by frame, in rows and as
pictures, by many at once, by some who leave, after a restart, and from a bucket."""

import gzip
import io
import json
import socket
import struct
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from PIL import Image

from tests.minio import Minio
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.support.archive import FRAMES, HEIGHT, WIDTH, frames_archive
from tests.support.probing import unharmed
from tests.support.process import Server, eventually, serving

INTEROP: Final = {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?1"}
CHROME: Final = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SIZE: Final = WIDTH * HEIGHT * 2  # bytes of a frame


@dataclass(frozen=True)
class Film:
    """A medium on the server, and the archive that it was uploaded as."""

    server: Server
    told: dict[str, Any]  # by the JSON API
    archive: Path

    def url(self, n: int | str = 0, kind: str = "frame") -> str:
        """The URL of a frame or a small picture, as the JSON API tells it."""
        template: str = self.told[f"{kind}_url"]
        return self.server.url + template.replace("{n}", str(n))

    def own(self, name: str) -> str:
        """A URL below the medium's own, without a generation."""
        return f"{self.server.url}{self.told['url']}/{name}"

    def contents(self) -> list[bytes]:
        """What Python reads from the archive."""
        with zipfile.ZipFile(self.archive) as files:
            return [files.read(name) for name in sorted(files.namelist()) if name.startswith("frames/")]


def uploaded(server: Server, archive: Path, name: str) -> Film:
    """Upload it by plain HTTP, and wait until it is a medium."""
    fields = {**INTEROP, "Content-Disposition": f'attachment; filename="{name}"', "Content-Type": "application/zip"}
    created = httpx.post(server.files, content=archive.read_bytes(), headers=fields, timeout=60)
    assert created.is_success, created.text
    upload = created.headers["location"].rpartition("/")[2]
    found: list[dict[str, Any]] = []

    def listed() -> bool:
        media = httpx.get(f"{server.url}/api/media?limit=100").json()["media"]
        found.extend(medium for medium in media if medium["upload"] == upload)
        return bool(found)

    eventually(listed, timeout=30)
    return Film(server, found[0], archive)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of it, which must have come to no harm at the end."""
    with serving(tmp_path_factory.mktemp("frames") / "data", "--log-format", "json") as running, unharmed(running):
        yield running


@pytest.fixture(scope="module")
def stored(server: Server) -> Film:
    """200 frames of 115,200 bytes, stored."""
    return uploaded(server, frames_archive(), "stored.zip")


@pytest.fixture(scope="module")
def deflated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Film:
    """40 of them, deflated, with the metadata last."""
    target = tmp_path_factory.mktemp("archives") / "deflated.zip"
    with zipfile.ZipFile(frames_archive()) as files, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name in sorted(files.namelist())[:40]:
            out.writestr(name, files.read(name))
        said = json.loads(files.read("metadata.json")) | {"frames": 40}
        out.writestr("metadata.json", json.dumps(said))
    return uploaded(server, target, "deflated.zip")


@pytest.fixture(params=["stored", "deflated"])
def film(request: pytest.FixtureRequest) -> Film:
    """Each of them."""
    made: Film = request.getfixturevalue(request.param)
    return made


def test_every_frame_is_what_was_packed(film: Film) -> None:
    """By the URLs that the server tells, from a client that takes gzip; they may be kept for ever."""
    contents = film.contents()
    assert len(contents) == film.told["frames"]
    with httpx.Client() as client:
        for n, content in enumerate(contents):
            answer = client.get(film.url(n))
            assert (answer.status_code, answer.content == content) == (200, True), n
            assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_a_deflated_frame_costs_what_it_is_packed(deflated: Film) -> None:
    """What goes over the wire is gzip: what the entry takes in the archive, and 18 bytes around it."""
    content = deflated.contents()[20]
    with httpx.stream("GET", deflated.own("frames/20"), headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    with zipfile.ZipFile(deflated.archive) as files:
        packed = files.getinfo(sorted(files.namelist())[20]).compress_size
    assert (answer.headers["content-encoding"], len(raw)) == ("gzip", packed + 18)
    assert gzip.decompress(raw) == content


def test_rows_of_frames(film: Film) -> None:
    """A player takes many frames at once; what was broken off is gone on with."""
    contents = film.contents()
    row = b"".join(contents[3:38])
    answer = httpx.get(film.own("frames/3-37.raw"))
    assert (answer.status_code, answer.content == row) == (200, True)
    rest = httpx.get(film.own("frames/3-37.raw"), headers={"Range": f"bytes={5 * SIZE + 7}-"})
    assert (rest.status_code, rest.content == row[5 * SIZE + 7 :]) == (206, True)


def test_a_browser_is_shown_pictures(film: Film) -> None:
    """What it asks for as an image comes as one, by the same URL; and by suffix in each format."""
    shown = httpx.get(film.url(7), headers={"Accept": CHROME})
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert shown.headers["content-disposition"].startswith("inline")
    assert "Accept" in shown.headers["vary"]
    for suffix, name in (("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("bmp", "BMP")):
        answer = httpx.get(film.own(f"frames/7.{suffix}"))
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (picture.format, picture.size) == (name, (WIDTH, HEIGHT))
    small = httpx.get(film.url(7, "thumb"))
    with Image.open(io.BytesIO(small.content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (160, 90))


def test_many_at_once(stored: Film) -> None:
    """Eight clients, each through all frames in its own order, raw, as pictures and small."""
    contents = stored.contents()

    def look(client_number: int) -> list[str]:
        wrong = []
        with httpx.Client(timeout=60) as client:
            for step in range(40):
                n = (step * 37 + client_number * 11) % FRAMES
                if client.get(stored.own(f"frames/{n}.raw")).content != contents[n]:
                    wrong.append(f"{n}.raw")
                if not client.get(stored.own(f"frames/{n}.bmp")).content.endswith(contents[n]):
                    wrong.append(f"{n}.bmp")
                if step % 8 == 0 and client.get(stored.url(n, "thumb")).content[:2] != b"\xff\xd8":
                    wrong.append(f"{n} small")
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert [wrong for each in pool.map(look, range(8)) for wrong in each] == []


def test_people_who_leave_leave_nothing_behind(stored: Film) -> None:
    """Resets in the middle of rows and before pictures are made: the server goes on, and (its fixture looks) holds no
    file open and has not grown."""
    names = ["frames/0-199.raw", "frames/9.webp", "frames/9.raw", "thumbs/3.jpg?size=320"]

    def leave(name: str) -> None:
        request = f"GET {stored.told['url']}/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with socket.create_connection(("127.0.0.1", stored.server.port)) as leaver:
            leaver.sendall(request.encode())
            if name.startswith("frames/0-"):
                leaver.recv(1000)
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    threads = [threading.Thread(target=leave, args=(name,)) for name in names * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert httpx.get(stored.own("frames/10.raw")).content == stored.contents()[10]


def test_after_a_restart_all_of_it_is_there(tmp_path: Path) -> None:
    """The index is in the database: frames come at once, with the same tags under the same URLs."""
    with serving(tmp_path / "data") as server:
        film = uploaded(server, frames_archive(), "film.zip")
        before = httpx.get(film.url(5))
        server.crash()
        after = httpx.get(film.url(5), headers={"If-None-Match": '"other"'})
        assert (after.status_code, after.content == before.content) == (200, True)
        assert after.headers["etag"] == before.headers["etag"]
        assert httpx.get(film.url(5), headers={"If-None-Match": before.headers["etag"]}).status_code == 304


def test_a_film_that_is_uploaded_anew_is_shown_at_once(tmp_path: Path) -> None:
    """The URL without a generation has the new frames; who has the old URL goes on with the old ones."""
    shorter = tmp_path / "shorter.zip"
    with zipfile.ZipFile(frames_archive()) as files, zipfile.ZipFile(shorter, "w") as out:
        for name in sorted(files.namelist())[5:15]:
            out.writestr(name, files.read(name))
        out.writestr("metadata.json", json.dumps(json.loads(files.read("metadata.json")) | {"frames": 10}))
    with serving(tmp_path / "data") as server:
        first = uploaded(server, frames_archive(), "film.zip")
        old = httpx.get(first.url(3)).content
        second = uploaded(server, shorter, "film.zip")
        assert second.told["slug"] == first.told["slug"]
        assert httpx.get(first.own("frames/3")).content == second.contents()[3] != old
        assert httpx.get(first.url(3)).content == old
        assert httpx.get(first.own("frames/10")).status_code == 404
        assert httpx.get(first.url(10)).status_code == 200


def test_the_filmstrip_of_a_running_upload(server: Server) -> None:
    """While the last bytes are still to come, small pictures of the first frames are to be had."""
    data = frames_archive().read_bytes()
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data)), "Upload-Metadata": "filename cnVubmluZy56aXA="}
    location = httpx.post(server.files, headers=tus).headers["location"]
    url = httpx.URL(server.files).join(location)
    content = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    half = httpx.patch(url, content=data[: len(data) // 2], headers=content, timeout=60)
    assert half.status_code == 204
    thumbs = f"{server.url}/api/uploads/{location.rpartition('/')[2]}/thumbs"
    eventually(lambda: httpx.get(f"{thumbs}/1.jpg").status_code == 200)  # 0 is the metadata.json
    with Image.open(io.BytesIO(httpx.get(f"{thumbs}/1.jpg").content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (160, 90))
    assert httpx.get(f"{thumbs}/0.jpg").status_code == 404
    assert httpx.delete(url, headers={"Tus-Resumable": "1.0.0"}).status_code == 204


def test_a_row_from_a_bucket_is_one_request(tmp_path: Path, minio: Minio, bucket: str) -> None:
    """From MinIO, frames behind each other are one GET, and a single one is one too; no byte is read twice."""
    with FaultProxy(minio.endpoint) as proxy:
        keys = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
        place = ("--store", f"s3://{bucket}/media", "--s3-endpoint", proxy.endpoint)
        with serving(tmp_path / "data", *place, env=keys) as server:
            film = uploaded(server, frames_archive(), "film.zip")
            contents = film.contents()
            for name, wanted in (
                ("frames/20-119.raw", b"".join(contents[20:120])),
                ("frames/33", contents[33]),
                ("frames/34.bmp", None),
            ):
                proxy.clear()
                answer = httpx.get(film.own(name), timeout=60)
                assert answer.status_code == 200
                assert wanted is None or answer.content == wanted
                assert proxy.log.counts() == {Operation.GET: 1}
