"""What is deployed: the topics `models` and `bundles` read whole, and a model's record written.

Kafka writes whatever it is given, so two who change a record at once both write what they knew and their own
change. Whoever reads the topic takes them together (`merge_records`), and whoever has written looks whether
another has, and writes what both come to: when Kafka keeps only the last, that is the one.
"""

import msgspec
from confluent_kafka import Message, Producer

from atalaia.deployments import merge_records
from atalaia.records import BundleRecord, ModelRecord
from atalaia.settings import KafkaSettings
from atalaia.stream.logs import LogReader
from atalaia.stream.publishing import publish
from atalaia.topics import BUNDLES, MODELS, Topic


def read_models(kafka: KafkaSettings) -> dict[str, ModelRecord]:
    """The record of every model.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer.
    """
    records: dict[str, ModelRecord] = {}
    for message in _read(kafka, MODELS):
        take_model(records, message)
    return records


def take_model(records: dict[str, ModelRecord], message: Message) -> None:
    """The next message of `models`, into what those before it come to.

    Raises
    ------
    msgspec.DecodeError
        where it is no record.
    """
    value = message.value()
    if value is None:
        records.pop((message.key() or b"").decode("utf-8", "replace"), None)
        return
    record = msgspec.json.decode(value, type=ModelRecord)
    records[record.name] = merge_records(records.get(record.name), record)


def read_bundle_records(kafka: KafkaSettings) -> dict[tuple[str, str], BundleRecord]:
    """The latest record of every version's bundle.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer.
    """
    values = (message.value() for message in _read(kafka, BUNDLES))
    found = (msgspec.json.decode(value, type=BundleRecord) for value in values if value is not None)
    return {(record.model, record.version): record for record in found}


def write_model(kafka: KafkaSettings, record: ModelRecord, *, client: Producer | None = None) -> ModelRecord:
    """Write a model's record, and what it comes to with those of others who wrote meanwhile; returns that.

    Raises
    ------
    StreamUnavailable
        where Kafka does not acknowledge.
    """
    publish(kafka, MODELS, record, key=record.name, client=client)
    whole = read_models(kafka)[record.name]
    if whole != record:
        publish(kafka, MODELS, whole, key=record.name, client=client)
    return whole


def _read(kafka: KafkaSettings, topic: Topic) -> list[Message]:
    with LogReader(kafka, (topic,)) as reader:
        return list(reader.read_to_end())
