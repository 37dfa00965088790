"""Every metric of every service, with a comment on what it measures.

Names are ``atalaia_<service>_<what>_<unit>``. What belongs to a model carries the labels ``model`` and
``version``, everywhere the same two; both are empty where a request named no model that is deployed, so
that a caller cannot make label values.
"""

from prometheus_client import Counter, Gauge, Histogram

_BY_VERSION = ("model", "version")
_LATENCIES = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304)
_ROWS = (1, 2, 8, 32, 128, 512, 2_048, 8_192, 32_768)

# -- gateway ---------------------------------------------------------------------------------------------

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
GATEWAY_IN_FLIGHT = Gauge("atalaia_gateway_in_flight_requests", "Requests waiting for their reply")
# Messages the producer holds that Kafka has not acknowledged.
GATEWAY_QUEUE = Gauge("atalaia_gateway_produce_queue_messages", "Messages not yet acknowledged by Kafka")
# 1 while the gateway's own pings come back through Kafka.
GATEWAY_KAFKA_UP = Gauge("atalaia_gateway_kafka_up", "Whether the gateway hears itself through Kafka")
# Replies nobody waits for any more, or that another gateway on the same partition waits for.
GATEWAY_UNCLAIMED_REPLIES = Counter(
    "atalaia_gateway_unclaimed_replies_total", "Replies that no request of this process waited for"
)
# Model versions this gateway can check requests for.
GATEWAY_MODELS = Gauge("atalaia_gateway_loaded_versions", "Model versions loaded")

# -- scorer ----------------------------------------------------------------------------------------------

# Requests by what became of them: answered, abstained, failed, expired.
SCORER_REQUESTS = Counter("atalaia_scorer_requests_total", "Requests scored", ("outcome", *_BY_VERSION))
# Rows scored.
SCORER_ROWS = Counter("atalaia_scorer_rows_total", "Rows scored", _BY_VERSION)
# Rows beyond the applicability cutoff.
SCORER_ABSTAINED_ROWS = Counter(
    "atalaia_scorer_abstained_rows_total", "Rows out of the model's domain", _BY_VERSION
)
# Rows of one model scored together.
SCORER_BATCH_ROWS = Histogram(
    "atalaia_scorer_batch_rows", "Rows scored in one run of a model", _BY_VERSION, buckets=_ROWS
)
# One run of a model over a batch, applicability included.
SCORER_SCORE_SECONDS = Histogram(
    "atalaia_scorer_score_seconds", "Time to score a batch", _BY_VERSION, buckets=_LATENCIES
)
# Sending the consumed positions and committing the transaction.
SCORER_COMMIT_SECONDS = Histogram(
    "atalaia_scorer_commit_seconds", "Time to commit a transaction", buckets=_LATENCIES
)
# Transactions given up and done again from their first message.
SCORER_ABORTS = Counter("atalaia_scorer_aborts_total", "Transactions aborted")
# Messages that could not be processed, by reason.
SCORER_DEAD_LETTERS = Counter("atalaia_scorer_dead_letters_total", "Dead letters", ("reason",))
# Replies that could not be sent; their predictions are on `predictions` all the same.
SCORER_REPLY_FAILURES = Counter("atalaia_scorer_reply_failures_total", "Replies that could not be sent")
# Messages of `requests` behind the end of a partition this scorer owns.
SCORER_LAG = Gauge("atalaia_scorer_lag_messages", "Messages not yet processed", ("partition",))
# Model versions this scorer can answer with.
SCORER_MODELS = Gauge("atalaia_scorer_loaded_versions", "Model versions loaded")
