"""Deployments: a bundle checked, stored, recorded on `bundles`, marked on `requests`, recorded on `models`.

A version takes over exactly where its record says. Before the record, a mark is written to every partition
of `requests`; its position is the one from which the deployment holds. A scorer that meets the mark waits for
the record, so nothing beyond it is answered by who answered before, whichever scorer reads it, now or again.
"""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog
from confluent_kafka import KafkaException, Message, Producer, TopicPartition

from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import Manifest
from atalaia.deployments import add_deployment, current_primary, deployed_version, previous_primary
from atalaia.errors import BundleError, SettingsError, StreamUnavailable, UnknownModel
from atalaia.monitors.configuration import monitor_settings
from atalaia.records import BundleRecord, Deployment, DeploymentRole, ModelRecord, Role, TimeMark
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.clients import consumer, producer
from atalaia.stream.deadletters import Headers
from atalaia.stream.deployed import read_bundle_records, read_models, write_model
from atalaia.stream.headers import MARK
from atalaia.stream.positions import bounds_of
from atalaia.stream.publishing import publish
from atalaia.topics import BUNDLES, MODELS, REQUESTS

_log = structlog.get_logger()

LOADING_SECONDS = 1.0
"""Between the record of a bundle and that of its deployment, where another version is being served."""

_TIMEOUT_SECONDS = 15.0
_ANNOUNCED_SECONDS = 3.0
"""A record later than this after its marks is not written: scorers have gone on without it soon after."""


def deploy(
    bundle_folder: Path, *, settings: Settings, role: Role = "primary", weight: float | None = None
) -> ModelRecord:
    """Make a bundle's version take part in requests from here on; returns the model's record.

    The same version with the same digest in the same role and share is no change.

    Parameters
    ----------
    weight : of a canary, the percentage of requests it answers

    Raises
    ------
    BundleError
        where the bundle cannot be read, fails its digests or its self-test, its version is deployed with
        another digest, it takes other rows than the primary beside which it is to serve, or its monitors
        could not be run as it says.
    StreamUnavailable
        where Kafka does not acknowledge.
    """
    # Brings the model runtime, which who only changes roles has no use for.
    from atalaia.bundles.predictor import Predictor  # noqa: PLC0415

    bundle = Bundle.read(bundle_folder)
    Predictor(bundle).self_test()
    _check_monitors(bundle.manifest)
    name, version = bundle.name, bundle.version
    record = read_models(settings.kafka).get(name)
    deployment = _deployment(version, bundle.digest, role, weight if role == "canary" else None)
    if role != "primary" and record is not None:
        _check_alike(settings.kafka, record, bundle.manifest)
    if _added(record, name, deployment) is record and record is not None:
        return record
    location = _store(bundle, settings.bundles.store)
    bundle_record = BundleRecord(name, version, bundle.digest, str(location), deployment.deployed_at)
    publish(settings.kafka, BUNDLES, bundle_record, key=f"{name}@{version}")
    if record is None:
        first = msgspec.structs.replace(deployment, positions=_end_positions(settings.kafka))
        return write_model(settings.kafka, _added(None, name, first))
    # The services load the bundle meanwhile, so that the version takes over where its record says.
    time.sleep(LOADING_SECONDS)
    return _take_effect(settings.kafka, record, deployment)


def promote(name: str, version: str, *, kafka: KafkaSettings) -> ModelRecord:
    """Make a deployed version the primary.

    Raises
    ------
    UnknownModel
        where it is not deployed.
    """
    return _change(name, version, "primary", kafka=kafka)


def rollback(name: str, *, kafka: KafkaSettings) -> ModelRecord:
    """Make the version that answered before the present primary answer again.

    Raises
    ------
    UnknownModel
        where there was none.
    """
    record = _known(name, kafka)
    before = previous_primary(record)
    if before is None:
        raise UnknownModel(f"no version of {name} answered before the present one; deploy another")
    return _take_effect(kafka, record, _deployment(before.version, before.digest, "primary"))


def retire(name: str, version: str, *, kafka: KafkaSettings) -> ModelRecord:
    """Take a version out; without its primary a model answers nobody.

    Raises
    ------
    UnknownModel
        where it is not deployed.
    """
    return _change(name, version, "retired", kafka=kafka)


def restore(name: str, version: str, *, kafka: KafkaSettings) -> ModelRecord:
    """Make a version the primary that is deployed, or was until it was retired.

    Raises
    ------
    UnknownModel
        where it never was.
    """
    record = _known(name, kafka)
    known = next((entry for entry in reversed(record.deployments) if entry.version == version), None)
    if known is None:
        raise _unknown_version(record, version)
    return _take_effect(kafka, record, _deployment(version, known.digest, "primary"))


def _known(name: str, kafka: KafkaSettings) -> ModelRecord:
    models = read_models(kafka)
    if name not in models:
        known = ", ".join(sorted(models)) or "none"
        raise UnknownModel(f"no model {name!r} is deployed; deployed: {known}")
    return models[name]


