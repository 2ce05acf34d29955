"""Counters and histograms for paths where a microsecond counts: plain numbers on the event loop's thread, read by Prometheus when it asks.

The client library's own take a lock for each of the several numbers of an observation; ten of them cost as much as checking a statement.
"""
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Count(Collector):
    """A counter with labels. `name` ends in `_total`."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), registry: CollectorRegistry = REGISTRY) -> None:
        """Registers itself."""
        self._name, self._text, self._labels = name.removesuffix("_total"), text, labels
        self._values: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def add(self, number: int, *labels: str) -> None:
        """Count `number` more, under one value for each label."""
        if number:
            self._values[labels] = self._values.get(labels, 0) + number

    def describe(self) -> Iterator[Metric]:
        """Say what is collected, without collecting it."""
        yield CounterMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """Give the values to Prometheus."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in list(self._values.items()):
            family.add_metric(labels, value)
        yield family


class Spread(Collector):
    """A histogram with at most one label."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], label: str | None = None, registry: CollectorRegistry = REGISTRY) -> None:
        """`bounds` are the upper bounds of its buckets, rising, without infinity. Registers itself."""
        self._name, self._text, self._bounds = name, text, list(bounds)
        self._labels = [label] if label else []
        self._values: dict[str, tuple[list[int], list[float]]] = {}
        registry.register(self)

    def add(self, value: float, label: str = "") -> None:
        """Count one observation."""
        found = self._values.get(label)
        if found is None:
            found = self._values[label] = ([0] * (len(self._bounds) + 1), [0.0])
        found[0][bisect_left(self._bounds, value)] += 1
        found[1][0] += value

    def describe(self) -> Iterator[Metric]:
        """Say what is collected, without collecting it."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """Give the values to Prometheus, whose buckets each hold those before."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for label, (counts, total) in list(self._values.items()):
            buckets, so_far = [], 0
            for bound, count in zip([*map(float, self._bounds), float("inf")], counts, strict=True):
                so_far += count
                buckets.append(("+Inf" if bound == float("inf") else str(bound), so_far))
            family.add_metric([label] if self._labels else [], buckets, total[0])
        yield family
