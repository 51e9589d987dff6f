"""Refusing to start: another server at work, a folder and a database that do not belong together, a port in use."""

import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase, Upload
from ferryman_server.state.base import Record
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing_rig import ONE, OTHER, publish, put
from tests.support.process import eventually, serving
from tests.support.uploading import append, assert_whole, content, create, finish, published, receiving

WHOLE = content(10_000)


def ferryman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    command = [sys.executable, "-m", "ferryman_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def serve(data: Path, port: int = 0) -> subprocess.CompletedProcess[str]:
    """Try to serve; it is expected to refuse."""
    return ferryman("serve", "--data", str(data), "--port", str(port))


def store_id(data: Path) -> str:
    """The id that the folder carries."""
    return str(tomllib.loads((data / "store.toml").read_text())["id"])


def assert_plain(refused: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2 and one sentence for people with these words in it, no trace."""
    assert refused.returncode == 2, refused
    assert "listens on" not in refused.stdout
    assert "Traceback" not in refused.stderr
    for word in words:
        assert word in refused.stderr, refused.stderr


async def stock(data: Path) -> None:
    """A data folder with a finished and an unfinished upload."""
    store = LocalStore(data)
    store.open()
    publish(store, ONE, WHOLE)
    put(store, OTHER, WHOLE[:9])
    state = SqliteState(data / "state.db", store_id=store.store_id)
    await state.open()
    for upload in (
        Upload(id=ONE, phase=Phase.COMPLETE, offset=len(WHOLE), length=len(WHOLE)),
        Upload(id=OTHER, phase=Phase.RECEIVING, offset=9, length=len(WHOLE), expires_at=time.time() + 3600),
    ):
        await state.create(Record(upload=upload))
    await state.close()


@pytest.fixture
async def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two data folders that look alike."""
    folders = tmp_path / "one", tmp_path / "other"
    for data in folders:
        await stock(data)
    return folders


def files(data: Path) -> dict[str, int]:
    """Every file of uploads, with its size."""
    return {
        str(file.relative_to(data)): file.stat().st_size
        for folder in ("uploads", "files")
        for file in (data / folder).rglob("*")
    }


def test_a_database_of_another_store_is_refused_by_serve_and_gc(two_folders: tuple[Path, Path]) -> None:
    """Both ids are named, nothing is started, nothing is cleared away, and the right pair works again."""
    one, other = two_folders
    aside = one.parent / "state.db"
    (one / "state.db").rename(aside)
    shutil.copyfile(other / "state.db", one / "state.db")
    before = files(one)
    gc = ("gc", "--data", str(one), "--upload-ttl", "1ms")
    for refused in (serve(one), ferryman(*gc), ferryman(*gc, "--dry-run")):
        assert_plain(refused, store_id(one), store_id(other))
    assert files(one) == before
    aside.rename(one / "state.db")
    with serving(one) as server:
        assert server.stop() == 0
    assert files(one) == before


def test_a_lost_store_id_is_not_made_anew_behind_the_databases_back(two_folders: tuple[Path, Path]) -> None:
    """Without `store.toml` the folder could be any: the old id is told, and nothing is deleted."""
    one, _ = two_folders
    lost = store_id(one)
    (one / "store.toml").unlink()
    before = files(one)
    assert_plain(serve(one), lost)
    assert_plain(ferryman("gc", "--data", str(one), "--upload-ttl", "1ms"), lost)
    assert files(one) == before


def test_a_new_database_on_an_old_folder_deletes_no_published_file(two_folders: tuple[Path, Path]) -> None:
    """A lost database is not a mismatch: the server runs, and what was published stays until a person decides."""
    one, _ = two_folders
    (one / "state.db").unlink()
    kept = {name: size for name, size in files(one).items() if name.startswith("files")}
    assert kept
    with serving(one, "--upload-ttl", "1s", "--reap-interval", "100ms") as server:
        path = create(server, "tus", length=len(WHOLE))
        finish(server, "tus", path, WHOLE)
        assert server.stop() == 0
    assert files(one).items() >= kept.items()


def test_a_second_server_on_the_same_data_says_who_has_it(tmp_path: Path) -> None:
    """The first goes on undisturbed; the second leaves with status 2; after the first, the folder is free."""
    data = tmp_path / "data"
    with serving(data) as first:
        path = create(first, "tus", length=len(WHOLE))
        assert append(first, "tus", path, 0, WHOLE[:100]).status == 204
        assert_plain(serve(data), f"process {first.pid}", str(data), "--data")
        assert receiving(data, path).stat().st_size == 100
        finish(first, "tus", path, WHOLE)
        first.kill()
        first.restart()
        assert_whole(first, path, WHOLE)
        eventually(lambda: published(data, path).exists())


def test_a_port_in_use_is_said_in_plain_words(tmp_path: Path) -> None:
    """Which address, why, and what to do; the data folder is not touched by that."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_plain(serve(tmp_path / "data", port), str(port), "127.0.0.1", "--port")


def test_a_data_folder_that_is_a_file_is_said_in_plain_words(tmp_path: Path) -> None:
    """The path is named, and that it is no folder."""
    (tmp_path / "data").write_text("not a folder")
    assert_plain(serve(tmp_path / "data"), str(tmp_path / "data"), "folder")
