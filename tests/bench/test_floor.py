"""The floors: they store what is sent, whole and in place, in every way of syncing."""

import subprocess
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bench.bodies import Body, body_for
from bench.check import check_stored
from bench.errors import CannotMeasure
from bench.load import loaded
from bench.native import compiler
from bench.processes import running
from bench.scenarios import MIB
from bench.servers import Server, known
from tests.bench.made_up import scenario

FLOORS = ("floor-none", "floor-each", "floor-overlap")
COUNTING = """
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
static int count(void)
{
    int file = open(getenv("SYNC_COUNTS"), O_WRONLY | O_APPEND);
    return write(file, "x", 1) == 1 && close(file) == 0 ? 0 : -1;
}
int fsync(int file) { (void)file; return count(); }
int fdatasync(int file) { (void)file; return count(); }
"""  # loaded into the floor in front of the C library


def floor(name: str) -> Server:
    """The server of that name."""
    (found,) = (each for each in known() if isinstance(each, Server) and each.name == name)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def body() -> Body:
    """Random bytes."""
    return body_for(scenario())


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize(
    ("count", "size", "more"),
    [
        pytest.param(1, 40 * MIB + 3, [], id="one PATCH"),
        pytest.param(2, 9 * MIB + 1, ["--patch", 8 * MIB, "--connections", 2], id="8 MiB PATCHes"),
        pytest.param(50, 1000, ["--connections", 4], id="small"),
        pytest.param(50, 1000, ["--connections", 4, "--with-creation"], id="creation with upload"),
    ],
)
def test_floor_holds_what_was_sent(
    name: str, count: int, size: int, more: list[str | int], data: Path, body: Body
) -> None:
    """Byte for byte, whatever the size of the pieces."""
    arguments: list[str | int] = ["--count", count, "--size", size, "--body", str(body.file), *more]
    with running(floor(name), data) as target, loaded(target.port, "/files/", *arguments) as told:
        assert told["bytes"] == count * size
    check_stored(data, count=count, size=size, content=body.content)


@pytest.mark.parametrize(("name", "counted"), [("floor-none", 0), ("floor-each", 2), ("floor-overlap", 2)])
def test_floor_syncs_as_it_says(
    name: str, counted: int, data: Path, body: Body, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync of the folder for the new file and one of its bytes, or none at all."""
    (tmp_path / "count.c").write_text(COUNTING)
    library, counts = tmp_path / "count.so", tmp_path / "counts"
    subprocess.run([compiler(), "-shared", "-fPIC", tmp_path / "count.c", "-o", library], check=True)
    counts.touch()
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("SYNC_COUNTS", str(counts))
    arguments: list[str | int] = ["--count", 1, "--size", 1000, "--body", str(body.file)]
    with running(floor(name), data) as target, loaded(target.port, "/files/", *arguments):
        pass
    assert len(counts.read_text()) == counted


def test_wrong_byte_is_found(data: Path, body: Body) -> None:
    """The check after a turn looks at content, not at names and sizes."""
    content = body.content.read_bytes()[:1000]
    (data / "0").write_bytes(content)
    (data / "1").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    check_stored(data, count=1, size=1000, content=body.content)
    with pytest.raises(CannotMeasure, match="of 2 uploads it holds only 1"):
        check_stored(data, count=2, size=1000, content=body.content)


def test_wrong_offset_is_refused(data: Path) -> None:
    """The floor is no server, but a load client that loses count is told."""
    with running(floor("floor-none"), data) as target, closing(HTTPConnection("127.0.0.1", target.port, 20)) as asked:
        asked.request("POST", "/files/", headers={"Upload-Length": "10", "Content-Length": "0"})
        created = asked.getresponse()
        created.read()
        assert created.status == 201
        path = created.headers["Location"]
        asked.request("PATCH", path, headers={"Upload-Offset": "1", "Content-Length": "9"}, body=bytes(9))
        assert asked.getresponse().status == 409
