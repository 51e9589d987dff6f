"""tuspy, the Python client of the tus project, against a real server process."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, ClassVar, Final

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader import uploader as tuspy

from tests.support.process import Server, eventually, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import MIB, content

WHOLE: Final = content(3 * MIB + 77, seed=23)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of these tests."""
    with serving(tmp_path_factory.mktemp("tuspy") / "data") as running:
        yield running


@pytest.fixture
def film(tmp_path: Path) -> str:
    """A file to upload."""
    path = tmp_path / "film.bin"
    path.write_bytes(WHOLE)
    return str(path)


class Files:
    """What tuspy opens. It opens the file anew for each request, and closes none of them."""

    opened: ClassVar[list[IO[bytes]]] = []

    def get_file_stream(self) -> IO[bytes]:
        """As tuspy does it, with a note of it."""
        stream: IO[bytes] = super().get_file_stream()  # type: ignore[misc]
        self.opened.append(stream)
        return stream


class Uploader(Files, tuspy.Uploader):
    """tuspy's own."""


class AsyncUploader(Files, tuspy.AsyncUploader):
    """tuspy's own."""


@pytest.fixture(autouse=True)
def _closed_files() -> Iterator[None]:
    """Close what tuspy opened."""
    yield
    for stream in Files.opened:
        stream.close()
    Files.opened.clear()


def fetched(server: Server, url: str | None) -> bytes:
    """What the server gives back, once the upload is complete."""
    assert url is not None
    answer = httpx.get(server.files + url.rpartition("/")[2])
    assert answer.status_code == 200
    return answer.content


def test_a_file_in_one_request(server: Server, film: str) -> None:
    """Without metadata tuspy sends an empty Upload-Metadata, which is taken for none."""
    client = Uploader(film, client=TusClient(server.files))
    client.upload()
    assert fetched(server, client.url) == WHOLE


def test_a_file_in_chunks_with_metadata(server: Server, film: str) -> None:
    """Each chunk is a PATCH on a connection of its own."""
    client = Uploader(film, chunk_size=MIB, metadata={"filename": "fähre.bin"}, client=TusClient(server.files))
    client.upload()
    assert fetched(server, client.url) == WHOLE
    assert client.url is not None
    identity = client.url.rpartition("/")[2]
    assert httpx.get(f"{server.url}/api/uploads/{identity}").json()["filename"] == "fähre.bin"


def test_a_checksum_in_every_chunk(server: Server, film: str) -> None:
    """SHA-1 is the only algorithm that tuspy has."""
    client = Uploader(film, chunk_size=MIB, upload_checksum=True, client=TusClient(server.files))
    client.upload()
    assert fetched(server, client.url) == WHOLE


def test_a_new_uploader_goes_on_with_a_stored_url(server: Server, film: str, tmp_path: Path) -> None:
    """The second uploader knows the file, finds the URL, asks for the offset and sends the rest."""
    urls = FileStorage(str(tmp_path / "urls.json"))  # type: ignore[no-untyped-call]
    client = TusClient(server.files)
    first = Uploader(film, client=client, chunk_size=MIB, store_url=True, url_storage=urls)
    first.upload(stop_at=2 * MIB)
    second = Uploader(film, client=client, chunk_size=MIB, store_url=True, url_storage=urls)
    assert (second.url, second.offset) == (first.url, 2 * MIB)
    second.upload()
    urls.close()  # type: ignore[no-untyped-call]
    assert fetched(server, second.url) == WHOLE


@pytest.mark.parametrize("cut", Cut)
def test_a_cut_costs_a_retry(server: Server, film: str, cut: Cut) -> None:
    """After a cut tuspy asks for the offset and goes on from there."""
    with Proxy(server.port) as proxy:
        proxy.at(MIB, cut)
        proxy.at(2 * MIB, cut)
        client = Uploader(film, retries=5, retry_delay=0, client=TusClient(proxy.files))
        client.upload()
    assert proxy.carried_out == 2
    assert fetched(server, client.url) == WHOLE


def test_a_killed_server_costs_a_retry(film: str, tmp_path: Path) -> None:
    """kill -9 in the middle of a chunk: the restarted server tells what it has, and the rest completes the file."""
    with serving(tmp_path / "data") as server, Proxy(server.port) as proxy:
        proxy.at(2 * MIB, server.crash)
        client = Uploader(film, client=TusClient(proxy.files))
        with pytest.raises(TusUploadFailed):
            client.upload()
        eventually(lambda: proxy.carried_out == 1)
        client.offset = client.get_offset()
        client.upload()
        assert fetched(server, client.url) == WHOLE


async def test_the_asynchronous_uploader(server: Server, film: str) -> None:
    """The same over aiohttp."""
    client = AsyncUploader(film, client=TusClient(server.files), chunk_size=MIB, upload_checksum=True)  # type: ignore[no-untyped-call]
    await client.upload()
    assert fetched(server, client.url) == WHOLE


def test_an_empty_file(server: Server, tmp_path: Path) -> None:
    """The creation completes it."""
    (tmp_path / "empty.bin").touch()
    client = Uploader(str(tmp_path / "empty.bin"), client=TusClient(server.files))
    client.upload()
    assert fetched(server, client.url) == b""


def test_a_refusal_comes_with_its_words(film: str, tmp_path: Path) -> None:
    """What tuspy raises carries the problem document."""
    with serving(tmp_path / "data", "--max-size", "1MiB") as server:
        client = Uploader(film, client=TusClient(server.files))
        with pytest.raises(TusCommunicationError) as refused:
            client.upload()
    assert refused.value.status_code == 413
    assert str(MIB).encode() in refused.value.response_content
