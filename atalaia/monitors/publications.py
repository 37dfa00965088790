"""What monitors publish, with the names and digests by which it is told apart."""

import hashlib
from typing import Any

import msgspec

from atalaia.alerts import AlertEvent
from atalaia.monitors.units import Publication, Record
from atalaia.records import ModelObservation, Observation
from atalaia.results import Result
from atalaia.topics import ALERTS, DEAD_LETTERS, REQUESTS, Topic


def publish_result(topic: Topic, result: Result) -> Publication:
    """A window's result; its content is all but which revision it is and what it was read up to."""
    window = result.window
    said: dict[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(result).items()
        if name not in ("revision", "cut")
    }
    return Publication(
        topic,
        result.model,
        f"{result.model}/{result.version}/{result.role}/{window.start}/{window.end}",
        msgspec.json.encode(result),
        hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:32],
    )


def publish_event(event: AlertEvent) -> Publication:
    """A change of an alert; the same one is never published twice."""
    return Publication(
        ALERTS, event.fingerprint, event.fingerprint, msgspec.json.encode(event), event.id, once=True
    )


def publish_unreadable(record: Record, detail: str) -> Publication:
    """The dead letter of a message that a monitor cannot read, with its bytes as far as they fit."""
    value = b"" if record.value is None else record.value
    headers = (
        ("topic", record.topic.name),
        ("offset", str(record.offset)),
        ("reason", "unreadable"),
        ("detail", detail[:2_000]),
    )
    return Publication(
        DEAD_LETTERS,
        record.key or "",
        f"{record.topic.name} {record.offset}",
        value if len(value) <= DEAD_LETTERS.max_value_bytes else b"",
        "unreadable",
        once=True,
        headers=tuple((name, text.encode()) for name, text in headers),
    )


def publish_missing_bundle(observation: Observation, section: ModelObservation) -> list[Publication]:
    """Dead letters of rows that cannot be counted: their model's bundle is missing.

    One for each source range with such rows; the rows themselves stay on `observations`.
    """
    partitions = set(section.partition.numpy().tolist())
    who = f"{section.model} {section.version}"
    detail = f"the bundle of {who}, {section.digest}, is missing or another; its rows are not counted"
    letters = []
    for source in observation.ranges:
        if source.partition not in partitions:
            continue
        headers = (
            ("topic", REQUESTS.name),
            ("partition", str(source.partition)),
            ("offset", str(source.start)),
            ("end", str(source.end)),
            ("model", section.model),
            ("version", section.version),
            ("role", section.role),
            ("reason", "bundle_missing"),
            ("detail", detail),
        )
        subject = f"{who} {section.role} {source.partition} {source.start} {source.end}"
        encoded = tuple((name, value.encode()) for name, value in headers)
        letters.append(
            Publication(
                DEAD_LETTERS, section.model, subject, b"", "bundle_missing", once=True, headers=encoded
            )
        )
    return letters
