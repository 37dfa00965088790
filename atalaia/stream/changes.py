"""Changes of how a model is watched: put in band, then repeated in the model's record."""

from typing import Any

import msgspec

from atalaia.deployments import add_change
from atalaia.errors import UnknownModel
from atalaia.records import ModelRecord, MonitorChange, Observation
from atalaia.settings import KafkaSettings
from atalaia.stream.deployed import read_models, write_model
from atalaia.stream.partitioner import partition_of
from atalaia.stream.publishing import publish
from atalaia.topics import OBSERVATIONS


def read_record(kafka: KafkaSettings, model: str) -> ModelRecord:
    """The record of a model that is deployed.

    Raises
    ------
    UnknownModel
        naming those that are.
    """
    records = read_models(kafka)
    if model not in records:
        known = ", ".join(sorted(records)) or "none"
        raise UnknownModel(f"no model {model!r} is deployed; deployed: {known}")
    return records[model]


def in_force(record: ModelRecord) -> MonitorChange | None:
    """The last change of a model's monitors; it says all that was set."""
    return record.monitors[-1] if record.monitors else None


def overlay_of(record: ModelRecord) -> dict[str, Any]:
    """What is set of a model's monitors beyond its bundle."""
    change = in_force(record)
    return {} if change is None else change.monitors


def put_change(kafka: KafkaSettings, change: MonitorChange) -> MonitorChange:
    """Make a change hold from its own position on; returned with it.

    It holds once it is on `observations`: the model's record only repeats it, for who reads after it has
    expired. So a command that ends between the two has changed the monitors, and is run again to tell.

    Raises
    ------
    StreamUnavailable
        where Kafka does not acknowledge.
    """
    message = Observation(scorer="", ranges=[], models=[], changes=[change])
    partition = partition_of(change.model, OBSERVATIONS.partitions)
    offset = publish(kafka, OBSERVATIONS, message, partition=partition)
    placed = msgspec.structs.replace(change, offset=offset)
    write_model(kafka, add_change(read_record(kafka, change.model), placed))
    return placed
