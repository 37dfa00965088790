"""What the scorer measures, all in one place."""

from prometheus_client import Counter, Gauge, Histogram

LABELS = ("model", "version")

ROWS = Counter("atalaia_scorer_rows_total", "Rows answered, abstained ones included", LABELS)
ABSTENTIONS = Counter("atalaia_scorer_abstentions_total", "Rows beyond the applicability cutoff", LABELS)
EXPIRED = Counter("atalaia_scorer_expired_total", "Requests whose deadline had passed when scored", LABELS)
REQUESTS = Counter("atalaia_scorer_requests_total", "Requests answered", LABELS)
REFUSALS = Counter("atalaia_scorer_refusals_total", "Requests that became dead letters", ("reason",))
SHADOW_FAILURES = Counter(
    "atalaia_scorer_shadow_failures_total",
    "Requests that a shadow could not score; others answered them",
    LABELS,
)
DELAY = Histogram(
    "atalaia_scorer_delay_seconds",
    "From a request's Kafka timestamp to its answer; the first request of each batch",
    LABELS,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
SCORING = Histogram(
    "atalaia_scorer_scoring_seconds",
    "Scoring one batch of one version: reading, model, applicability, responses",
    LABELS,
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
BATCH_ROWS = Histogram(
    "atalaia_scorer_batch_rows",
    "Rows of one batch of one version",
    LABELS,
    buckets=(1, 2, 8, 32, 128, 512, 2048, 8192),
)
COMMIT = Histogram(
    "atalaia_scorer_commit_seconds",
    "One transaction, from its begin to its commit",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
COMMITTED_ROWS = Counter("atalaia_scorer_committed_rows_total", "Rows visible to readers of committed data")
ABORTS = Counter("atalaia_scorer_aborts_total", "Transactions aborted and gone back on")
PARTITIONS = Gauge("atalaia_scorer_partitions", "Partitions of requests owned by this scorer")
BEHIND = Gauge(
    "atalaia_scorer_behind_partitions", "Owned partitions whose end was not reached by the last poll"
)
COLLECTION = Histogram(
    "atalaia_scorer_garbage_collection_seconds",
    "Python's cyclic collector, run between batches",
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5),
)
START = Gauge("atalaia_scorer_start_seconds", "When the loop began to consume, in seconds since 1970")
START_CPU = Gauge("atalaia_scorer_start_cpu_seconds", "CPU time the process had taken when the loop began")
LAST_COMMIT = Gauge("atalaia_scorer_last_commit_seconds", "When the last section was committed, since 1970")


class VersionMetrics:
    """The metrics of one version, their labels looked up once: the look-ups cost as much as scoring a row.

    Parameters
    ----------
    model, version : the labels
    """

    def __init__(self, model: str, version: str) -> None:
        self.rows = ROWS.labels(model, version)
        self.abstentions = ABSTENTIONS.labels(model, version)
        self.expired = EXPIRED.labels(model, version)
        self.requests = REQUESTS.labels(model, version)
        self.delay = DELAY.labels(model, version)
        self.scoring = SCORING.labels(model, version)
        self.batch_rows = BATCH_ROWS.labels(model, version)
