"""The floors: they store what is sent, whole and in place, in every way of syncing."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
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
from tests.support.process import eventually

FLOORS = ("floor-none", "floor-each", "floor-overlap", "floor-bounded")
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
WAITING = """
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int file) { (void)file; while (access(getenv("SYNC_MAY_END"), F_OK)) usleep(1000); return 0; }
"""
LATE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
struct start { void *(*run)(void *); void *argument; };
static void *late(void *given)
{
    struct start own = *(struct start *)given;
    free(given);
    usleep(200000);
    return own.run(own.argument);
}
int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *argument)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    struct start *start = malloc(sizeof *start);
    *start = (struct start){run, argument};
    return create(thread, how, late, start);
}
"""


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


@pytest.mark.parametrize(("name", "counted"), [("floor-none", 0), *((name, 2) for name in FLOORS[1:])])
def test_floor_syncs_as_it_says(
    name: str, counted: int, data: Path, body: Body, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync of the folder for the new file and one of its bytes, or none at all."""
    counts = tmp_path / "counts"
    counts.touch()
    monkeypatch.setenv("LD_PRELOAD", preloaded(tmp_path, COUNTING))
    monkeypatch.setenv("SYNC_COUNTS", str(counts))
    arguments: list[str | int] = ["--count", 1, "--size", 1000, "--body", str(body.file)]
    with running(floor(name), data) as target, loaded(target.port, "/files/", *arguments):
        pass
    assert len(counts.read_text()) == counted


@pytest.mark.parametrize(("name", "reached"), [("floor-overlap", 16 * MIB), ("floor-bounded", 8 * MIB)])
def test_floor_risks_as_much_as_it_says(
    name: str, reached: int, data: Path, body: Body, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a sync takes for ever, the bytes come to their end in one of them, and to 8 MiB in the other."""
    may_end = tmp_path / "may-end"
    monkeypatch.setenv("LD_PRELOAD", preloaded(tmp_path, WAITING))
    monkeypatch.setenv("SYNC_MAY_END", str(may_end))
    stored = data / "0"
    arguments: list[str | int] = ["--count", 1, "--size", 16 * MIB, "--body", str(body.file)]

    def send(port: int) -> None:
        with loaded(port, "/files/", *arguments):
            pass

    with running(floor(name), data) as target, ThreadPoolExecutor() as pool:
        sending = pool.submit(send, target.port)
        try:
            eventually(lambda: stored.exists() and stored.stat().st_size > reached - 2 * MIB)
            time.sleep(0.2)  # it would go on
            most = stored.stat().st_size
        finally:
            may_end.touch()
        sending.result()
    assert reached - 2 * MIB < most <= reached
    check_stored(data, count=1, size=16 * MIB, content=body.content)


@pytest.mark.parametrize("name", ["floor-overlap", "floor-bounded"])
def test_floor_whose_second_thread_comes_late_goes_on(
    name: str, data: Path, body: Body, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the writing may be ahead of it by all that may be at risk; it begins at the beginning still."""
    monkeypatch.setenv("LD_PRELOAD", preloaded(tmp_path, LATE))
    arguments: list[str | int] = ["--count", 1, "--size", 24 * MIB, "--body", str(body.file)]
    with running(floor(name), data) as target, loaded(target.port, "/files/", *arguments) as told:
        assert told["bytes"] == 24 * MIB


def preloaded(folder: Path, source: str) -> str:
    """The path of a library with these functions."""
    library = folder / "preloaded.so"
    (folder / "preloaded.c").write_text(source)
    subprocess.run([compiler(), "-shared", "-fPIC", folder / "preloaded.c", "-o", library], check=True)
    return str(library)


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
