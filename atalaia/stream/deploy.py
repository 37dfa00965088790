"""Deploying a bundle: checked, stored, recorded on `bundles`, then on `models`."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from confluent_kafka import KafkaException, TopicPartition

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.deployments import add_deployment
from atalaia.errors import BundleError, StreamUnavailable
from atalaia.records import BundleRecord, Deployment, ModelRecord, Role
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.clients import consumer
from atalaia.stream.logs import LogReader
from atalaia.stream.positions import bounds_of
from atalaia.stream.publishing import publish
from atalaia.topics import BUNDLES, MODELS, REQUESTS

LOADING_SECONDS = 1.0
"""Between the record of a bundle and that of its deployment, where another version is being served."""

_TIMEOUT_SECONDS = 15.0


def deploy(bundle_folder: Path, *, settings: Settings, role: Role = "primary") -> ModelRecord:
    """Make a bundle's version answer from the present ends of `requests` on; returns the model's record.

    The same version with the same digest in the same role is no change.

    Raises
    ------
    BundleError
        where the bundle cannot be read, fails its digests or its self-test, or its version is deployed
        with another digest.
    StreamUnavailable
        where Kafka does not acknowledge.
    """
    bundle = Bundle.read(bundle_folder)
    Predictor(bundle).self_test()
    name, version = bundle.manifest.name, bundle.manifest.version
    record = read_models(settings.kafka).get(name)
    deployment = Deployment(
        version=version,
        digest=bundle.digest,
        role=role,
        positions=_end_positions(settings.kafka),
        deployed_at=datetime.now(UTC).isoformat(),
    )
    try:
        changed = add_deployment(record, name, deployment)
    except ValueError as error:
        raise BundleError(str(error)) from error
    if changed is record:
        return changed
    location = _store(bundle, settings.bundles.store)
    bundle_record = BundleRecord(name, version, bundle.digest, str(location), deployment.deployed_at)
    publish(settings.kafka, BUNDLES, bundle_record, key=f"{name}@{version}")
    if record is not None:
        # The services load the bundle meanwhile, so that the version takes over where its record says.
        time.sleep(LOADING_SECONDS)
        deployment = msgspec.structs.replace(deployment, positions=_end_positions(settings.kafka))
        changed = add_deployment(record, name, deployment)
    publish(settings.kafka, MODELS, changed, key=name)
    return changed


def read_models(kafka: KafkaSettings) -> dict[str, ModelRecord]:
    """The latest record of every model."""
    latest: dict[str, ModelRecord] = {}
    with LogReader(kafka, (MODELS,)) as reader:
        for message in reader.read_to_end():
            value = message.value()
            if value is not None:
                record = msgspec.json.decode(value, type=ModelRecord)
                latest[record.name] = record
    return latest


def _end_positions(kafka: KafkaSettings) -> dict[int, int]:
    client = consumer(kafka)
    topic = kafka.topic_prefix + REQUESTS.name
    try:
        partitions = client.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        return {
            partition: bounds_of(client, TopicPartition(topic, partition), timeout_seconds=_TIMEOUT_SECONDS)[
                1
            ]
            for partition in partitions
        }
    except KafkaException as error:
        raise StreamUnavailable(f"Kafka at {kafka.bootstrap_servers} does not answer: {error}") from error
    finally:
        client.close()


def _store(bundle: Bundle, store: Path | None) -> Path:
    """Where the bundle is served from: its copy in the store, or where it lies."""
    if store is None:
        return bundle.folder.resolve()
    name, version = bundle.manifest.name, bundle.manifest.version
    kept = store.resolve() / name / f"{version}-{bundle.digest.removeprefix('sha256:')[:12]}"
    if not kept.exists():
        shutil.copytree(bundle.folder, kept, dirs_exist_ok=False)
    return kept
