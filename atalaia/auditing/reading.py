"""The topics, read once, for both halves of the audit: conservation, and windows recounted."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from confluent_kafka import Message, TopicPartition

from atalaia.alerts import AlertEvent
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.promised import reached
from atalaia.auditing.published import Published, latest, order, read_result
from atalaia.auditing.recount import Recount
from atalaia.auditing.report import Audit, windows_report
from atalaia.bundles.folder import Bundle
from atalaia.conservation import examine
from atalaia.errors import BundleError
from atalaia.monitors.units import Watched
from atalaia.records import BundleRecord, ModelRecord, MonitorChange, Observation, TimeMark
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import consumer
from atalaia.stream.deployed import read_bundle_records, read_models
from atalaia.stream.headers import ACCEPTED, MARK, accepted_ms
from atalaia.stream.ledger import read_facts, read_topic
from atalaia.stream.partitioner import partition_of
from atalaia.stream.positions import bounds_of
from atalaia.topics import ALERTS, DRIFT, FAIRNESS, LABELS, OBSERVATIONS, PERFORMANCE, Topic

_TIMEOUT_SECONDS = 15.0
_RESULTS = (DRIFT, PERFORMANCE, FAIRNESS)
_SERVICES = {DRIFT.name: "drift", PERFORMANCE.name: "fairness", FAIRNESS.name: "fairness"}
"""Who publishes what; one service's results have their cuts in common."""
_KEPT_AT_ONCE = 10_000


class Results(NamedTuple):
    """Last revisions, and by partition and service the positions all before which they tell."""

    latest: list[Published]
    reached: Mapping[int, Mapping[str, tuple[int, int]]]


def audit(kafka: KafkaSettings) -> Audit:
    """Hold the log against what is promised of it; results are read first, so that their evidence is there.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer.
    ExtraMissing
        where a library that recomputes figures is not installed.
    """
    events = read_events(kafka)
    results = read_results(kafka)
    recounts = make_recounts(kafka, results, events)

    def observe(partition: int, offset: int, observation: Observation) -> None:
        if partition in recounts:
            recounts[partition].take(offset, observation)

    ends: dict[int, int] = {}
    facts = read_facts(kafka, observe=observe, ends=ends)
    checked = [
        one for partition, recount in recounts.items() for one in recount.finish(ends.get(partition, 0))
    ]
    return Audit(examine(facts), windows_report(checked))


def read_results(kafka: KafkaSettings) -> Results:
    """The last revision of every window on the topics of results, and how far they tell."""
    found: list[Published] = []
    cuts: dict[int, dict[str, list[tuple[int, int, int]]]] = defaultdict(lambda: defaultdict(list))
    for topic in _RESULTS:
        every: list[Published] = []
        for message in read_topic(kafka, topic):
            value = message.value()
            if value is not None:
                published = read_result(topic.name, value)
                partition = partition_of(published.place.stream.model, OBSERVATIONS.partitions)
                cuts[partition][_SERVICES[topic.name]].append(order(published))
                every.append(published)
            if len(every) >= _KEPT_AT_ONCE:
                every = list(latest(every).values())
        found += latest(every).values()
    return Results(found, {partition: reached(of_partition) for partition, of_partition in cuts.items()})


def read_events(kafka: KafkaSettings) -> dict[str, AlertEvent]:
    """The last event of each alert by fingerprint."""
    events: dict[str, AlertEvent] = {}
    for message in read_topic(kafka, ALERTS):
        value = message.value()
        if value is not None:
            event = msgspec.json.decode(value, type=AlertEvent)
            events[event.fingerprint] = event
    return events