def _change(name: str, version: str, role: DeploymentRole, *, kafka: KafkaSettings) -> ModelRecord:
    record = _known(name, kafka)
    present = deployed_version(record, version)
    if present is None:
        raise _unknown_version(record, version)
    return _take_effect(kafka, record, _deployment(version, present.digest, role))


def _unknown_version(record: ModelRecord, version: str) -> UnknownModel:
    known = ", ".join(dict.fromkeys(entry.version for entry in record.deployments))
    return UnknownModel(f"model {record.name!r} has no version {version[:80]!r} deployed; it had {known}")


def _deployment(version: str, digest: str, role: DeploymentRole, weight: float | None = None) -> Deployment:
    return Deployment(version, digest, role, {}, datetime.now(UTC).isoformat(), weight)


def _added(record: ModelRecord | None, name: str, deployment: Deployment) -> ModelRecord:
    try:
        return add_deployment(record, name, deployment)
    except ValueError as error:
        raise BundleError(str(error)) from error


def _check_monitors(manifest: Manifest) -> None:
    """Monitors would leave out what does not fit, and nobody would hear of it but their log."""
    try:
        settings = monitor_settings(manifest.monitors)
        # Brings scipy and river, of an extra that a machine without monitors lacks.
        from atalaia.monitors.checks import check_settings  # noqa: PLC0415

        check_settings(settings, manifest)
    except SettingsError as error:
        raise BundleError(
            f"{manifest.name} {manifest.version} cannot be watched as its bundle's [monitors] say: {error}"
        ) from error
    except ImportError as error:
        _log.debug("settings of monitors are not checked further", missing=error.name)


def _check_alike(kafka: KafkaSettings, record: ModelRecord, manifest: Manifest) -> None:
    """A canary or shadow gets the primary's requests, so it has to take them."""
    primary = current_primary(record)
    if primary is None:
        return
    location = read_bundle_records(kafka)[record.name, primary.version].location
    theirs = Bundle.read(Path(location)).manifest
    beside = f"{record.name} {manifest.version} is to serve beside the primary {primary.version}"
    ours, others = (
        {feature.name: (feature.datatype, feature.missing) for feature in one.features}
        for one in (manifest, theirs)
    )
    wrong = [name for name in (*others, *ours) if ours.get(name) != others.get(name)]
    if wrong or list(ours) != list(others):
        raise BundleError(
            f"{beside}, but takes other features ({', '.join(dict.fromkeys(wrong)) or 'in another order'}): "
            "deploy it as primary, or under a name of its own"
        )
    if theirs.classes != manifest.classes:
        raise BundleError(
            f"{beside}, but has other classes ({list(manifest.classes)}, expected {list(theirs.classes)}): "
            "deploy it as primary, or under a name of its own"
        )


def _take_effect(kafka: KafkaSettings, record: ModelRecord, deployment: Deployment) -> ModelRecord:
    """Mark where a deployment begins, and record it there; the same record where nothing changes."""
    if _added(record, record.name, deployment) is record:
        return record
    # One client for both, since scorers wait from the first mark to the record.
    client = producer(kafka, **{"linger.ms": 0})
    client.list_topics(kafka.topic_prefix + MODELS.name, timeout=_TIMEOUT_SECONDS)
    began = time.monotonic()
    positions = _announce(client, kafka, record.name, deployment)
    if time.monotonic() - began > _ANNOUNCED_SECONDS:
        raise StreamUnavailable(
            f"the marks of {record.name} {deployment.version} took Kafka more than {_ANNOUNCED_SECONDS:g} s; "
            "nothing has changed, try again"
        )
    changed = _added(record, record.name, msgspec.structs.replace(deployment, positions=positions))
    return write_model(kafka, changed, client=client)


def _announce(client: Producer, kafka: KafkaSettings, name: str, deployment: Deployment) -> dict[int, int]:
    """Write a mark to every partition of `requests`; the positions after them."""
    now_ms = time.time_ns() // 1_000_000
    mark = TimeMark("deployment", now_ms, name, deployed_at=deployment.deployed_at)
    value = msgspec.json.encode(mark)
    headers: Headers = [(MARK, b"deployment")]
    topic = kafka.topic_prefix + REQUESTS.name
    positions: dict[int, int] = {}

    def on_delivery(error: object, message: Message) -> None:
        if error is None:
            positions[message.partition() or 0] = (message.offset() or 0) + 1

    partitions = client.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
    for partition in partitions:
        client.produce(topic, value=value, partition=partition, headers=headers, on_delivery=on_delivery)
    client.flush(_TIMEOUT_SECONDS)
    if positions.keys() != set(partitions):
        raise StreamUnavailable(
            f"the marks of {name} {deployment.version} were not acknowledged; nothing has changed, try again"
        )
    return positions


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
