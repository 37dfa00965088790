"""The traffic of one model: its time, its versions, its silence."""

from collections.abc import Callable
from typing import Any

import msgspec

from atalaia.alerts import AlertEvent
from atalaia.monitors.clock import ClockState, ObservationClock
from atalaia.monitors.configuration import MonitorSettings, milliseconds
from atalaia.monitors.traffic.reading import Passing, Rows, Seen, latest_by_partition, rows_of
from atalaia.monitors.traffic.silence import SilenceState, SilentModel
from atalaia.monitors.traffic.version import VersionState, VersionTraffic

KEPT_MS = 2 * 86_400_000
"""A version without rows for so long is forgotten, once nothing of it is open."""

SettingsOf = Callable[[str, str, str, dict[str, Any]], MonitorSettings]
"""The settings of a model's version, by its digest, under what was set since."""


class ModelState(msgspec.Struct, frozen=True, array_like=True):
    """A `ModelTraffic` between two messages."""

    clock: ClockState
    versions: dict[str, VersionState]
    silence: SilenceState
    overlay: dict[str, Any]


class ModelTraffic:
    """Everything that is watched of a model's traffic.

    Parameters
    ----------
    overlay : what was set of its monitors beyond the bundles
    settings_of : asked for each version when it is met, and when what was set changes
    """

    def __init__(self, model: str, overlay: dict[str, Any], settings_of: SettingsOf) -> None:
        self.model = model
        self.versions: dict[str, VersionTraffic] = {}
        self.clock = ObservationClock(model)
        self._overlay = overlay
        self._settings_of = settings_of
        self._silence = SilentModel(model)

    def take(self, passing: Passing, *, recorded_ms: int, seen_ms: int | None) -> list[AlertEvent]:
        """A message, whether it has rows of the model or not.

        Parameters
        ----------
        recorded_ms : record time, which no message turns back
        seen_ms : record time up to which every source partition has been read to its end
        """
        times = passing.times()
        replayed = self.clock.snapshot().replay if passing.marks else None
        self.clock.begin(times)
        if passing.marks and self.clock.snapshot().replay != replayed:
            self._restart()
        events: list[AlertEvent] = []
        believed: list[Rows] = []
        for seen in (entry for entry in passing.models if entry.model == self.model):
            rows = rows_of(seen)
            plausible = self.clock.plausible(times, rows.times_ms, rows.partitions)
            rows = Rows(rows.times_ms[plausible], rows.partitions[plausible], rows.abstained[plausible])
            believed.append(rows)
            # Shadows answer nobody, and are there only where a primary is.
            if seen.role != "shadow":
                events += self._add(seen, rows, recorded_ms)
        ended = self.clock.finish(times, latest_by_partition(iter(believed)))
        for name in sorted(self.versions):
            events += self.versions[name].close(self.clock.time_ms, recorded_ms)
        if ended:
            self.clock.resume()
            self._restart()
            self._silence.restart(recorded_ms)
        elif not self.clock.replaying:
            events += self._silence.look(seen_ms, self._silent_after_ms())
        return events

    def change(self, overlay: dict[str, Any]) -> list[AlertEvent]:
        """What is set of the monitors, from the next message on."""
        self._overlay = overlay
        events: list[AlertEvent] = []
        for name in sorted(self.versions):
            version = self.versions[name]
            events += version.change(self._settings(name, version.digest))
        return events

    def forget(self, recorded_ms: int) -> None:
        """Drop versions no longer used."""
        for name, version in list(self.versions.items()):
            if version.last_ms + KEPT_MS < recorded_ms and version.idle and name != self._silence.version:
                del self.versions[name]

    def lose(self) -> None:
        """Part of the log expired unread."""
        self._silence.forget()

    def snapshot(self) -> ModelState:
        """What `restore` takes."""
        versions = {name: version.snapshot() for name, version in self.versions.items()}
        return ModelState(self.clock.snapshot(), versions, self._silence.snapshot(), self._overlay)

    def restore(self, state: ModelState) -> None:
        """Go on from where a snapshot was taken."""
        self.clock.restore(state.clock)
        self._silence.restore(state.silence)
        self._overlay = state.overlay
        self.versions = {}
        for name, entry in state.versions.items():
            settings = self._settings(name, entry.digest)
            version = self.versions[name] = VersionTraffic(self.model, name, entry.digest, settings)
            version.restore(entry)

    def _add(self, seen: Seen, rows: Rows, recorded_ms: int) -> list[AlertEvent]:
        version = self.versions.get(seen.version)
        if version is None:
            settings = self._settings(seen.version, seen.digest)
            version = VersionTraffic(self.model, seen.version, seen.digest, settings)
            self.versions[seen.version] = version
        version.last_ms = recorded_ms
        version.add(rows, self.clock.time_ms)
        if self.clock.replaying:
            return []
        version.add_waits(seen, recorded_ms)
        # Rows ahead of their time are traffic all the same.
        return self._silence.hear(seen.version, recorded_ms) if len(seen.rows.numpy()) else []

    def _restart(self) -> None:
        for version in self.versions.values():
            version.restart()

    def _settings(self, version: str, digest: str) -> MonitorSettings:
        return self._settings_of(self.model, version, digest, self._overlay)

    def _silent_after_ms(self) -> int | None:
        version = self.versions.get(self._silence.version)
        settings = None if version is None else version.settings.silence
        return milliseconds(settings.after) if settings is not None and settings.enabled else None
