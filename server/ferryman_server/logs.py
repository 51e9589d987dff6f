"""Logs: lines for people on a terminal, JSON lines everywhere else; both name the request and the upload.

`request_id` and `upload_id` come from :mod:`ferryman_server.request_log`, whatever else a task binds from structlog's
context variables. Everything goes to standard error, one write a line. Loggers of the standard library (uvicorn's) come
out in the same form; uvicorn's access log is off, since the server's own line for each request tells more. Values of
fields that are named like secrets are never written, and tracebacks never show variables.
"""

import logging
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ferryman_server import request_log
from ferryman_server.humane import printable
from ferryman_server.settings import Settings

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_FIRST: Final = ("timestamp", "level", "logger", "event")
SECRET_WORDS: Final = ("authorization", "cookie", "password", "secret", "token", "credential")


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging by `log_format` and `log_level`. May be called again."""
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = LEVELS[settings.log_level]
    request_log.requests.direct = not text and level <= logging.INFO
    structlog.configure(
        processors=[
            _add_ids,
            structlog.contextvars.merge_contextvars,
            _name_logger,
            *_shared(),
            _safe,
            _renderer(text=text),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=StderrLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _safe, _renderer(text=text)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        _inherit(name)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate, access.disabled = [], False, True


class StderrLogger:
    """The innermost logger: writes finished lines to whatever `sys.stderr` is at that moment."""

    def __init__(self, name: str = "ferryman") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Write one line in one call, so that lines of different threads do not mix."""
        with suppress(OSError):  # a full disk or a closed pipe behind the log must not fail an upload
            sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = log = msg


class _Stderr:
    """A stream for the standard library's handler that, too, follows `sys.stderr`."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _shared() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # the plain text: a structured one would carry local variables
    ]


def _renderer(*, text: bool) -> Processor:
    if not text:
        return structlog.processors.JSONRenderer()
    colors = sys.stderr.isatty()
    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )


def _add_ids(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for name, value in request_log.bound().items():
        event.setdefault(name, value)  # a line about another upload says so itself
    return event


def _name_logger(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def _safe(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide secrets, make strangers' text harmless for a terminal, and put what every line has first."""
    ordered: EventDict = {key: event[key] for key in _FIRST if key in event}
    for key, value in event.items():
        if _is_secret(key):
            ordered[key] = "(hidden)"
        else:
            ordered[key] = printable(value) if isinstance(value, str) and key != "exception" else value
    return ordered


@lru_cache(maxsize=256)
def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in SECRET_WORDS)


def _inherit(name: str) -> None:
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [], True
