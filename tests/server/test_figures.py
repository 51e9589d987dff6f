"""Figures counted on the event loop: told exactly as prometheus_client tells its own."""

import contextlib

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.registry import Collector

from ferryman_server.figures import Counter, Histogram

BOUNDS = (0.001, 0.3, 10.0)


def told(*figures: Collector) -> str:
    """What Prometheus is told of them."""
    registry = CollectorRegistry()
    for figure in figures:
        registry.register(figure)
    return generate_latest(registry).decode()


@pytest.fixture(autouse=True, scope="module")
def _without_times_of_creation() -> None:
    """Which nobody asks for."""
    disable_created_metrics()  # type: ignore[no-untyped-call]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.integers(0, 10**12)), max_size=20))
def test_labelled_counters_count_as_theirs_do(counted: list[tuple[str, str, int]]) -> None:
    """In the order in which the series came into being."""
    ours = Counter("things", "Things.", ["one", "other"])
    theirs = prometheus_client.Counter("things", "Things.", ["one", "other"], registry=None)
    for one, other, amount in counted:
        ours.labels(one, other).inc(amount)
        theirs.labels(one, other).inc(amount)
    assert told(ours) == told(theirs)


def test_a_counter_without_labels_is_there_from_the_start() -> None:
    """At 0, so that its first increase can be seen."""
    ours = Counter("things", "Things.")
    theirs = prometheus_client.Counter("things", "Things.", registry=None)
    assert told(ours) == told(theirs)
    for counter in (ours, theirs):
        counter.inc()
        counter.inc(2)
    assert told(ours) == told(theirs)


@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100)), max_size=20))
def test_histograms_sort_as_theirs_do(measured: list[float]) -> None:
    """A measurement that is a bound counts below it; what is above all of them is counted too."""
    ours = Histogram("waits", "Waits.", BOUNDS)
    theirs = prometheus_client.Histogram("waits", "Waits.", buckets=BOUNDS, registry=None)
    for seconds in measured:
        ours.observe(seconds)
        theirs.observe(seconds)
    assert told(ours) == told(theirs)


def test_what_fails_is_measured_too() -> None:
    """A sync that takes ten seconds to fail is the one to know about."""
    waits = Histogram("waits", "Waits.", BOUNDS)
    with waits.time():
        pass
    with contextlib.suppress(OSError), waits.time():
        raise OSError
    assert "waits_count 2.0" in told(waits)
