"""The models a process serves: the `models` and `bundles` topics, followed and loaded."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog
from confluent_kafka import Consumer, Message, TopicPartition

from atalaia.bundles.folder import Bundle
from atalaia.deployments import Plan, current_plan, default_model, deployed_version
from atalaia.errors import BundleError, NoPrimary, StreamUnavailable, UnknownModel
from atalaia.records import BundleRecord, Deployment, ModelRecord
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import consumer
from atalaia.stream.deployed import take_model
from atalaia.stream.logs import Ends, LogReader
from atalaia.stream.positions import bounds_of
from atalaia.topics import BUNDLES, MODELS

Loaded = TypeVar("Loaded")
_log = structlog.get_logger()


@dataclass(frozen=True)
class View(Generic[Loaded]):
    """What is deployed at one moment; never changes, a new one takes its place.

    ``loaded`` holds every version that could be loaded, ``refused`` why the others could not.
    """

    records: dict[str, ModelRecord] = field(default_factory=dict)
    loaded: dict[tuple[str, str], Loaded] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def default(self) -> str | None:
        """The model that answers requests which name none."""
        return default_model(self.records.values())

    def deployments(self, model: str | None) -> list[Deployment]:
        """Deployments of ``model`` whose bundle could be loaded, oldest first: `plan_at` takes them.

        Raises
        ------
        UnknownModel
        """
        return self._deployments[self.name_of(model)]

    def plan(self, model: str | None) -> Plan:
        """The versions that take part in new requests.

        Raises
        ------
        UnknownModel, NoPrimary
        """
        name = self.name_of(model)
        plan = self._plans[name]
        if plan.primary is None:
            raise self.no_primary(name)
        return plan

    def no_primary(self, name: str) -> NoPrimary:
        """Why nothing answers."""
        return NoPrimary(f"no version of model {name!r} is ready to answer{self._why_not(name)}")

    def primary(self, model: str | None) -> Loaded:
        """The version of ``model`` that answers new requests."""
        name, primary = self.name_of(model), self.plan(model).primary
        assert primary is not None  # noqa: S101 - else the plan was refused
        return self.loaded[name, primary.version]

    @cached_property
    def _deployments(self) -> dict[str, list[Deployment]]:
        return {
            name: [entry for entry in record.deployments if (name, entry.version) in self.loaded]
            for name, record in self.records.items()
        }

    @cached_property
    def _plans(self) -> dict[str, Plan]:
        return {name: current_plan(deployments) for name, deployments in self._deployments.items()}

    def version(self, model: str | None, version: str) -> tuple[Deployment, Loaded]:
        """A version asked for by name, in whichever role.

        Raises
        ------
        UnknownModel
            where it is not deployed, or was refused, with the reason.
        """
        name = self.name_of(model)
        deployment = deployed_version(self.records[name], version)
        found = self.loaded.get((name, version))
        if deployment is None or found is None:
            known = (
                ", ".join(sorted(entry for model_name, entry in self.loaded if model_name == name)) or "none"
            )
            raise UnknownModel(
                f"model {name!r} has no version {version!r} to answer; versions: {known}{self._why_not(name)}"
            )
        return deployment, found

    def name_of(self, model: str | None) -> str:
        """``model`` where it is deployed, the default where it is None."""
        name = self.default if model is None else model
        if name is None:
            raise NoPrimary("no model is deployed; deploy one with `atalaia models deploy BUNDLE`")
        if name not in self.records:
            known = ", ".join(sorted(self.records)) or "none"
            raise UnknownModel(f"no model {name!r} is deployed; deployed: {known}")
        return name

    def _why_not(self, name: str) -> str:
        reasons = [f"{version}: {why}" for (model, version), why in self.refused.items() if model == name]
        return f" (refused: {'; '.join(reasons)})" if reasons else ""


class Catalog(Generic[Loaded]):
    """Follows the deployments in a thread of its own; `view` is always a whole, consistent state.

    Parameters
    ----------
    load : turns a verified bundle into what the service needs of it; a `BundleError` it raises refuses
        the bundle by name, and what is served keeps serving
    """

    def __init__(self, kafka: KafkaSettings, load: Callable[[Bundle], Loaded]) -> None:
        self.view: View[Loaded] = View()
        self._kafka = kafka
        self._load = load
        self._bundles: dict[tuple[str, str], BundleRecord] = {}
        self._applied: Ends = {}
        self._changed = threading.Condition()
        self._prober: Consumer | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="catalog", daemon=True)
        self._reader: LogReader | None = None

    def start(self) -> None:
        """Read both topics to their ends, load what they name, then follow.

        Raises
        ------
        StreamUnavailable
            where Kafka does not answer.
        """
        self._reader = LogReader(self._kafka, (BUNDLES, MODELS))
        self._apply(list(self._reader.read_to_end()))
        self._applied = dict(self._reader.positions)
        self._thread.start()

    def catch_up(self, *, timeout_seconds: float = 10.0) -> View[Loaded]:
        """The view that holds every record written before this call.

        For a request that names what the view does not know: it may have been deployed a moment ago, and
        whether the request is answered must not depend on how soon this process heard of it. Costs a few
        milliseconds; call it from one thread only.

        Raises
        ------
        StreamUnavailable
            where Kafka does not answer, or the records cannot be loaded in time.
        """
        if self._prober is None:
            self._prober = consumer(self._kafka)
        until = time.monotonic() + timeout_seconds
        for topic, partition in list(self._applied):
            asked = TopicPartition(topic, partition)
            end = bounds_of(self._prober, asked, timeout_seconds=timeout_seconds)[1]
            with self._changed:
                while self._applied[topic, partition] < end:
                    if not self._changed.wait(until - time.monotonic()):
                        raise StreamUnavailable(
                            f"{topic} could not be read to its end in {timeout_seconds:g} s"
                        )
        return self.view

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        assert self._reader is not None  # noqa: S101 - started
        while not self._stop.is_set():
            messages = self._reader.read(timeout_seconds=0.2)
            if messages:
                self._apply(messages)
            with self._changed:
                self._applied = dict(self._reader.positions)
                self._changed.notify_all()
        self._reader.close()

    def _apply(self, messages: list[Message]) -> None:
        records = dict(self.view.records)
        for message in messages:
            self._read(message, records)
        loaded, refused = dict(self.view.loaded), {}
        for (
            key,
            record,
        ) in self._bundles.items():  # also before it is deployed, so that it then serves at once
            if key in loaded:
                continue
            try:
                loaded[key] = self._load(self._open(record))
                _log.info("bundle loaded", model=key[0], version=key[1], digest=record.digest)
            except BundleError as error:
                refused[key] = str(error)
                _log.error("bundle refused", model=key[0], version=key[1], reason=str(error))
        self.view = View(records, loaded, refused)

    def _read(self, message: Message, records: dict[str, ModelRecord]) -> None:
        try:
            if not (message.topic() or "").endswith(BUNDLES.name):
                take_model(records, message)
            elif (value := message.value()) is not None:
                bundle = msgspec.json.decode(value, type=BundleRecord)
                self._bundles[bundle.model, bundle.version] = bundle
        except msgspec.DecodeError as error:
            key = (message.key() or b"").decode("utf-8", "replace")
            _log.error(
                "record skipped", topic=message.topic(), key=key, offset=message.offset(), reason=str(error)
            )

    def _open(self, record: BundleRecord) -> Bundle:
        bundle = Bundle.read(Path(record.location))
        if bundle.digest != record.digest:
            raise BundleError(
                f"the bundle at {record.location} has digest {bundle.digest}, deployed was {record.digest}; "
                "put the deployed bundle back, or deploy this one as another version"
            )
        return bundle
