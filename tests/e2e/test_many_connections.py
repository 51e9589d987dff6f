"""More connections than the limit of open files allows: newcomers are told to come again, transfers under way go on."""

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Server, eventually
from tests.support.raw_http import RawClient, head
from tests.support.uploading import append_head, assert_whole, content, create, create_head

LIMIT = 128
# Starts a program that has this limit and may not raise it; for root, prctl(2) drops CAP_SYS_RESOURCE for good
LIMITED = f"""
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(24, 24)
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT // 2}, {LIMIT}))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that may have few files and sockets open."""
    running = Server(tmp_path / "data", prefix=(sys.executable, "-c", LIMITED)).start()
    try:
        yield running
    finally:
        running.close()


def _answered(client: RawClient) -> int | None:
    """The status of the answer to an OPTIONS request; None when the connection is closed without one."""
    try:
        client.send(head("OPTIONS", "/files/"))
        answer = client.response()
    except ConnectionError:
        return None
    if answer.status == 503:
        assert answer.document["type"] == "urn:ferryman:problem:crowded"
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert client.closed()
    return answer.status


def _descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def _cpu_ticks(server: Server) -> int:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_crowd_is_refused_and_a_transfer_under_way_goes_on(server: Server) -> None:
    """The first ones too many get 503, the rest are closed, nothing spins, and when the crowd has gone all is well."""
    whole = content(100_000)
    path = create(server, "tus", length=len(whole))
    crowd: list[RawClient] = []
    with RawClient(server.port) as uploader:
        uploader.send(append_head("tus", path, 0, size=len(whole)), whole[:50_000])
        try:
            crowd.extend(RawClient(server.port) for _ in range(2 * LIMIT))
            assert crowd[-1].closed()
            assert _descriptors(server) < LIMIT - LIMIT // 8  # some are left for the house
            answers = [_answered(client) for client in crowd[::-1]]
            assert {204, 503, None} == set(answers)
            busy = _cpu_ticks(server)
            assert not select.select([uploader.socket], [], [], 1)[0]
            assert _cpu_ticks(server) - busy < os.sysconf("SC_CLK_TCK") // 2
            uploader.send(whole[50_000:])
            assert uploader.response().status == 204
        finally:
            for client in crowd:
                client.socket.close()
    assert server.running
    assert "too many connections" in server.log()
    eventually(lambda: _descriptors(server) < LIMIT // 2)
    assert_whole(server, path, whole)


def test_every_transfer_that_was_let_in_finds_a_descriptor_for_its_file(server: Server) -> None:
    """Though all of them open their files at the same moment, after the connections have come."""
    whole = content(50_000)
    crowd = [RawClient(server.port) for _ in range(LIMIT // 2)]
    try:
        let_in: list[tuple[RawClient, str]] = []
        for client in crowd:
            client.send(create_head("tus", length=len(whole)))
            created = client.response()
            if created.status == 201:
                path = created.headers["location"]
                client.send(append_head("tus", path, 0, size=len(whole)))
                let_in.append((client, path))
        assert 10 < len(let_in) < len(crowd)
        for client, _ in let_in:
            client.send(whole[:1000])
        for client, _ in let_in:
            client.send(whole[1000:])
        assert {client.response().status for client, _ in let_in} == {204}
    finally:
        for client in crowd:
            client.socket.close()
    for _, path in let_in[::8]:
        assert_whole(server, path, whole)


def test_the_start_says_how_many_files_may_be_open(server: Server) -> None:
    """And that the soft limit was raised to the hard one."""
    (line,) = (line for line in server.lines if "may be open" in line)
    assert f'"limit": {LIMIT}' in line
    assert f'"raised_from": {LIMIT // 2}' in line
