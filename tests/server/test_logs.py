"""Logs are lines for people or JSON for machines, carry the request's ids, and never a secret."""

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from ferryman_server import logs, request_log
from ferryman_server.settings import Settings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test configures is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    request_log.requests.direct = False
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON lines written so far."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_carry_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line: time, level, logger, event, then the ids and the fields."""
    logs.configure(Settings(log_format="json"))
    with structlog.contextvars.bound_contextvars(request_id="r1", upload_id="u1"):
        structlog.get_logger("ferryman.test").info("stored", bytes=5)
    (line,) = lines(capsys)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    del line["timestamp"]
    assert line == {
        "level": "info",
        "logger": "ferryman.test",
        "event": "stored",
        "request_id": "r1",
        "upload_id": "u1",
        "bytes": 5,
    }


def test_automatic_means_json_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error is a pipe here."""
    logs.configure(Settings())
    structlog.get_logger("ferryman.test").info("hello")
    assert lines(capsys)[0]["event"] == "hello"


def test_automatic_means_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets lines to be read."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    logs.configure(Settings())
    structlog.get_logger("ferryman.test").info("hello")
    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_text_has_no_colours_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes in a file help nobody."""
    logs.configure(Settings(log_format="text"))
    structlog.get_logger("ferryman.test").info("stored", path="/files/")
    written = capsys.readouterr().err
    assert "\x1b" not in written
    assert "path=/files/" in written


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_strangers_cannot_write_on_the_terminal(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a path are shown, not sent."""
    logs.configure(Settings(log_format=log_format))  # type: ignore[arg-type]
    structlog.get_logger("ferryman.test").info("request", path="/a\x1b[2J\nfake line\r\x07")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert not set(written) & {"\x1b", "\r", "\x07"}


@pytest.mark.parametrize("name", ["authorization", "Cookie", "api_token", "s3_secret_key", "password"])
def test_secrets_are_hidden(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A field named like a secret never shows its value."""
    logs.configure(Settings(log_format="json"))
    structlog.get_logger("ferryman.test").info("refused", **{name: "hunter2"})
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_tracebacks_show_no_variables(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The place and the error are enough; values of variables may be anything."""
    logs.configure(Settings(log_format=log_format))  # type: ignore[arg-type]
    hidden = "hunter" + str(1 + 1)
    try:
        raise RuntimeError("went wrong " + str(len(hidden)))
    except RuntimeError:
        structlog.get_logger("ferryman.test").exception("failed")
    written = capsys.readouterr().err
    assert "RuntimeError: went wrong 7" in written
    assert "hunter2" not in written


def test_less_important_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`log_level` is the least important level that is written, of both kinds of loggers."""
    logs.configure(Settings(log_format="json", log_level="warning"))
    structlog.get_logger("ferryman.test").info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger("ferryman.test").warning("loud")
    logging.getLogger("other").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud", "loud"]


def test_the_standard_librarys_loggers_come_out_alike(capsys: pytest.CaptureFixture[str]) -> None:
    """uvicorn's errors are lines like ours; its access log is off, ours tells more."""
    logs.configure(Settings(log_format="json"))
    logging.getLogger("uvicorn.error").warning("something %s", "odd")
    logging.getLogger("uvicorn.access").info("GET /")
    (line,) = lines(capsys)
    assert (line["logger"], line["level"], line["event"]) == ("uvicorn.error", "warning", "something odd")


def test_a_log_that_cannot_be_written_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk behind standard error does not fail an upload."""

    class Full(StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    logs.configure(Settings(log_format="json"))
    structlog.get_logger("ferryman.test").info("hello")
