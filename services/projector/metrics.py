"""What the projector counts, for Prometheus. Lag is measured by whoever serves /metrics, from the log's end, never by the worker about itself."""
from prometheus_client import Counter, Gauge, Histogram

_LABELS = ("projection", "partition")

STATEMENTS = Counter("testamur_projected_statements", "Statements folded and committed.", _LABELS)
_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RUNS = Histogram("testamur_projection_run_seconds", "Time to fold and commit a run.", ("projection",), buckets=_BUCKETS_S)
TICKS = Counter("testamur_ticks", "Ticks given to idle partitions.", ("partition",))
RETRIES = Counter("testamur_projection_retries", "Runs begun again after a passing error.", _LABELS)
FENCED = Counter("testamur_projection_fenced", "Leases found lost.", _LABELS)
CONFLICTS = Counter("testamur_conflicts", "Copies of an id with other content that lost.", _LABELS)
DEAD_LETTERS = Counter("testamur_dead_letters", "Statements set aside.", _LABELS)
HALTED = Gauge("testamur_projection_halted", "1 while this process knows the partition to stand still.", _LABELS)
LEASES = Gauge("testamur_projection_leases", "Cursors this process holds.")
