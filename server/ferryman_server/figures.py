"""Counters and histograms that cost next to nothing to count with: they are counted on the event loop alone.

prometheus_client's own are made for threads and for several processes; a small upload counts seven times, which took a
twentieth of its time. These have the methods of those that are used here, and tell the same series when they are asked.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Series:
    """One counted thing."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        """Count it once, or so many times."""
        self.value += amount


class Counter(Collector):
    """Counts by the values of its labels; a counter without labels counts one thing, from 0."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._series: dict[tuple[str, ...], Series] = {}
        if not labels:
            self.inc = self.labels().inc

    def labels(self, *values: str) -> Series:
        """The series of these values, one for each label; it is there from now on."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Series()
        return series

    def collect(self) -> Iterable[Metric]:
        """What Prometheus is told."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        yield family


class Histogram(Collector):
    """How often a measured time, in seconds, fell below each of some bounds."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = bounds  # rising
        self._counts = [0] * (len(bounds) + 1)  # the last: above all of them
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Note a measurement."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    @contextmanager
    def time(self) -> Iterator[None]:
        """Measure what happens inside the `with`, also when it raises."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - began)

    def collect(self) -> Iterable[Metric]:
        """What Prometheus is told: each bound's count has everything below it in it."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)
