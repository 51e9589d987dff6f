"""Figures for Prometheus, in a registry of our own: nothing of another library's ends up on `/metrics`.

Labels take few values each: never an upload's id, and a method that is not one of HTTP's counts as `other`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from ferryman_protocol._version import __version__
from ferryman_protocol.model import Phase
from ferryman_server.events import NAMES, STEPS, Event
from ferryman_server.figures import Counter, Histogram
from ferryman_server.media.stage_names import STAGES
from ferryman_server.state.base import State
from ferryman_server.storage.base import Store
from ferryman_server.threads import in_thread

log = structlog.get_logger("ferryman.claims")

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
# seconds: from a fast flash disk's sync (0.1 ms) to a network disk in trouble (10 s)
BUCKETS: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Metrics:
    """Every figure. To be counted with on the event loop."""

    def __init__(self) -> None:
        self._answered = Counter("ferryman_requests", "Requests answered.", ["method", "status"])
        self.received_bytes = Counter("ferryman_received_bytes", "Body bytes received, before decoding.", ["dialect"])
        self.stored_bytes = Counter("ferryman_stored_bytes", "Bytes made durable in the store.")
        self.uploads = Counter("ferryman_uploads", "What happened to uploads.", ["event"])
        self.transfers_in_flight = Gauge(
            "ferryman_transfers_in_flight", "Requests whose body is being received.", registry=None
        )
        self.takeovers = Counter("ferryman_takeovers", "Requests that took an upload over from an earlier one.")
        self._claim_wait_seconds = Histogram(
            "ferryman_claim_wait_seconds",
            "Time that a request waited for another one to let go of its upload.",
            BUCKETS,
        )
        self.sync_seconds = Histogram("ferryman_sync_seconds", "Time to make bytes durable.", BUCKETS)
        self.commit_seconds = Histogram("ferryman_commit_seconds", "Time to commit to the database.", BUCKETS)
        self.archive_seconds: dict[str, Histogram] = {
            stage: Histogram(f"ferryman_archive_{stage}_seconds", f"Time {what}.", BUCKETS)
            for stage, what in STAGES.items()
        }
        self._jobs = Counter("ferryman_jobs", "Background jobs, by kind and by what came of them.", ["kind", "outcome"])
        self.refusals = Counter("ferryman_refusals", "Requests refused, by the catalogue's code.", ["code"])
        build = Info("ferryman_build", "The version that runs.", registry=None)
        build.info({"version": __version__})
        self._standing = _Standing()
        self._registry = CollectorRegistry()
        for figure in (
            self._answered,
            self.received_bytes,
            self.stored_bytes,
            self.uploads,
            self.transfers_in_flight,
            self.takeovers,
            self._claim_wait_seconds,
            self.sync_seconds,
            self.commit_seconds,
            self.refusals,
            self._jobs,
            *self.archive_seconds.values(),
            build,
            self._standing,
        ):
            self._registry.register(figure)
        for name in NAMES:
            if name not in STEPS:
                self.uploads.labels(name)  # a series that is there from the start at 0 can be alerted on

    def count_request(self, method: str, status: int) -> None:
        """Count an answered request."""
        self._answered.labels(method if method in METHODS else "other", str(status)).inc()

    def claim_waited(self, upload_id: str, seconds: float) -> None:
        """Count, and log, that a request waited for its turn at an upload."""
        self._claim_wait_seconds.observe(seconds)
        log.info("a request waited for another one", upload_id=upload_id, ms=round(seconds * 1000, 1))

    def count_job(self, kind: str, outcome: str) -> None:
        """Count a job that was done, has failed or was given up."""
        self._jobs.labels(kind, outcome).inc()

    def listen(self, event: Event) -> None:
        """Count what happened to uploads; subscribe this to the events. A step is not an occurrence of its own."""
        if event.name not in STEPS:
            self.uploads.labels(event.name).inc()

    async def scrape(self, state: State, store: Store) -> tuple[bytes, str]:
        """Ask state and store how things stand, then render. Raises StateError or StoreError."""
        self._standing.phases = await state.counts()
        self._standing.free_bytes = await in_thread(store.free_bytes)
        return self.render()

    def render(self) -> tuple[bytes, str]:
        """The answer of `/metrics`: the text and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


class _Standing(Collector):
    """Gauges that are asked for when somebody looks, instead of being kept up to date."""

    def __init__(self) -> None:
        self.phases: Mapping[str, int] = {}
        self.free_bytes: int | None = None

    def collect(self) -> Iterable[Metric]:
        uploads = GaugeMetricFamily("ferryman_uploads", "Uploads that have a row, by phase.", labels=["phase"])
        for phase in Phase:
            uploads.add_metric([phase.value], self.phases.get(phase.value, 0))
        yield uploads
        if self.free_bytes is not None:
            yield GaugeMetricFamily("ferryman_free_bytes", "Room left in the store.", value=self.free_bytes)
