"""Our own counters say to Prometheus what its library's would."""
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from services.runtime.tally import Count, Spread


def _lines(registry: CollectorRegistry) -> set[str]:
    return {line for line in generate_latest(registry).decode().splitlines() if "_created" not in line}


def test_a_count_and_a_spread_read_like_the_library_s_own() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    count, spread = Count("x_total", "Text.", ["a", "b"], ours), Spread("y_seconds", "Text.", (0.1, 1, 10), "route", ours)
    counter = Counter("x_total", "Text.", ["a", "b"], registry=theirs)
    histogram = Histogram("y_seconds", "Text.", ["route"], buckets=(0.1, 1, 10), registry=theirs)
    for number, a in ((1, "q"), (2, "r"), (3, "q")):
        count.add(number, a, "z")
        counter.labels(a, "z").inc(number)
    for value in (0.05, 0.1, 0.5, 1, 99):
        spread.add(value, "/a")
        histogram.labels("/a").observe(value)
    assert _lines(ours) == _lines(theirs)


def test_without_labels_there_is_one_value() -> None:
    registry = CollectorRegistry()
    Count("x_total", "Text.", (), registry).add(5)
    Spread("y", "Text.", (1, 2), None, registry).add(1.5)
    assert {"x_total 5.0", 'y_bucket{le="1.0"} 0.0', 'y_bucket{le="2.0"} 1.0', "y_sum 1.5", "y_count 1.0"} <= _lines(registry)
