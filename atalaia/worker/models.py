"""The models that monitors meet, found in what is deployed."""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from atalaia.bundles.folder import Bundle
from atalaia.monitors.units import Watched
from atalaia.records import MonitorChange
from atalaia.settings import KafkaSettings
from atalaia.stream.catalog import Catalog

_log = structlog.get_logger()
_MISSING_SECONDS = 1.0


def watched(bundle: Bundle) -> Watched:
    """What monitors read of a bundle; its model is not loaded."""
    return Watched(bundle.manifest, bundle.reference, bundle.digest)


class DeployedModels:
    """The `Models` of a worker, by the topics `models` and `bundles`.

    What it does not know may have been deployed a moment ago: it then reads both topics to their ends, so
    that what monitors see does not depend on how soon this process heard of it. Calls come from one thread.
    """

    def __init__(self, kafka: KafkaSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = Catalog(kafka, watched)
        self._clock = clock
        self._missing: dict[tuple[str, str, str], float] = {}

    def start(self) -> None:
        """Read both topics to their ends, then follow.

        Raises
        ------
        StreamUnavailable
            where Kafka does not answer.
        """
        self._catalog.start()

    def stop(self) -> None:
        """Stop following."""
        self._catalog.stop()

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        """The version, None where its bundle is missing or is not the one of that digest."""
        found = self._catalog.view.loaded.get((model, version))
        if found is not None and found.digest == digest:
            return found
        asked, now = (model, version, digest), self._clock()
        if now - self._missing.get(asked, float("-inf")) < _MISSING_SECONDS:
            return None
        found = self._catalog.catch_up().loaded.get((model, version))
        if found is not None and found.digest == digest:
            return found
        self._missing[asked] = now
        return None

    def reference(self, change: MonitorChange) -> bytes | None:
        """The content of the reference file that a change names, None where it is missing or differs."""
        named = change.reference
        if named is None:
            return None
        try:
            content = Path(named.location).read_bytes()
        except OSError as error:
            _log.error("reference cannot be read", model=change.model, reason=str(error))
            return None
        digest = hashlib.sha256(content).hexdigest()
        if digest != named.digest.removeprefix("sha256:"):
            _log.error("reference has changed", model=change.model, expected=named.digest, found=digest)
            return None
        return content

    def changes(self, model: str) -> Sequence[MonitorChange]:
        """What the model's record says of its monitors, oldest first."""
        record = self._catalog.catch_up().records.get(model)
        return [] if record is None else record.monitors
