"""`ls`, `status` and `gc` work on real data folders, beside a server that runs and without one."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ferryman_cli import main
from ferryman_protocol.model import Phase
from ferryman_server.commands.looking import Holder, lock_holder
from ferryman_server.commands.status import trouble
from ferryman_server.state.base import Record
from ferryman_server.storage.identity import DataLock
from tests.server.data_folder import data_folder, id_of, record_of

DATA = b"some bytes"
AGES_AGO = 1000.0  # seconds since the epoch


REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"


def test_every_command_is_documented() -> None:
    """The reference has a section for each."""
    commands = [entry.name for entry in entry_points(group="ferryman.commands")]
    text = REFERENCE.read_text(encoding="utf-8")
    assert [name for name in commands if f"\n## ferryman {name}\n" not in text] == []


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ferryman.toml of somebody else's is in the way."""
    monkeypatch.chdir(tmp_path)


def fill(path: Path, *uploads: tuple[Record, bytes | None], strays: Sequence[tuple[int, bool]] = ()) -> None:
    """Make a data folder with these uploads, and files without rows."""

    async def work() -> None:
        async with data_folder(path) as folder:
            for record, content in uploads:
                await folder.add(record, content)
            for number, published in strays:
                folder.put(id_of(number), DATA, published=published)

    asyncio.run(work())


def phases(path: Path) -> dict[str, Phase]:
    """Every row's phase."""

    async def work() -> dict[str, Phase]:
        async with data_folder(path) as folder:
            page = await folder.state.page(limit=100)
            return {record.upload.id: record.upload.phase for record in page.records}

    return asyncio.run(work())


def files(path: Path) -> set[str]:
    """The names of all upload files."""
    return {file.name for root in ("uploads/*", "files/*/*") for file in path.glob(root)}


def test_ls_lists_the_newest_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each: id, phase, size, how much is there, when, name."""
    fill(
        tmp_path / "data",
        (record_of(1, Phase.COMPLETE, DATA, at=1.0, filename="old.zip"), DATA),
        (record_of(2, Phase.RECEIVING, DATA, at=2.0, length=40, filename="new\x1b.zip"), DATA),
        (record_of(3, Phase.RECEIVING, DATA, at=3.0), DATA),
    )
    assert main(["ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", id_of(3), id_of(2), id_of(1)]
    assert lines[0].split() == ["ID", "PHASE", "SIZE", "DONE", "CREATED", "NAME"]
    assert "receiving  unknown  10 B" in lines[1]
    assert "receiving  40 B     25 %" in lines[2]
    assert lines[2].endswith("new\\x1b.zip")
    assert "complete   10 B     100 %" in lines[3]


def test_ls_tells_programs_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, the same members as the server's own list."""
    fill(tmp_path / "data", (record_of(1, Phase.COMPLETE, DATA, at=1.0, filename="a.zip"), DATA))
    assert main(["ls", "--json"]) == 0
    (upload,) = json.loads(capsys.readouterr().out)["uploads"]
    assert (upload["id"], upload["phase"], upload["offset"]) == (id_of(1), "complete", 10)
    assert (upload["url"], upload["filename"]) == (f"/files/{id_of(1)}", "a.zip")


@pytest.mark.parametrize(("limit", "expected"), [("3", 3), ("0", 30), (None, 20)])
def test_ls_lists_as_many_as_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str | None, expected: int
) -> None:
    """Twenty unless told otherwise, 0 for all."""
    fill(tmp_path / "data", *((record_of(number, Phase.EMPTY, at=float(number)), None) for number in range(30)))
    assert main(["ls", "--json", *([] if limit is None else ["--limit", limit])]) == 0
    uploads = json.loads(capsys.readouterr().out)["uploads"]
    assert [upload["id"] for upload in uploads] == [id_of(number) for number in range(29, 29 - expected, -1)]


