"""The gateway's metrics, with a comment on what each measures, and the rules of all services' metrics.

Names are ``atalaia_<service>_<what>_<unit>``. What belongs to a model carries the labels ``model`` and
``version``, everywhere the same two; both are empty where a request named no model that is deployed, so
that a caller cannot make label values. Of several gateway processes, gauges show the sum where they count
and the least where they judge.
"""

from prometheus_client import Counter, Gauge, Histogram

_BY_VERSION = ("model", "version")
_LATENCIES = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304)

# From the first byte of a request to its answer, refusals included; `_count` is the number of requests.
GATEWAY_REQUEST_SECONDS = Histogram(
    "atalaia_gateway_request_seconds",
    "Time from a request to its answer",
    ("route", "status", *_BY_VERSION),
    buckets=_LATENCIES,
)
# Bodies of inference requests as they came.
GATEWAY_REQUEST_BYTES = Histogram(
    "atalaia_gateway_request_bytes", "Size of request bodies", _BY_VERSION, buckets=_SIZES
)
# Bodies of answers to inference requests, problem documents included.
GATEWAY_RESPONSE_BYTES = Histogram(
    "atalaia_gateway_response_bytes", "Size of response bodies", _BY_VERSION, buckets=_SIZES
)
# Rows in the requests that got a reply from a scorer.
GATEWAY_ROWS = Counter("atalaia_gateway_rows_total", "Rows answered", _BY_VERSION)
# Of those rows, the ones beyond the applicability cutoff.
GATEWAY_ABSTAINED_ROWS = Counter(
    "atalaia_gateway_abstained_rows_total",
    "Rows the model did not answer, being out of its domain",
    _BY_VERSION,
)
# Requests that got a problem document, by its code.
GATEWAY_REFUSALS = Counter("atalaia_gateway_refusals_total", "Requests refused", ("reason", *_BY_VERSION))
# Requests published, or about to be, whose reply has not come.
GATEWAY_IN_FLIGHT = Gauge(
    "atalaia_gateway_in_flight_requests", "Requests waiting for their reply", multiprocess_mode="livesum"
)
# Messages the producer holds that Kafka has not acknowledged.
GATEWAY_QUEUE = Gauge(
    "atalaia_gateway_produce_queue_messages",
    "Messages not yet acknowledged by Kafka",
    multiprocess_mode="livesum",
)
# 1 while the gateway's own pings come back through Kafka.
GATEWAY_KAFKA_UP = Gauge(
    "atalaia_gateway_kafka_up", "Whether the gateway hears itself through Kafka", multiprocess_mode="livemin"
)
# Replies nobody waits for any more, or that another gateway on the same partition waits for.
GATEWAY_UNCLAIMED_REPLIES = Counter(
    "atalaia_gateway_unclaimed_replies_total", "Replies that no request of this process waited for"
)
# Model versions this gateway can check requests for.
GATEWAY_MODELS = Gauge(
    "atalaia_gateway_loaded_versions", "Model versions loaded", multiprocess_mode="livemin"
)
# Labels that Kafka holds; `version` is the one whose bundle they were checked against.
GATEWAY_LABELS = Counter("atalaia_gateway_labels_total", "Labels accepted", _BY_VERSION)
# Labels named in a refusal, at most twenty a post; nothing of a post that is refused is taken.
GATEWAY_REFUSED_LABELS = Counter("atalaia_gateway_refused_labels_total", "Labels at fault", _BY_VERSION)
# Windows whose results the monitor routes can serve.
GATEWAY_KEPT_WINDOWS = Gauge(
    "atalaia_gateway_kept_windows",
    "Windows whose latest result is held in memory",
    multiprocess_mode="livemin",
)
# What those results take, compressed.
GATEWAY_KEPT_WINDOW_BYTES = Gauge(
    "atalaia_gateway_kept_window_bytes", "Memory of the results held", multiprocess_mode="livesum"
)
