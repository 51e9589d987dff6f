"""Figures for Prometheus: present from the start, countable, and without anything that grows with the uploads."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from ferryman_protocol.model import Phase
from ferryman_server.events import Event
from ferryman_server.metrics import Metrics
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.memory import MemoryStore
from tests.server.data_folder import record_of


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values) → value, by Prometheus's own parser."""
    text = metrics.render()[0].decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_is_there() -> None:
    """The names are part of what dashboards rely on."""
    metrics = Metrics()
    metrics.count_request("PATCH", 204)
    metrics.received_bytes.labels("tus").inc(5)
    metrics.refusals.labels("not-found").inc()
    names = {name for name, _ in samples(metrics)}
    assert names >= {
        "ferryman_requests_total",
        "ferryman_received_bytes_total",
        "ferryman_stored_bytes_total",
        "ferryman_uploads_total",
        "ferryman_uploads",
        "ferryman_transfers_in_flight",
        "ferryman_takeovers_total",
        "ferryman_sync_seconds_bucket",
        "ferryman_commit_seconds_bucket",
        "ferryman_refusals_total",
        "ferryman_build_info",
    }
    assert all(name.startswith("ferryman_") and not name.endswith("_created") for name in names)


def test_requests_are_counted_by_method_and_status() -> None:
    """A method that is not one of HTTP's cannot make a series of its own."""
    metrics = Metrics()
    for method in ("PATCH", "PATCH", "x" * 50, "BREW"):
        metrics.count_request(method, 204)
    found = samples(metrics)
    assert found["ferryman_requests_total", ("PATCH", "204")] == 2
    assert found["ferryman_requests_total", ("other", "204")] == 2


def test_events_are_counted_without_their_uploads() -> None:
    """Every name has its series from the start; ids are no labels; progress is no event of its own."""
    metrics = Metrics()
    assert samples(metrics)["ferryman_uploads_total", ("failed",)] == 0
    for number in range(3):
        metrics.listen(Event("created", str(number), 1.0))
        metrics.listen(Event("progress", str(number), 1.0))
    found = samples(metrics)
    assert found["ferryman_uploads_total", ("created",)] == 3
    assert ("ferryman_uploads_total", ("progress",)) not in found


async def test_a_scrape_asks_state_and_store(tmp_path: Path) -> None:
    """Uploads by phase and free room are asked for when somebody looks."""
    store = MemoryStore(capacity=1000)
    state = SqliteState(tmp_path / "state.db", store_id=store.store_id)
    await state.open()
    metrics = Metrics()
    try:
        await state.create(record_of(1, Phase.EMPTY))
        text, media_type = await metrics.scrape(state, store)
    finally:
        await state.close()
    found = samples(metrics)
    assert found["ferryman_uploads", ("empty",)] == 1
    assert found["ferryman_uploads", ("complete",)] == 0
    assert found["ferryman_free_bytes", ()] == 1000
    assert text.endswith(b"\n")
    assert media_type.startswith("text/plain; version=0.0.4")


async def test_a_store_without_bounds_has_no_figure_for_room(tmp_path: Path) -> None:
    """What cannot be known is left out, not guessed."""
    store = MemoryStore()
    state = SqliteState(tmp_path / "state.db", store_id=store.store_id)
    await state.open()
    metrics = Metrics()
    try:
        await metrics.scrape(state, store)
    finally:
        await state.close()
    assert ("ferryman_free_bytes", ()) not in samples(metrics)


def test_two_servers_in_one_process_do_not_share_figures() -> None:
    """Each has its own registry."""
    one, other = Metrics(), Metrics()
    one.takeovers.inc()
    assert samples(other)["ferryman_takeovers_total", ()] == 0
