"""The log read to its committed end, as the facts that `atalaia.conservation` examines."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import msgspec
from confluent_kafka import Message, TopicPartition

from atalaia.conservation import Facts, Letter, Observed, ObservedRequest, Retained
from atalaia.inference.protocol import decode_response
from atalaia.inference.responses import EXPIRED, abstained_rows
from atalaia.records import ModelObservation, Observation, Outcome
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import consumer
from atalaia.stream.logs import LogReader
from atalaia.stream.positions import bounds_of
from atalaia.topics import DEAD_LETTERS, OBSERVATIONS, PREDICTIONS, REQUESTS, Topic

_TIMEOUT_SECONDS = 15.0
_OF_MONITORS = {"bundle_missing"}
"""Reasons of dead letters that monitors write of rows that were answered."""

Observe = Callable[[int, int, Observation], None]
"""Takes partition, offset and content of a message."""


def read_facts(
    kafka: KafkaSettings, *, observe: Observe | None = None, ends: dict[int, int] | None = None
) -> Facts:
    """All facts; outcomes before requests, so that a log still being written is no false alarm.

    Parameters
    ----------
    observe : is handed each message of `observations` too, in log order within each partition
    ends : is told where each of their partitions ended

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer.
    """
    observations = _read_observations(kafka, observe, {} if ends is None else ends)
    letters = [
        letter for message in read_topic(kafka, DEAD_LETTERS) if (letter := read_letter(kafka, message))
    ]
    predictions: dict[bytes, list[Outcome]] = defaultdict(list)
    for message in read_topic(kafka, PREDICTIONS):
        value = message.value()
        if value is not None:
            predictions[message.key() or b""].append(outcome_of(value))
    return Facts(_read_requests(kafka), observations, letters, predictions)


def read_topic(kafka: KafkaSettings, topic: Topic) -> Iterator[Message]:
    """Committed messages up to the ends as they are found, in log order within each partition."""
    with LogReader(kafka, (topic,)) as reader:
        yield from reader.read_to_end()


def observed(partition: int, offset: int, record: Observation) -> Observed:
    """What a message of `observations` says of requests."""
    answering = (model for model in record.models if model.role != "shadow")
    requests = [request for model in answering for request in _observed_requests(model)]
    requests += [
        ObservedRequest(entry.mark.model or "", entry.partition, entry.offset, "", "mark")
        for entry in record.marks
    ]
    return Observed(partition, offset, record.ranges, requests)


def read_letter(kafka: KafkaSettings, message: Message) -> Letter | None:
    """A dead letter of `requests`; None where it came from another topic."""
    headers = dict(message.headers() or ())
    topic, partition, offset, reason = (
        value.decode() if isinstance(value := headers.get(name), bytes) else ""
        for name in ("topic", "partition", "offset", "reason")
    )
    if topic != kafka.topic_prefix + REQUESTS.name or reason in _OF_MONITORS:
        return None
    return Letter(int(partition), int(offset), reason)


def outcome_of(prediction: bytes) -> Outcome:
    """What a prediction says became of its request."""
    response = decode_response(prediction)
    if response.error is not None:
        return "failed"
    if (response.parameters or {}).get(EXPIRED):
        return "expired"
    return "abstained" if _all_abstained(abstained_rows(response)) else "answered"


def _read_observations(kafka: KafkaSettings, observe: Observe | None, ends: dict[int, int]) -> list[Observed]:
    decode = msgspec.json.Decoder(Observation).decode
    found = []
    with LogReader(kafka, (OBSERVATIONS,)) as reader:
        for message in reader.read_to_end():
            partition, offset = message.partition() or 0, message.offset() or 0
            record = decode(message.value() or b"")
            found.append(observed(partition, offset, record))
            if observe is not None:
                observe(partition, offset, record)
        ends.update({partition: end for (_, partition), end in reader.ends.items()})
    return found


def _observed_requests(model: ModelObservation) -> Iterator[ObservedRequest]:
    abstained = model.abstained.numpy().tolist()
    row = 0
    for partition, offset, request_id, rows, expired in zip(
        model.partition.numpy().tolist(),
        model.offset.numpy().tolist(),
        model.id,
        model.rows.numpy().tolist(),
        model.expired.numpy().tolist(),
        strict=True,
    ):
        outcome: Outcome = "answered"
        if expired:
            outcome = "expired"
        elif _all_abstained(abstained[row : row + rows]):
            outcome = "abstained"
        row += rows
        yield ObservedRequest(model.model, partition, offset, request_id, outcome)


def _all_abstained(rows: list[bool]) -> bool:
    return bool(rows) and all(rows)


def _read_requests(kafka: KafkaSettings) -> dict[int, Retained]:
    keys: dict[int, dict[int, bytes | None]] = defaultdict(dict)
    for message in read_topic(kafka, REQUESTS):
        keys[message.partition() or 0][message.offset() or 0] = message.key()
    client = consumer(kafka)
    topic = kafka.topic_prefix + REQUESTS.name
    try:
        retained = {}
        for partition in client.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions:
            place = TopicPartition(topic, partition)
            start, end = bounds_of(client, place, timeout_seconds=_TIMEOUT_SECONDS)
            retained[partition] = Retained(start, end, keys[partition])
        return retained
    finally:
        client.close()
