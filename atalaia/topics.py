"""All topics in one place: names, keys, values, partitions, retention, who writes and who reads.

Creation, checks and the AsyncAPI document read this table; nothing else names a topic.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from atalaia.alerts import AlertEvent, SilenceRecord
from atalaia.inference.protocol import InferRequest, InferResponse
from atalaia.records import BundleRecord, Label, ModelRecord, Observation
from atalaia.results import DriftResult, FairnessResult, PerformanceResult

DAY_MS = 86_400_000
MAX_REQUEST_BYTES = 1_048_576
MAX_RESPONSE_BYTES = 8_388_608
MAX_OBSERVATION_BYTES = 33_554_432
MAX_REQUEST_OBSERVATION_BYTES = MAX_OBSERVATION_BYTES // 4
"""What one request may add to an observation: a section is cut before several of them make it too large."""
HEADROOM_BYTES = 65_536
"""What key, headers and framing may add to a value."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    ``value`` is the record type of its messages, None for raw bytes. ``partitions`` of `observations`
    and `labels` are equal and must never change: a model's one partition is its total order.
    """

    name: str
    summary: str
    key: str
    value: type[msgspec.Struct] | None
    partitions: int
    retention_ms: int
    max_value_bytes: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"

    def settings(self, *, replication_factor: int) -> dict[str, str]:
        """Kafka's own names for the settings of this topic."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_value_bytes + HEADROOM_BYTES),
            "min.insync.replicas": "2" if replication_factor >= 3 else "1",
            "message.timestamp.type": "CreateTime",
        }


REQUESTS = Topic(
    name="requests",
    summary="Inference requests, by the gateway or written straight by producers",
    key="request id",
    value=InferRequest,
    partitions=4,
    retention_ms=7 * DAY_MS,
    max_value_bytes=MAX_REQUEST_BYTES,
    producers=("gateway", "producers"),
    consumers=("scorer", "audit"),
)
PREDICTIONS = Topic(
    name="predictions",
    summary="One answer a request, also for abstentions and failures",
    key="request id",
    value=InferResponse,
    partitions=4,
    retention_ms=7 * DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("scorer",),
    consumers=("consumers", "audit"),
)
REPLIES = Topic(
    name="replies",
    summary="Answers on their way back to the gateway process that waits; a partition is an address",
    key="request id",
    value=InferResponse,
    partitions=8,
    retention_ms=DAY_MS // 24,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("scorer", "gateway"),
    consumers=("gateway",),
)
RESULTS = Topic(
    name="results",
    summary="Answers kept to be fetched: of asynchronous requests, and of those with an Idempotency-Key",
    key="request id",
    value=InferResponse,
    partitions=4,
    retention_ms=DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("scorer",),
    consumers=("gateway",),
)
OBSERVATIONS = Topic(
    name="observations",
    summary="Columnar micro-batches of what was asked and answered; what every monitor reads",
    key="none: the partition is the model's",
    value=Observation,
    partitions=4,
    retention_ms=30 * DAY_MS,
    max_value_bytes=MAX_OBSERVATION_BYTES,
    producers=("scorer", "atalaia monitors"),
    consumers=("drift", "fairness", "alerts", "audit"),
)
MODELS = Topic(
    name="models",
    summary="Deployments: versions, roles and the positions from which they apply",
    key="model",
    value=ModelRecord,
    partitions=1,
    retention_ms=-1,
    max_value_bytes=MAX_REQUEST_BYTES,
    producers=("atalaia up", "atalaia models", "atalaia monitors"),
    consumers=("gateway", "scorer", "drift", "fairness", "alerts", "audit"),
    cleanup="compact",
)
BUNDLES = Topic(
    name="bundles",
    summary="Where each version's bundle lies and its digest",
    key="model@version",
    value=BundleRecord,
    partitions=1,
    retention_ms=-1,
    max_value_bytes=MAX_REQUEST_BYTES,
    producers=("atalaia up", "atalaia models"),
    consumers=("gateway", "scorer", "drift", "fairness", "alerts", "audit"),
    cleanup="compact",
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    summary="Messages that could not be processed: the original bytes; headers say where from and why",
    key="the original key",
    value=None,
    partitions=1,
    retention_ms=30 * DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("scorer", "drift", "fairness", "alerts"),
    consumers=("people on call", "audit"),
)

LABELS = Topic(
    name="labels",
    summary="Late truth: one label, a list of them, or columns; later ones replace earlier ones",
    key="model",
    value=Label,
    partitions=OBSERVATIONS.partitions,
    retention_ms=30 * DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("gateway", "producers", "atalaia labels", "atalaia replay"),
    consumers=("fairness", "audit"),
)
DRIFT = Topic(
    name="drift",
    summary="Drift of inputs and answers, one result a window and its revisions",
    key="model",
    value=DriftResult,
    partitions=1,
    retention_ms=90 * DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("drift",),
    consumers=("gateway", "consumers", "audit"),
)
PERFORMANCE = Topic(
    name="performance",
    summary="How well a version does by the truth that has come, one result a window and its revisions",
    key="model",
    value=PerformanceResult,
    partitions=1,
    retention_ms=90 * DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("fairness",),
    consumers=("gateway", "consumers", "audit"),
)
FAIRNESS = Topic(
    name="fairness",
    summary="What groups of rows are given and how that compares, one result a window and its revisions",
    key="model",
    value=FairnessResult,
    partitions=1,
    retention_ms=90 * DAY_MS,
    max_value_bytes=MAX_RESPONSE_BYTES,
    producers=("fairness",),
    consumers=("gateway", "consumers", "audit"),
)
ALERTS = Topic(
    name="alerts",
    summary="Alerts as they become pending, fire and are resolved",
    key="fingerprint",
    value=AlertEvent,
    partitions=1,
    retention_ms=90 * DAY_MS,
    max_value_bytes=MAX_REQUEST_BYTES,
    producers=("drift", "fairness", "alerts"),
    consumers=("alerts", "gateway", "consumers"),
)
SILENCES = Topic(
    name="silences",
    summary="Silences and acknowledgements of alerts",
    key="id",
    value=SilenceRecord,
    partitions=1,
    retention_ms=-1,
    max_value_bytes=MAX_REQUEST_BYTES,
    producers=("gateway",),
    consumers=("gateway", "alerts"),
    cleanup="compact",
)
TOPICS: tuple[Topic, ...] = (
    REQUESTS,
    PREDICTIONS,
    REPLIES,
    RESULTS,
    LABELS,
    OBSERVATIONS,
    DRIFT,
    PERFORMANCE,
    FAIRNESS,
    ALERTS,
    SILENCES,
    MODELS,
    BUNDLES,
    DEAD_LETTERS,
)