def test_ls_works_beside_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is locked and the database open: reading disturbs neither."""
    fill(tmp_path / "data", (record_of(1, Phase.EMPTY), None))

    async def beside() -> None:
        async with data_folder(tmp_path / "data"):
            assert await asyncio.to_thread(main, ["ls"]) == 0

    with DataLock(tmp_path / "data"):
        asyncio.run(beside())
    assert id_of(1) in capsys.readouterr().out


def test_an_empty_folder_has_no_uploads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said in words, and an empty list for programs."""
    fill(tmp_path / "data")
    assert main(["ls"]) == 0
    assert capsys.readouterr().out == "There are no uploads.\n"


@pytest.mark.parametrize("argv", [["ls"], ["gc"], ["gc", "--dry-run"]])
def test_without_a_data_folder_commands_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    """And make none."""
    assert main([*argv, "--data", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ferryman {argv[0]}: there is no {tmp_path / 'nowhere' / 'state.db'}")
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_stop_a_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command's name before each line."""
    monkeypatch.setenv("FERRYMAN_PORT", "x")
    assert main(["ls"]) == 2
    assert capsys.readouterr().err.startswith("ferryman ls: FERRYMAN_PORT: 'x' cannot be used")


def test_a_folder_and_a_database_that_do_not_match_stop_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """gc would take every file for one without a row."""
    fill(tmp_path / "data", strays=[(1, False)])
    fill(tmp_path / "other")
    (tmp_path / "data" / "state.db").write_bytes((tmp_path / "other" / "state.db").read_bytes())
    for argv in (["gc"], ["gc", "--dry-run"], ["ls"]):
        assert main(argv) == 2
        assert "belongs to the store" in capsys.readouterr().err
    assert files(tmp_path / "data") == {id_of(1)}


def test_gc_frees_what_expired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what it did."""
    fill(tmp_path / "data", (record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=AGES_AGO), DATA))
    assert main(["gc"]) == 0
    out = capsys.readouterr().out
    assert f"{id_of(1)}: expired\n" in out
    assert out.endswith("Freed 10 B: 1 expired, 0 without a row, 0 old rows removed.\n")
    assert phases(tmp_path / "data") == {id_of(1): Phase.EXPIRED}
    assert files(tmp_path / "data") == set()
    assert main(["gc"]) == 0
    assert capsys.readouterr().out == "There is nothing to clear away.\n"


def test_gc_dry_run_only_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file and every row is as before."""
    fill(tmp_path / "data", (record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=AGES_AGO), DATA))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*") if "state.db" not in path.name}
    assert main(["gc", "--dry-run"]) == 0
    assert "Would free 10 B: 1 expired" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*") if "state.db" not in path.name}
    assert before == after
    assert phases(tmp_path / "data") == {id_of(1): Phase.RECEIVING}


def test_gc_makes_the_files_that_a_crash_left_in_the_database(tmp_path: Path) -> None:
    """A small upload is complete before it has a file; what an earlier request had left of it is not taken for it."""

    async def crash() -> None:
        async with data_folder(tmp_path / "data") as folder:
            await folder.state.create(record_of(1, Phase.COMPLETE, DATA), content=DATA)
            folder.put(id_of(1), b"left in its place")

    asyncio.run(crash())
    assert main(["gc"]) == 0
    for _ in range(2):
        (published,) = (tmp_path / "data" / "files").glob("*/*")
        assert published.read_bytes() == DATA
        assert main(["gc"]) == 0
    assert list((tmp_path / "data" / "uploads").iterdir()) == []


def test_gc_beside_a_server_may_only_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says who holds the folder."""
    fill(tmp_path / "data", (record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=AGES_AGO), DATA))
    with DataLock(tmp_path / "data"):
        assert main(["gc"]) == 2
        assert f"a server (process {os.getpid()}) uses {tmp_path / 'data'}" in capsys.readouterr().err
        assert main(["gc", "--dry-run"]) == 0
    assert phases(tmp_path / "data") == {id_of(1): Phase.RECEIVING}


def test_gc_leaves_published_files_without_a_row_to_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are told, and make the exit code 1."""
    fill(tmp_path / "data", strays=[(1, True)])
    assert main(["gc"]) == 1
    out = capsys.readouterr().out
    assert "left alone (--adopt takes it in, --delete-published deletes it)" in out
    assert "1 published files without a row were left alone" in out
    assert files(tmp_path / "data") == {id_of(1)}


def test_gc_adopts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run tells so first; then the file is a complete upload that can be verified."""
    fill(tmp_path / "data", strays=[(1, True)])
    assert main(["gc", "--adopt", "--dry-run"]) == 0
    assert "would be taken in" in capsys.readouterr().out
    assert phases(tmp_path / "data") == {}
    assert main(["gc", "--adopt"]) == 0
    assert phases(tmp_path / "data") == {id_of(1): Phase.COMPLETE}
    capsys.readouterr()
    main(["doctor", "--verify", "--port", "0"])
    assert "read back 1 complete uploads" in capsys.readouterr().out


def test_gc_deletes_published_files_without_a_row_when_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those with a row stay."""
    fill(tmp_path / "data", (record_of(2, Phase.COMPLETE, DATA), DATA), strays=[(1, True)])
    assert main(["gc", "--delete-published", "--dry-run"]) == 0
    assert files(tmp_path / "data") == {id_of(1), id_of(2)}
    assert main(["gc", "--delete-published"]) == 0
    assert "Freed 10 B" in capsys.readouterr().out
    assert files(tmp_path / "data") == {id_of(2)}


def test_gc_cannot_adopt_and_delete_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A person has to decide."""
    assert main(["gc", "--adopt", "--delete-published"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_gc_has_no_business_with_the_memory_store(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are inside the server."""
    monkeypatch.setenv("FERRYMAN_STORE", "memory")
    assert main(["gc"]) == 2
    assert "inside the server" in capsys.readouterr().err


def test_the_locks_holder_is_seen_without_disturbing_it(tmp_path: Path) -> None:
    """Looking takes nothing away, and leaves no lock behind."""
    assert lock_holder(tmp_path) is None
    with DataLock(tmp_path):
        assert lock_holder(tmp_path) == Holder(os.getpid())
        assert lock_holder(tmp_path) == Holder(os.getpid())
    assert lock_holder(tmp_path) is None
    with DataLock(tmp_path):
        pass


def test_status_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the folder holds can be told all the same."""
    fill(
        tmp_path / "data",
        (record_of(1, Phase.COMPLETE, DATA), DATA),
        (record_of(2, Phase.RECEIVING, DATA, length=20), DATA),
    )
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"data folder  {tmp_path / 'data'}"
    assert lines[1] == "server       not running"
    assert lines[2].split(maxsplit=1)[1] in ("1 complete, 1 receiving", "1 receiving, 1 complete")
    assert lines[3].startswith("stored       10 B complete, 10 B unfinished; ")


def test_status_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No folder, no server, no complaint."""
    assert main(["status"]) == 0
    assert "not running" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


class Ready(BaseHTTPRequestHandler):
    """Answers /readyz as the path's server is told to."""

    answer = (200, b'{"status": "ready", "uploads": {}}')

    def do_GET(self) -> None:
        """Send the answer."""
        status, body = self.answer
        self.send_response(status if self.path == "/readyz" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """A server that is ready."""
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_status_of_a_running_server(tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int) -> None:
    """It holds the folder and says that it is ready."""
    fill(tmp_path / "data")
    with DataLock(tmp_path / "data"):
        assert main(["status", "--port", str(port)]) == 0
    assert f"running, process {os.getpid()}, ready at 127.0.0.1 port {port}" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [(503, b'{"status": "not ready"}'), (200, b"[]"), (404, b"")])
def test_status_of_a_server_that_is_not_ready(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    port: int,
    answer: tuple[int, bytes],
) -> None:
    """Exit code 1, and what it answers."""
    monkeypatch.setattr(Ready, "answer", answer)
    fill(tmp_path / "data")
    with DataLock(tmp_path / "data"):
        assert main(["status", "--port", str(port)]) == 1
    assert f"that it is not ready (status {answer[0]})" in capsys.readouterr().out


def test_a_server_that_does_not_answer_is_in_trouble() -> None:
    """Nobody listens, or it is no HTTP at all."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        free = listener.getsockname()[1]
    assert "does not answer at 127.0.0.1" in (trouble("127.0.0.1", free) or "")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"220 mail\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        assert "does not answer" in (trouble("0.0.0.0", listener.getsockname()[1]) or "")
        thread.join()
