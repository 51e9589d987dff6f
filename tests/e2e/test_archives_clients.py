"""Archives of every tool, brought by real clients over a network that breaks to a server that is killed: the frames are
those of the films, byte for byte, in local files and in MinIO."""

from collections.abc import Iterator, Mapping
from itertools import cycle, product
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.minio import Minio
from tests.support.archive_clients import CLIENTS
from tests.support.buckets import fresh_bucket
from tests.support.process import Server, eventually, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import assert_whole, id_of
from tests.zips.film import film_of, frames_folder
from tests.zips.producers import PRODUCERS, archive

STORES: Final = ("local", "minio")
PAIRS: Final = tuple(product(CLIENTS, STORES))
# Each archive takes one turn. A browser takes its time for each, so it has a third of the others' turns.
TURNS: Final = PAIRS + 2 * tuple(pair for pair in PAIRS if "Chromium" not in pair[0])
SHARES: Final = {
    pair: [producer for producer, turn in zip(PRODUCERS, cycle(TURNS), strict=False) if turn == pair] for pair in PAIRS
}
# Of the other film's archives, the larger ones, each client brings one.
OF_TREE: Final = (
    ("tus-js-client", "minio", "zip-0"),
    ("tus-js-client in Chromium", "local", "python-store"),
    ("tuspy", "local", "bsdtar"),
    ("curl", "minio", "fflate-deflate-6"),
    ("httpx", "minio", "client-zip-stream"),
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, minio: Minio) -> Iterator[Mapping[str, Server]]:
    """A server on local files and one on a bucket, each on behalf of all clients."""
    folder = tmp_path_factory.mktemp("archives")
    keys = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
    place = ("--store", f"s3://{fresh_bucket(minio)}/media", "--s3-endpoint", minio.endpoint)
    with serving(folder / "local") as local, serving(folder / "minio", *place, env=keys) as bucket:
        yield {"local": local, "minio": bucket}


def brought(server: Server, client: str, file: Path, name: str, *, killed: bool) -> str:
    """Let a client upload a file, and break it twice on the way; the path of the upload.

    `killed`: the second break is a kill -9 of the server, which starts again.
    """
    size = file.stat().st_size
    with Proxy(server.port) as proxy:
        proxy.at(size // 3, Cut.RESET)
        proxy.at(size * 2 // 3, server.crash if killed else Cut.FIN)
        path = CLIENTS[client](proxy, file, name)
        assert proxy.carried_out == 2
    assert_whole(server, path, file.read_bytes())
    return path


def listed(server: Server, path: str, expected: int) -> list[dict[str, Any]]:
    """The frames that the server tells of an upload, once it is a medium; one more than expected would show."""
    url = f"{server.url}/api/uploads/{id_of(path)}/frames?limit={expected + 1}"
    eventually(lambda: httpx.get(url).json()["phase"] == "ready")
    return list(httpx.get(url).json()["frames"])


def shown(server: Server, path: str, suffix: str, expected: int) -> list[bytes]:
    """So many frames of the medium that an upload has become, as it lies in the archive."""
    slug = httpx.get(f"{server.url}/api/uploads/{id_of(path)}").json()["processing"]["slug"]
    with httpx.Client(base_url=server.url) as client:
        answers = [client.get(f"/media/{slug}/frames/{n}.{suffix}") for n in range(expected)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.content for answer in answers]


def film(kind: str) -> dict[str, bytes]:
    """The files of the frames, in order, by their names."""
    files = sorted(frames_folder(kind).glob("frames/*"))
    assert len(files) == film_of(kind).frames
    return {f"frames/{path.name}": path.read_bytes() for path in files}


def assert_film(server: Server, path: str, kind: str, suffix: str) -> None:
    """What an upload has become is the film, frame by frame, whoever packed it."""
    frames = film(kind)
    told = [(each["n"], each["name"].removeprefix("./"), each["size"]) for each in listed(server, path, len(frames))]
    assert told == [(n, name, len(content)) for n, (name, content) in enumerate(frames.items())]
    assert shown(server, path, suffix, len(frames)) == list(frames.values())


@pytest.mark.parametrize(("client", "store"), PAIRS)
def test_every_tools_archive_arrives_with_all_its_frames(
    servers: Mapping[str, Server], client: str, store: str
) -> None:
    """A client loses its connection twice on the way of each archive, and once the server; no frame differs."""
    for place, producer in enumerate(SHARES[client, store]):
        path = brought(servers[store], client, archive(producer), f"{client} {producer}.zip", killed=place == 0)
        assert_film(servers[store], path, "rgb565", "raw")


@pytest.mark.parametrize(("client", "store"), tuple(zip(CLIENTS, cycle(STORES), strict=False)))
def test_pictures_arrive_as_they_were_packed(servers: Mapping[str, Server], client: str, store: str) -> None:
    """An archive of nothing but pictures is a film too, and each of its frames the file that was packed."""
    producer = SHARES[client, store][1]
    path = brought(servers[store], client, archive(producer, "png"), f"{client} pictures.zip", killed=False)
    assert_film(servers[store], path, "png", "png")


@pytest.mark.parametrize(("client", "store", "producer"), OF_TREE)
def test_what_a_camera_took_arrives_with_all_its_frames(
    servers: Mapping[str, Server], client: str, store: str, producer: str
) -> None:
    """Larger frames do as well, whoever packed and brought them; the second break is the server's end each time."""
    path = brought(servers[store], client, archive(producer, "rgb565-tree"), f"{client} tree.zip", killed=True)
    assert_film(servers[store], path, "rgb565-tree", "raw")
