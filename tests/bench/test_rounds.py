"""Taking turns: real servers, real loads, small."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.bucket import Depot
from bench.rounds import fresh_folder, measure, rotated
from bench.scenarios import KIB, MIB, Scenario
from bench.servers import Server, known
from tests.bench.made_up import scenario, server

SMALL = scenario("mib-c1", count=4, size=64 * KIB, connections=2)


def really(*names: str) -> list[Server]:
    """The servers of these names, which must be here."""
    found = [each for each in known() if isinstance(each, Server) and each.name in names]
    assert len(found) == len(names)
    return found


def test_order_rotates() -> None:
    """Each round begins with the next server, and each server is in each round once."""
    servers = [server(name) for name in "abc"]
    orders = ["".join(each.name for each in rotated(servers, number)) for number in range(4)]
    assert orders == ["abc", "bca", "cab", "abc"]


def test_fresh_folder_is_gone_afterwards(tmp_path: Path) -> None:
    """Also after an error: the disk is not to fill up over the rounds."""
    with pytest.raises(FileNotFoundError), fresh_folder(tmp_path) as folder:
        (folder / "no such folder/file").write_bytes(b"")
    assert list(tmp_path.iterdir()) == []


def test_warm_up_does_not_count(tmp_path: Path) -> None:
    """One round more is driven than is kept, and every figure of a kept turn is there."""
    said: list[str] = []
    outcome = measure(SMALL, really("floor-each"), 2, tmp_path, said.append)
    assert [line.split(", ")[1] for line in said] == ["warm-up", "round 1 of 2", "round 2 of 2"]
    first, second = outcome.of("floor-each")
    assert first.rate > 0
    assert second.wire_bytes == 4 * 64 * KIB
    assert 0 < first.request_p50_ms <= first.request_p99_ms <= first.request_max_ms
    assert 0 < first.peak_mb < 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ferryman", "ferryman-os", "tuspyserver"])
def test_server_of_the_comparison_is_measured(name: str, tmp_path: Path) -> None:
    """It starts on its defaults, takes the load and the pings, and what it holds is right."""
    enough = replace(SMALL, count=100)  # for the kernel's clock of processor time, which ticks a hundred times a second
    outcome = measure(enough, really(name), 1, tmp_path, lambda text: None)
    assert outcome.failures == {}
    (turn,) = outcome.of(name)
    assert turn.pings > 0
    assert turn.server_cpu_seconds > 0


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_coded_body_is_sent_coded_and_stored_decoded(coding: str, tmp_path: Path) -> None:
    """Fewer bytes on the network than in the file; a server that decodes nothing is left out with a reason."""
    coded = scenario(coding, count=1, size=300_000, coding=coding)
    outcome = measure(coded, really("ferryman", "floor-none"), 1, tmp_path, lambda text: None)
    assert outcome.failures == {}
    assert coding in outcome.unable["floor-none"]
    (turn,) = outcome.of("ferryman")
    assert turn.wire_bytes < 150_000


@pytest.mark.parametrize("name", ["ferryman", "tuspyserver"])
def test_heads_are_asked_of_uploads_made_beforehand(name: str, tmp_path: Path) -> None:
    """Rows of our own state, or copies of what a rival left of one upload: HEAD knows all of them."""
    heads = scenario("head-million", unit="HEAD/s", count=200, size=KIB, connections=2, known=300, known_by_rivals=30)
    outcome = measure(heads, really(name, "floor-none"), 1, tmp_path, lambda text: None)
    assert outcome.failures == {}
    assert "floor-none" in outcome.unable
    (turn,) = outcome.of(name)
    assert turn.rate > 0
    assert list(tmp_path.iterdir()) == []


INTO_MINIO = [
    pytest.param(scenario("s3-one-patch", count=1, size=20 * MIB, into="minio", in_flight=3), id="one PATCH"),
    pytest.param(scenario("s3-8mib", count=1, size=20 * MIB, patch=8 * MIB, into="minio"), id="8 MiB PATCHes"),
    pytest.param(scenario("s3-kib", count=40, size=KIB, connections=4, into="minio", in_flight=4), id="small"),
    pytest.param(
        scenario("s3-kib-creation", count=40, size=KIB, connections=4, with_creation=True, into="minio", in_flight=4),
        id="creation with upload",
    ),
]


@pytest.mark.parametrize("into_minio", INTO_MINIO)
def test_bytes_into_minio_are_measured_beside_those_put_straight_there(
    into_minio: Scenario, minio_program: Path, tmp_path: Path
) -> None:
    """Both have figures, MinIO's own among them; servers that store on the disk only have nothing to do with it."""
    (tmp_path / "minio").mkdir()
    with Depot(tmp_path / "minio") as depot:
        servers = really("ferryman", "straight", "straight-checked", "floor-none")
        outcome = measure(into_minio, servers, 1, tmp_path, lambda text: None, depot)
    assert outcome.failures == {}
    assert set(outcome.turns) == {"ferryman", "straight", "straight-checked"}
    assert outcome.unable == {}
    (ours,), (straight,) = outcome.of("ferryman"), outcome.of("straight")
    assert ours.peak_mb > 0 == straight.peak_mb
    assert 0 < ours.wire_bytes == straight.wire_bytes
    assert ours.pings > 0 < straight.pings


def broken(script: str) -> Server:
    """A server that is a Python script; its arguments are port and folder."""
    return Server(
        name="broken",
        title="Broken",
        kind="rival",
        synced="nothing",
        command=lambda port, data: [sys.executable, "-c", script, str(port), str(data)],
    )


LOSING = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, **fields):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in {"Content-Length": "0", **fields}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
    def do_OPTIONS(self): self.answer(200)
    def do_POST(self): self.answer(201, Location="/files/x")
    def do_PATCH(self): self.answer(204, Upload_Offset=self.headers["Content-Length"])
    def do_HEAD(self): self.answer(200, Upload_Offset="65536")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(
            "print('no such port'); raise SystemExit(3)", "did not start (exit code 3); it said: no such port"
        ),
        pytest.param(LOSING, "of 4 uploads it holds only 0 with the right 65,536 bytes"),
        pytest.param(LOSING.replace("answer(201", "answer(507"), "expected 201, got: HTTP/1.1 507"),
        pytest.param(LOSING.replace("answer(200)", "answer(404)"), "OPTIONS /files/: expected 200 or 204"),
    ],
    ids=["does not start", "keeps nothing", "refuses", "refuses pings"],
)
def test_server_that_fails_is_told_and_the_others_go_on(script: str, words: str, tmp_path: Path) -> None:
    """The first failure is kept in words; the other server has its figures."""
    outcome = measure(SMALL, [broken(script), *really("floor-none")], 1, tmp_path, lambda text: None)
    assert words in outcome.failures["broken"]
    assert outcome.turns["broken"] == [None]
    assert len(outcome.of("floor-none")) == 1
