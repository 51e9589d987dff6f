"""Each request has an id that all its lines carry, and one line when it is answered, however that line is made."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any, Literal

import pytest
import structlog

from ferryman_server import logs, request_log
from ferryman_server.settings import Settings

UPLOAD = "a" * 26


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test configures is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    request_log.requests.direct = False
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


def configure(log_format: Literal["text", "json"] = "json", **more: Any) -> request_log.RequestLog:
    """Configure the logs; a log whose loggers have not been used under another configuration."""
    logs.configure(Settings(log_format=log_format, **more))
    log = request_log.RequestLog()
    log.direct = request_log.requests.direct
    return log


async def answered(log: request_log.RequestLog, path: str = "/files/", **more: Any) -> None:
    """Tell of a request that was answered, and let the line be written."""
    told = {"sent": 0, "milliseconds": 0.3, "ids": request_log.bound(), **more}
    log.write("PATCH", path, 204, **told)
    await asyncio.sleep(0)


def lines(written: str) -> list[dict[str, Any]]:
    """The JSON lines of a text."""
    return [json.loads(line) for line in written.splitlines()]


@pytest.mark.parametrize(
    "path", ["/files/", '/a"b\\c', "/\x1b[2J\nfake\r\x07", "/größe/文件/\U0001f600", "/\x7f\u2028"]
)
async def test_the_line_looks_the_same_either_way(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte, but for the time: a stranger's path cannot make a difference."""
    log = configure()
    assert log.direct
    request_log.begin()
    request_log.bind_upload(UPLOAD)
    await answered(log, path, sent=17, milliseconds=1234.5)
    direct = capsys.readouterr().err
    log.direct = False
    await answered(log, path, sent=17, milliseconds=1234.5)
    chained = capsys.readouterr().err
    times = [json.loads(line)["timestamp"] for line in (direct, chained)]
    assert direct.replace(times[0], "") == chained.replace(times[1], "")
    assert len(times[0]) == len("2026-01-31T12:00:00.123456Z")
    assert abs(int(times[0][17:19]) - int(times[1][17:19])) in (0, 1, 59)
    assert direct.count("\n") == 1
    assert direct.isascii()


async def test_all_lines_of_a_request_carry_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the tasks that it starts too; the next request in the same task has another, and no upload yet."""
    log = configure()
    first = request_log.begin()
    request_log.bind_upload(UPLOAD)
    await asyncio.create_task(answered(log, ids=first))
    structlog.get_logger("ferryman.test").info("stored")
    second = request_log.begin()
    structlog.get_logger("ferryman.test").info("next")
    written = lines(capsys.readouterr().err)
    assert [line["request_id"] for line in written] == [first["request_id"]] * 2 + [second["request_id"]]
    assert first["request_id"] != second["request_id"]
    assert [line.get("upload_id") for line in written] == [UPLOAD, UPLOAD, None]


async def test_a_line_about_another_upload_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """What a line says itself counts more than what its request is about."""
    configure()
    request_log.begin()
    request_log.bind_upload(UPLOAD)
    structlog.get_logger("ferryman.test").info("expired", upload_id="b" * 26)
    assert lines(capsys.readouterr().err)[0]["upload_id"] == "b" * 26


def test_outside_of_requests_there_is_nothing_to_carry() -> None:
    """And nothing to bind an upload to."""
    request_log.bind_upload(UPLOAD)
    assert request_log.bound() == {}


async def test_lines_of_one_turn_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """In writes that a pipe takes whole: none tears a line, and nothing is lost or told twice."""
    writes: list[str] = []

    class Recorder(StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    log = configure()
    monkeypatch.setattr(sys, "stderr", Recorder())
    request_log.begin()
    for number in range(100):
        log.write("HEAD", f"/files/{number}", 200, sent=0, milliseconds=0.1, ids=request_log.bound())
    await asyncio.sleep(0)
    assert [line["path"] for line in lines("".join(writes))] == [f"/files/{number}" for number in range(100)]
    assert 1 < len(writes) < 20
    assert all(text.endswith("\n") and len(text) <= os.pathconf("/", "PC_PIPE_BUF") for text in writes)


async def test_a_line_longer_than_a_pipe_takes_is_written_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The longest path a request can have."""
    await answered(configure(), "/" + "x" * 30_000)
    assert len(lines(capsys.readouterr().err)[0]["path"]) == 30_001


@pytest.mark.parametrize(("log_format", "level"), [("json", "warning"), ("text", "error")])
async def test_a_level_that_leaves_it_out_leaves_it_out(
    log_format: Literal["text", "json"], level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is information."""
    logs.configure(Settings(log_format=log_format, log_level=level))  # type: ignore[arg-type]
    assert not request_log.requests.direct


async def test_a_log_that_cannot_be_written_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk behind standard error; the next line is written again."""
    log = configure()

    class Full(StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    disk = Full()
    monkeypatch.setattr(sys, "stderr", disk)
    await answered(log, "/lost")
    disk.full = False
    await answered(log, "/kept")
    assert [line["path"] for line in lines(disk.getvalue())] == ["/kept"]
