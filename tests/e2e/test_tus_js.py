"""tus-js-client, in Node, against a real server process: everything it can do, and what a broken network does to it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import pytest

from tests.support.node import run_node
from tests.support.process import Server, eventually, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import MIB, content

SIZE: Final = 6 * MIB + 4_321  # bytes
DELAYS: Final = [0, 100, 200, 400, 800]  # milliseconds
DRAFTS: Final = ("ietf-draft-03", "ietf-draft-05")
PROTOCOLS: Final = ("tus-v1", *DRAFTS)

Task: TypeAlias = dict[str, Any]  # see node/upload.mjs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of these tests."""
    with serving(tmp_path_factory.mktemp("tus-js") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to upload."""
    path = tmp_path_factory.mktemp("films") / "film.bin"
    path.write_bytes(content(SIZE, seed=7))
    return path


def upload(film: Path, endpoint: str, *, task: Task | None = None, **options: Any) -> Any:
    """Run tus-js-client to the end of its upload, whatever that is.

    In the IETF protocol it gets the file as a buffer: of a file on disk tus-js-client 4.3.1 says `Upload-Complete: ?0`
    in every request that does not carry the whole file, so it never completes what it resumes or sends in chunks.
    """
    source = "file" if options.get("protocol", "tus-v1") == "tus-v1" else "buffer"
    every = {"endpoint": endpoint, "metadata": {"filename": film.name}, **options}
    return run_node("upload.mjs", {"file": str(film), "source": source, **(task or {}), "options": every})


def assert_arrived(server: Server, result: Any, film: Path) -> httpx.Response:
    """The client succeeded, and the server gives the file back; a concatenation takes its time after its 201."""
    assert result["outcome"] == "success", result
    url = server.files + result["url"].rpartition("/")[2]
    eventually(lambda: httpx.head(url).status_code != 503)
    answer = httpx.get(url)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == hashlib.sha256(film.read_bytes()).hexdigest()
    return answer


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_in_one_request(server: Server, film: Path, protocol: str) -> None:
    """By default everything goes in one PATCH; the client speaks tus and two drafts of the IETF protocol."""
    result = upload(film, server.files, protocol=protocol)
    assert_arrived(server, result, film)
    assert [request.split()[0] for request in result["requests"]] == ["POST", "PATCH"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_in_chunks(server: Server, film: Path, protocol: str) -> None:
    """Each chunk is a PATCH of its own, which goes on where the one before ended."""
    result = upload(film, server.files, protocol=protocol, chunkSize=2 * MIB)
    assert_arrived(server, result, film)
    assert [request.split()[0] for request in result["requests"]] == ["POST", *["PATCH"] * 4]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_three_cuts_cost_nothing_but_retries(server: Server, film: Path, protocol: str) -> None:
    """Reset, FIN, reset: after each the client asks for the offset and sends the rest."""
    with Proxy(server.port) as proxy:
        for position, cut in ((MIB, Cut.RESET), (3 * MIB, Cut.FIN), (5 * MIB, Cut.RESET)):
            proxy.at(position, cut)
        result = upload(film, proxy.files, protocol=protocol, retryDelays=DELAYS)
    assert_arrived(server, result, film)
    assert proxy.carried_out == 3
    assert result["requests"].count("HEAD 200") + result["requests"].count("HEAD 204") >= 3, result


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_new_process_goes_on_with_a_stored_url(server: Server, film: Path, tmp_path: Path, protocol: str) -> None:
    """The process is gone after some chunks; the next finds the URL in its store and sends only the rest."""
    store: Task = {"store": str(tmp_path / "urls.json")}
    options: Task = {"protocol": protocol, "chunkSize": MIB}
    first = upload(film, server.files, task={**store, "leaveAt": 3 * MIB}, **options)
    assert (first["outcome"], first["accepted"]) == ("left", 3 * MIB)
    second = upload(film, server.files, task={**store, "resume": True}, **options)
    assert second["url"] == first["url"]
    assert [request.split()[0] for request in second["requests"]] == ["HEAD", *["PATCH"] * 4]
    assert_arrived(server, second, film)


def test_a_new_process_goes_on_with_a_known_url(server: Server, film: Path) -> None:
    """A client that gave up after a cut leaves a URL; another one that is told it brings the rest."""
    with Proxy(server.port) as proxy:
        proxy.at(4 * MIB, Cut.FIN)
        first = upload(film, proxy.files)
    assert first["outcome"] == "error"
    url = server.files + first["url"].rpartition("/")[2]
    kept = int(httpx.head(url, headers={"Tus-Resumable": "1.0.0"}).headers["upload-offset"])
    assert 0 < kept <= 4 * MIB
    second = upload(film, server.files, uploadUrl=url)
    assert second["requests"] == ["HEAD 200", "PATCH 204"]
    assert_arrived(server, second, film)


def test_an_upload_that_is_complete_is_not_sent_again(server: Server, film: Path) -> None:
    """A HEAD tells a client that lost the last answer that nothing is left to do."""
    first = upload(film, server.files)
    second = upload(film, server.files, uploadUrl=first["url"])
    assert second["requests"] == ["HEAD 200"]
    assert_arrived(server, second, film)


def test_three_parts_in_parallel_become_one_file(server: Server, film: Path) -> None:
    """Parallel uploads are partial uploads, and a final one that concatenates them."""
    result = upload(film, server.files, parallelUploads=3)
    answer = assert_arrived(server, result, film)
    assert film.name in answer.headers["content-disposition"]
    assert sorted(request.split()[0] for request in result["requests"]) == [*["PATCH"] * 3, *["POST"] * 4]


def test_parallel_parts_survive_cuts(server: Server, film: Path) -> None:
    """Each part resumes by itself."""
    with Proxy(server.port) as proxy:
        for position in (MIB, 3 * MIB, 5 * MIB):
            proxy.at(position, Cut.RESET)
        result = upload(film, proxy.files, parallelUploads=3, retryDelays=DELAYS)
    assert_arrived(server, result, film)
    assert proxy.carried_out == 3


def test_a_stream_of_unknown_length(server: Server, film: Path) -> None:
    """The length is told when the stream has ended, after its last bytes."""
    result = upload(film, server.files, task={"source": "stream"}, uploadLengthDeferred=True, chunkSize=2 * MIB)
    assert_arrived(server, result, film)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("chunk", [{}, {"chunkSize": 4 * MIB}], ids=["whole", "chunked"])
def test_the_creation_carries_the_first_bytes(server: Server, film: Path, protocol: str, chunk: Task) -> None:
    """A small file costs one request; of a larger one the first chunk comes with the POST."""
    result = upload(film, server.files, protocol=protocol, uploadDataDuringCreation=True, **chunk)
    assert_arrived(server, result, film)
    assert [request.split()[0] for request in result["requests"]] == ["POST", *["PATCH"] * len(chunk)]


def test_a_network_that_knows_no_patch(server: Server, film: Path) -> None:
    """POST with X-HTTP-Method-Override stands for PATCH."""
    result = upload(film, server.files, overridePatchMethod=True, chunkSize=4 * MIB)
    assert_arrived(server, result, film)
    assert result["requests"] == ["POST 201", "POST 204", "POST 204"]


def test_metadata_in_any_script_come_back(server: Server, film: Path) -> None:
    """Values are UTF-8, whatever they say; the file name reaches the download's Content-Disposition."""
    metadata = {
        "filename": "Überfahrt – 渡し船 🛶.bin",
        "filetype": "application/octet-stream",
        "note": "déjà vu",
        "empty": "",
    }
    result = upload(film, server.files, metadata=metadata)
    answer = assert_arrived(server, result, film)
    assert "filename*=UTF-8''%C3%9Cberfahrt" in answer.headers["content-disposition"]
    identity = result["url"].rpartition("/")[2]
    assert httpx.get(f"{server.url}/api/uploads/{identity}").json()["filename"] == metadata["filename"]
    told = httpx.head(result["url"], headers={"Tus-Resumable": "1.0.0"}).headers["upload-metadata"]
    assert {pair.split(" ")[0] for pair in told.split(",")} == set(metadata)


def test_an_empty_file(server: Server, tmp_path: Path) -> None:
    """Nothing is a file, too: its creation completes it."""
    film = tmp_path / "empty.bin"
    film.touch()
    result = upload(film, server.files)
    assert result["requests"] == ["POST 201"]
    assert_arrived(server, result, film)


def test_abort_with_termination_deletes_the_upload(server: Server, film: Path) -> None:
    """abort(true) sends DELETE; the URL says that the upload is gone."""
    result = upload(film, server.files, task={"terminateAt": 2 * MIB}, chunkSize=MIB)
    assert result["outcome"] == "terminated"
    assert result["requests"][-1] == "DELETE 204"
    assert httpx.head(result["url"], headers={"Tus-Resumable": "1.0.0"}).status_code == 410


def test_a_refusal_reaches_the_person_in_words(tmp_path: Path, film: Path) -> None:
    """What is too large is refused at the POST, with a problem document, and is not tried again."""
    with serving(tmp_path / "data", "--max-size", "1MiB") as server:
        result = upload(film, server.files, retryDelays=DELAYS)
    assert (result["outcome"], result["requests"]) == ("error", ["POST 413"])
    assert result["error"]["status"] == 413
    assert str(MIB) in result["error"]["body"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_killed_server_costs_nothing_but_retries(tmp_path: Path, film: Path, protocol: str) -> None:
    """kill -9 in the middle of a PATCH, a start on the same data, and the same client goes on."""

    with serving(tmp_path / "data") as server, Proxy(server.port) as proxy:
        proxy.at(3 * MIB, server.crash)
        result = upload(film, proxy.files, protocol=protocol, retryDelays=[100, 500, 1000, 2000, 4000])
        assert_arrived(server, result, film)
    assert proxy.carried_out == 1