def make_recounts(
    kafka: KafkaSettings, results: Results, events: Mapping[str, AlertEvent]
) -> dict[int, Recount]:
    """What recounts the windows of each partition of `observations` that has any.

    ``events`` are those of before the results were read: alerts that have changed since may follow from
    results that were not read, and are left alone.
    """
    by_partition: dict[int, list[Published]] = defaultdict(list)
    for published in results.latest:
        partition = partition_of(published.place.stream.model, OBSERVATIONS.partitions)
        by_partition[partition].append(published)
    if not by_partition:
        return {}
    models = StoredModels(read_models(kafka), read_bundle_records(kafka))
    truth = any(one.place.monitor != DRIFT.name for ones in by_partition.values() for one in ones)
    labels, begun_ms = _read_labels(kafka) if truth else ({}, {})
    begins = _begins(kafka, OBSERVATIONS)
    alerts = {
        mark: event if events.get(mark) == event else None for mark, event in read_events(kafka).items()
    }
    return {
        partition: Recount(
            ones,
            models=models,
            labels=labels.get(partition, LabelLog()),
            begins=begins.get(partition, 0),
            labels_begin_ms=begun_ms.get(partition),
            alerts=alerts,
            reached={
                monitor: positions
                for monitor, service in _SERVICES.items()
                if (positions := results.reached[partition].get(service)) is not None
            },
        )
        for partition, ones in by_partition.items()
    }


class StoredModels:
    """Bundles and references where the records say they lie."""

    def __init__(
        self, records: Mapping[str, ModelRecord], bundles: Mapping[tuple[str, str], BundleRecord]
    ) -> None:
        self._records, self._bundles = records, bundles
        self._read: dict[tuple[str, str, str], Watched | None] = {}

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        """The version, None where its bundle is missing or is not the one of that digest."""
        key = model, version, digest
        if key not in self._read:
            self._read[key] = self._open(model, version, digest)
        return self._read[key]

    def reference(self, change: MonitorChange) -> bytes | None:
        """The content of the reference file that a change names, None where it is missing or differs."""
        if change.reference is None:
            return None
        try:
            content = Path(change.reference.location).read_bytes()
        except OSError:
            return None
        digest = hashlib.sha256(content).hexdigest()
        return content if digest == change.reference.digest.removeprefix("sha256:") else None

    def changes(self, model: str) -> Sequence[MonitorChange]:
        """What the model's record says of its monitors, oldest first."""
        record = self._records.get(model)
        return [] if record is None else record.monitors

    def _open(self, model: str, version: str, digest: str) -> Watched | None:
        place = self._bundles.get((model, version))
        if place is None:
            return None
        try:
            bundle = Bundle.read(Path(place.location))
        except BundleError:
            return None
        return Watched(bundle.manifest, bundle.reference, digest) if bundle.digest == digest else None


def _read_labels(kafka: KafkaSettings) -> tuple[dict[int, LabelLog], dict[int, int]]:
    """The labels of each partition, and since when they are there where earlier ones have expired."""
    begins = _begins(kafka, LABELS)
    logs: dict[int, LabelLog] = defaultdict(LabelLog)
    begun_ms: dict[int, int] = {}
    for message in read_topic(kafka, LABELS):
        partition, offset = message.partition() or 0, message.offset() or 0
        written_ms = message.timestamp()[1]
        if begins.get(partition, 0) > 0:
            begun_ms.setdefault(partition, written_ms)
        _take_label(logs[partition], message, partition, offset, written_ms)
    return dict(logs), begun_ms


def _take_label(log: LabelLog, message: Message, partition: int, offset: int, written_ms: int) -> None:
    value, model = message.value() or b"", (message.key() or b"").decode("utf-8", "replace")
    headers = dict(message.headers() or ())
    if MARK in headers:
        try:
            log.mark(offset, msgspec.json.decode(value, type=TimeMark))
        except msgspec.DecodeError:
            log.skip(offset)
    elif model and partition_of(model, LABELS.partitions) == partition:
        log.add(model, offset, value, written_ms=accepted_ms(headers.get(ACCEPTED), written_ms))
    else:
        log.skip(offset)  # the monitors send it on to its own partition


def _begins(kafka: KafkaSettings, topic: Topic) -> dict[int, int]:
    """The first retained position of each partition."""
    client = consumer(kafka)
    name = kafka.topic_prefix + topic.name
    try:
        return {
            partition: bounds_of(client, TopicPartition(name, partition), timeout_seconds=_TIMEOUT_SECONDS)[0]
            for partition in range(topic.partitions)
        }
    finally:
        client.close()
