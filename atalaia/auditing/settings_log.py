"""What was set of each model's monitors, by position of `observations`."""

from typing import Any

from atalaia.auditing import fairness_windows
from atalaia.errors import SettingsError
from atalaia.monitors.configuration import MonitorSettings, milliseconds, monitor_settings
from atalaia.monitors.units import Models, Watched
from atalaia.records import ModelObservation, MonitorChange


class SettingsLog:
    """What was set of each model's monitors, by position."""

    def __init__(self, models: Models, begins: int) -> None:
        self._models, self._begins = models, begins
        self._changes: dict[str, list[tuple[int, MonitorChange]]] = {}
        self._reach_ms: dict[str, int] = {}
        self._now: dict[tuple[str, str, int], MonitorSettings] = {}

    def add(self, offset: int, change: MonitorChange) -> None:
        """A change, in band."""
        self._of(change.model).append((offset, change))

    def changed(self, model: str) -> bool:
        """Whether anything was set of a model so far."""
        return bool(self._of(model))

    def now(self, model: str, watched: Watched) -> MonitorSettings:
        """The settings of a version in force."""
        changes = self._of(model)
        key = model, watched.digest, len(changes)
        if key in self._now:
            return self._now[key]
        settings = self._now[key] = _settings(watched, changes[-1][1] if changes else None)
        drift = settings.drift
        back = [drift.among * drift.window_ms, *(milliseconds(earlier) for earlier in drift.earlier)]
        self._reach_ms[model] = max(*back, self._reach_ms.get(model, 0))
        return settings

    def reach_ms(self, model: str) -> int:
        """How far before a window, or the run it ends, rows may lie that say something of it."""
        return self._reach_ms.get(model, 0)

    def candidates(self, model: str, watched: Watched) -> dict[str, MonitorSettings]:
        """The settings a version has had so far, by digest."""
        changes: list[MonitorChange | None] = [None, *(change for _, change in self._of(model))]
        return {settings.digest: settings for settings in (_settings(watched, change) for change in changes)}

    def references(self, model: str) -> list[tuple[int, MonitorChange | None]]:
        """References made from the stream, each from its position on; None is the bundle's own."""
        answer: list[tuple[int, MonitorChange | None]] = [(-1, None)]
        for offset, change in self._of(model):
            known = answer[-1][1]
            if (None if known is None else known.reference) != change.reference:
                answer.append((offset, change if change.reference is not None else None))
        return answer

    def join_key(self, section: ModelObservation, watched: Watched) -> tuple[tuple[Any, ...], int]:
        """What rows that share a space of ids have in common, and how long an id is held."""
        settings, manifest = self.now(section.model, watched), watched.manifest
        width = 0 if section.probabilities is None else section.probabilities.width
        attributes = fairness_windows.protected(manifest, settings)
        windows = (settings.performance, settings.fairness)
        key = (
            section.model,
            section.version if section.role == "shadow" else "",
            manifest.classes,
            width if len(manifest.classes) > 2 else 0,
            tuple(attributes.items()),
            settings.fairness.most_groups,
            settings.labels.horizon_ms,
            max((table.window_ms + table.lateness_ms for table in windows if table.enabled), default=0),
        )
        return key, settings.labels.horizon_ms

    def _of(self, model: str) -> list[tuple[int, MonitorChange]]:
        if model not in self._changes:
            before = [
                (change.offset, change)
                for change in (self._models.changes(model) if self._begins else ())
                if change.offset is not None and change.offset < self._begins
            ]
            self._changes[model] = before
        return self._changes[model]


def _settings(watched: Watched, change: MonitorChange | None) -> MonitorSettings:
    """As set, else the bundle's own, else the defaults: as the monitors do where something does not fit."""
    for changes in ([] if change is None else [[change.monitors]]) + [[]]:
        try:
            return monitor_settings(watched.manifest.monitors, changes)
        except SettingsError:
            continue
    return MonitorSettings()
