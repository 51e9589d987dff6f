"""The ping: a server that stands still makes every request late that was due meanwhile."""

import threading
from collections.abc import Callable

import pytest

from bench.errors import CannotMeasure
from bench.ping import pinging

FINE = "HTTP/1.1 204 No Content\n\n"


def test_pings_are_answered_and_counted(scripted: Callable[..., int]) -> None:
    """The figures are in order, and the slowest is the maximum."""
    with pinging(scripted(*[FINE] * 2000), "/files/") as stop:
        threading.Event().wait(0.2)
        told = stop()
    assert told["pings"] > 1
    assert 0 < told["ping_p50_ms"] <= told["ping_p99_ms"] <= told["ping_max_ms"]


def test_wrong_answer_to_a_ping_is_an_error(scripted: Callable[..., int]) -> None:
    """A refusal is no latency."""
    with pinging(scripted(FINE, "HTTP/1.1 405 Method Not Allowed\nContent-Length: 0\n\n"), "/files/") as stop:
        threading.Event().wait(0.2)
        with pytest.raises(CannotMeasure, match=r"OPTIONS /files/: expected 200 or 204, got: HTTP/1.1 405"):
            stop()
