"""The repository of models: the versions there are, and models that answer again, or not any more."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import structlog
from confluent_kafka import KafkaException

from atalaia.deployments import answered_last, current_plan, current_primary, deployed_version
from atalaia.errors import (
    BundleError,
    DeadlineExceeded,
    Refusal,
    StreamUnavailable,
    Unavailable,
    UnknownModel,
)
from atalaia.records import ModelRecord
from atalaia.settings import KafkaSettings
from atalaia.stream import deploy
from atalaia.stream.catalog import View

_log = structlog.get_logger()

_SEEN_SECONDS = 5.0
_LOOK_SECONDS = 0.01
READY, UNAVAILABLE = "READY", "UNAVAILABLE"


class BundleRefused(Refusal):
    """A version that cannot answer since its bundle could not be loaded; what answered goes on."""

    status, code, title = 422, "bundle_refused", "Bundle was refused"


class Listed(NamedTuple):
    """A version; ``reason`` says why it cannot be asked."""

    name: str
    version: str
    state: str
    reason: str


class _Parameters(msgspec.Struct, frozen=True):
    version: str | None = None


class IndexNote(msgspec.Struct, frozen=True):
    """What to list: all, or what can be asked."""

    ready: bool = False


class LoadNote(msgspec.Struct, frozen=True):
    """Which version to load or unload; what else other servers know is passed over."""

    parameters: _Parameters | None = None

    @property
    def version(self) -> str | None:
        """The version, where one is named."""
        return None if self.parameters is None else self.parameters.version


def listing(view: View[Any], *, ready_only: bool = False) -> list[Listed]:
    """Every version that was ever deployed, by model and age."""
    listed = []
    for name in sorted(view.records):
        record = view.records[name]
        for version in dict.fromkeys(entry.version for entry in record.deployments):
            reason = _why_not(view, record, version)
            listed.append(Listed(name, version, UNAVAILABLE if reason else READY, reason))
    return [entry for entry in listed if entry.state == READY or not ready_only]


def _why_not(view: View[Any], record: ModelRecord, version: str) -> str:
    deployment = deployed_version(record, version)
    if deployment is None:
        return "retired"
    if deployment.role == "shadow":
        return "a shadow is scored beside the primary and answers nobody"
    if (record.name, version) in view.loaded:
        return ""
    return view.refused.get((record.name, version), "not loaded yet")


class Repository:
    """Changes who answers, one change at a time; Kafka's client waits, so in a thread.

    Parameters
    ----------
    view : what this gateway serves now
    """

    def __init__(self, kafka: KafkaSettings, view: Callable[[], View[Any]]) -> None:
        self._kafka = kafka
        self._view = view
        self._changing = asyncio.Lock()

    async def load(self, name: str, version: str | None) -> str:
        """Make ``version`` the primary, or, where none is named and none answers, the one that did last.

        Returns
        -------
        the version that answers now

        Raises
        ------
        UnknownModel
            where it was never deployed.
        BundleRefused
            where its bundle could not be loaded here.
        Unavailable, DeadlineExceeded
        """
        async with self._changing:
            view = self._view()
            record = view.records[view.name_of(name)]
            wanted = version or self._last(record)
            present = current_primary(record)
            if (name, wanted) in view.refused:
                raise BundleRefused(f"{name} {wanted} cannot answer: {view.refused[name, wanted]}")
            if present is None or present.version != wanted:
                await _in_thread(partial(deploy.restore, name, wanted, kafka=self._kafka))
                _log.info("model loaded on request", model=name, version=wanted)
            await self._seen(lambda now: _answers(now, name, wanted), f"{name} {wanted} as primary")
            return wanted

    async def unload(self, name: str, version: str | None) -> None:
        """Retire ``version``, or all there are: the primary last, so that requests are answered till then.

        Raises
        ------
        UnknownModel, Unavailable, DeadlineExceeded
        """
        async with self._changing:
            view = self._view()
            record = view.records[view.name_of(name)]
            versions = [version] if version is not None else _taking_part(record)
            for one in versions:
                await _in_thread(partial(deploy.retire, name, one, kafka=self._kafka))
                _log.info("version retired on request", model=name, version=one)

            def gone(now: View[Any]) -> bool:
                return all(deployed_version(now.records[name], one) is None for one in versions)

            await self._seen(gone, f"that {name} {', '.join(versions)} is retired")

    def _last(self, record: ModelRecord) -> str:
        last = answered_last(record)
        if last is None:
            raise UnknownModel(f"no version of {record.name} ever answered; name one in parameters.version")
        return last.version

    async def _seen(self, happened: Callable[[View[Any]], bool], what: str) -> None:
        """Wait until this gateway has read what was written."""
        until = time.monotonic() + _SEEN_SECONDS
        while not happened(self._view()):
            if time.monotonic() > until:
                raise DeadlineExceeded(
                    f"recorded, but this gateway has not read {what} within {_SEEN_SECONDS:g} s"
                )
            await asyncio.sleep(_LOOK_SECONDS)


def _answers(view: View[Any], name: str, version: str) -> bool:
    primary = current_plan(view.deployments(name)).primary
    return primary is not None and primary.version == version


def _taking_part(record: ModelRecord) -> list[str]:
    versions = dict.fromkeys(entry.version for entry in record.deployments)
    primary = current_primary(record)
    deployed = [one for one in versions if deployed_version(record, one) is not None]
    return sorted(deployed, key=lambda one: primary is not None and one == primary.version)


async def _in_thread(change: Callable[[], ModelRecord]) -> None:
    try:
        await asyncio.to_thread(change)
    except (StreamUnavailable, KafkaException) as error:
        raise Unavailable(f"the change could not be recorded on Kafka: {error}") from error
    except BundleError as error:
        raise BundleRefused(str(error)) from error
