"""Whether settings make sense for a model, so that none that would stop its monitors gets into the log."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from atalaia.alerts import Rule
from atalaia.bundles.manifest import Manifest
from atalaia.durations import format_duration
from atalaia.errors import SettingsError
from atalaia.monitors.configuration import DetectorSettings, MonitorSettings, Windows
from atalaia.statistics.drift import TESTS
from atalaia.statistics.gaps import ALERTABLE
from atalaia.statistics.performance import Classification
from atalaia.statistics.sequential import DETECTORS, Sequential
from atalaia.topics import LABELS, OBSERVATIONS
from atalaia.windows import LastRows, TimeWindows

_DETECTED = {"drift": ("score", "applicability"), "performance": ("error",)}


def check_settings(settings: MonitorSettings, manifest: Manifest) -> None:
    """Settings as they would be in force for a version.

    Raises
    ------
    SettingsError
        naming the setting that does not fit, and what would.
    """
    for name in ("drift", "performance", "fairness"):
        table = getattr(settings, name)
        _check_windows(name, table)
        _try(f"{name}.hits", partial(Rule, hits=table.hits, of=table.among, clear=table.quiet_windows))
    _among("drift.tests", settings.drift.tests or (), TESTS)
    _check_detectors("drift", settings.drift.detectors)
    _check_detectors("performance", settings.performance.detectors)
    _check_performance(settings, manifest)
    _check_fairness(settings, manifest)
    _check_retention(settings)


def _check_windows(name: str, windows: Windows) -> None:
    if windows.last_rows is not None:
        _try(f"{name}.pane", partial(LastRows, count=windows.last_rows, pane_ms=windows.pane_ms))
    else:
        size_ms, step_ms, pane_ms = windows.window_ms, windows.step_ms, windows.pane_ms
        _try(f"{name}.window", partial(TimeWindows, size_ms=size_ms, step_ms=step_ms, pane_ms=pane_ms))


def _check_detectors(table: str, detectors: Iterable[DetectorSettings]) -> None:
    for detector in detectors:
        _among(f"{table}.detectors.detector", (detector.detector,), DETECTORS)
        _among(f"{table}.detectors.column", (detector.column,), _DETECTED[table])
        _try(f"{table}.detectors.parameters", partial(Sequential, detector.detector, detector.parameters))


def _check_performance(settings: MonitorSettings, manifest: Manifest) -> None:
    if manifest.task == "classification":
        positive = None
        if len(manifest.classes) == 2 and manifest.positive_class is not None:
            positive = manifest.classes.index(manifest.positive_class)
        model = Classification(classes=max(2, len(manifest.classes)), positive=positive)
        known = model.rates(np.zeros(model.length, np.int64))
        _among("performance.metrics", settings.performance.metrics, known)


def _check_fairness(settings: MonitorSettings, manifest: Manifest) -> None:
    fairness = settings.fairness
    columns = [column.name for column in manifest.context]
    _among("fairness.attributes", fairness.attributes or (), columns)
    _among("fairness.may_alert", fairness.may_alert, ALERTABLE)
    if fairness.favourable is not None and manifest.task == "classification":
        _among("fairness.favourable", (fairness.favourable,), manifest.classes)


def _check_retention(settings: MonitorSettings) -> None:
    """What a window is made of must still be on the topics when its last label may come."""
    kept_ms = min(topic.retention_ms for topic in (OBSERVATIONS, LABELS))
    horizon_ms = settings.labels.horizon_ms
    for name, waits_ms in (("drift", 0), ("performance", horizon_ms), ("fairness", horizon_ms)):
        table = getattr(settings, name)
        needed_ms = table.window_ms + table.lateness_ms + waits_ms
        if table.enabled and needed_ms > kept_ms:
            waited = " and labels.horizon" if waits_ms else ""
            needed, kept = format_duration(needed_ms / 1000), format_duration(kept_ms / 1000)
            raise SettingsError(
                f"{name}.window, {name}.lateness{waited} come to {needed} together, and observations and "
                f"labels are kept for {kept}; shorten them"
            )


def _among(setting: str, values: Iterable[object], known: Iterable[object]) -> None:
    allowed = list(known)
    wrong = [str(value) for value in values if value not in allowed]
    if wrong:
        there = ", ".join(map(str, allowed)) or "none"
        raise SettingsError(f"{setting}: {', '.join(wrong)} is not known here; there are {there}")


def _try(setting: str, make: Callable[[], object]) -> None:
    try:
        make()
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}") from error
