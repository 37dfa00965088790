"""How a model is watched: the tables ``[monitors.*]`` of its bundle, overlaid by what was set since.

Everything has a default; durations are written ``90s``, ``5m``, ``1h``, ``7d``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from math import gcd
from typing import Annotated, Any

import msgspec

from atalaia.durations import parse_duration
from atalaia.errors import SettingsError
from atalaia.windows import LastRows, TimeWindows, WindowDefinition

Duration = Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)?(ms|s|m|h|d)$")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table; a name it does not know is refused."""


class Windows(_Table, frozen=True, kw_only=True):
    """Windows of a monitor.

    Of a ``window`` that begins every ``step`` (default: the window, so that none overlap), or of the last
    ``last_rows`` rows. ``pane`` is the unit of state; rows may come ``lateness`` after the end of a window.
    """

    window: Duration = "1h"
    step: Duration | None = None
    last_rows: Count | None = None
    pane: Duration | None = None
    lateness: Duration = "1m"

    @property
    def window_ms(self) -> int:
        """Length of a window."""
        return milliseconds(self.window)

    @property
    def step_ms(self) -> int:
        """From the start of a window to that of the next."""
        return self.window_ms if self.step is None else milliseconds(self.step)

    @property
    def pane_ms(self) -> int:
        """Length of a pane: as told, else what divides window and step; of runs of rows a minute."""
        if self.pane is not None:
            return milliseconds(self.pane)
        return 60_000 if self.last_rows is not None else gcd(self.window_ms, self.step_ms)

    @property
    def lateness_ms(self) -> int:
        """How long a window waits for rows."""
        return milliseconds(self.lateness)

    @property
    def definition(self) -> WindowDefinition:
        """Which panes make which windows.

        Raises
        ------
        ValueError
            where pane, step and window do not fit each other.
        """
        if self.last_rows is not None:
            return LastRows(count=self.last_rows, pane_ms=self.pane_ms)
        return TimeWindows(size_ms=self.window_ms, step_ms=self.step_ms, pane_ms=self.pane_ms)


class DetectorSettings(_Table, frozen=True, kw_only=True):
    """A sequential detector of one column: ``score``, ``applicability`` or ``error``.

    With ``alerts`` it alerts by itself, which is for after a backtest.
    """

    detector: str
    column: str
    parameters: dict[str, float | int | bool | str] = {}
    alerts: bool = False


class DriftSettings(Windows, frozen=True, kw_only=True):
    """``[monitors.drift]``: what is watched, and when a difference is a hit, an alert, and over.

    ``columns`` are those watched, all where left out, ``without`` those left out; ``tests`` likewise.
    ``earlier`` says how long before a window the one lies that it is also held against: whole panes, not so
    little that the two overlap, and no more than ``history`` panes, which are kept to that end.
    """

    enabled: bool = True
    columns: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    tests: tuple[str, ...] | None = None
    earlier: tuple[Duration, ...] = ("1d", "7d")
    history: Count = 400
    detectors: tuple[DetectorSettings, ...] = (
        DetectorSettings(detector="adwin", column="applicability"),
        DetectorSettings(detector="adwin", column="score"),
    )
    dependence: dict[str, Annotated[float, msgspec.Meta(ge=1)]] = {}
    q: Share = 0.01
    effect: Share = 0.08
    ratio: float = 1.5
    hits: Count = 2
    among: Count = 3
    quiet_windows: Count = 3
    minimum_window: Duration = "1h"
    minimum_window_rows: Count = 500
    minimum_reference_rows: Count = 1000
    most_merged: Count = 24


class LabelSettings(_Table, frozen=True, kw_only=True):
    """``[monitors.labels]``: how long the truth may take, and how much of it comes.

    ``horizon`` is how long after a row its label may be known and count; ``coverage`` the share of rows that
    end up labelled, where it is not all. ``most_rows`` bounds the rows held for it in memory.
    """

    horizon: Duration = "7d"
    coverage: Share | None = None
    most_rows: Count = 5_000_000

    @property
    def horizon_ms(self) -> int:
        """How long after a row its label may be known."""
        return milliseconds(self.horizon)


class PerformanceSettings(Windows, frozen=True, kw_only=True):
    """``[monitors.performance]``: its windows, and when a drop of ``metrics`` below the reference hits."""

    enabled: bool = True
    window: Duration = "1d"
    metrics: tuple[str, ...] = ("accuracy",)
    maximum_drop: Share = 0.05
    minimum_labelled_rows: Count = 100
    hits: Count = 2
    among: Count = 3
    quiet_windows: Count = 3
    calibration: bool = True
    minimum_coverage: Share | None = None
    detectors: tuple[DetectorSettings, ...] = (DetectorSettings(detector="ddm", column="error"),)


class FairnessSettings(Windows, frozen=True, kw_only=True):
    """``[monitors.fairness]``: groups, what is favourable, and when a gap is a hit.

    ``attributes`` are the protected ones (default: the context columns that are), with intersections up to
    ``depth``. ``favourable`` is a class (default: the positive one) or, of a regressor, the least value.
    """

    enabled: bool = True
    window: Duration = "1d"
    attributes: tuple[str, ...] | None = None
    depth: Annotated[int, msgspec.Meta(ge=1, le=3)] = 2
    favourable: str | int | float | None = None
    may_alert: tuple[str, ...] = ("flag_rate_ratio", "tpr_difference", "fpr_difference")
    difference: Share = 0.10
    ratio: Share = 0.80
    rows: Count = 30
    outcomes: Count = 10
    hits: Count = 2
    among: Count = 2
    quiet_windows: Count = 2
    most_groups: Count = 1000


class AbstentionSettings(_Table, frozen=True, kw_only=True):
    """``[monitors.abstention]``: an alert where more than ``rate`` of the rows of a window are refused.

    Windows of event time, which wait ``lateness`` for rows. Those of fewer than ``minimum_rows`` say nothing.
    """

    enabled: bool = True
    window: Duration = "5m"
    lateness: Duration = "10s"
    rate: Share = 0.20
    minimum_rows: Count = 20


class LatencySettings(_Table, frozen=True, kw_only=True):
    """``[monitors.latency]``: an alert where more than ``share`` of a window's rows waited too long.

    Longer than ``limit``, from the record of the oldest request they were scored with to their scoring.
    Windows of the time at which they were scored; those of fewer than ``minimum_rows`` say nothing.
    """

    enabled: bool = True
    window: Duration = "5m"
    limit: Duration = "2s"
    share: Share = 0.05
    minimum_rows: Count = 20


class SilenceSettings(_Table, frozen=True, kw_only=True):
    """``[monitors.silence]``: an alert where a model that had traffic has had none for so long."""

    enabled: bool = True
    after: Duration = "1h"


class MonitorSettings(_Table, frozen=True, kw_only=True):
    """All of ``[monitors]``."""

    drift: DriftSettings = DriftSettings()
    labels: LabelSettings = LabelSettings()
    performance: PerformanceSettings = PerformanceSettings()
    fairness: FairnessSettings = FairnessSettings()
    abstention: AbstentionSettings = AbstentionSettings()
    latency: LatencySettings = LatencySettings()
    silence: SilenceSettings = SilenceSettings()

    @property
    def digest(self) -> str:
        """Names these settings; it stands in every result."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


def monitor_settings(bundle: Mapping[str, Any], changes: Sequence[Mapping[str, Any]] = ()) -> MonitorSettings:
    """The settings of a bundle's ``[monitors]`` tables, each overlaid by the changes, oldest first.

    Raises
    ------
    SettingsError
        naming the setting that is wrong.

    >>> monitor_settings({"drift": {"window": "1h"}}, [{"drift": {"effect": 0.1}}]).drift.effect
    0.1
    """
    tables: dict[str, Any] = {}
    for overlay in (bundle, *changes):
        for name, table in overlay.items():
            merged = {**tables.get(name, {}), **table} if isinstance(table, Mapping) else table
            tables[name] = merged
    try:
        return msgspec.convert(tables, MonitorSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"the monitors' settings are wrong: {error}") from error


def milliseconds(duration: str) -> int:
    """Of a duration.

    >>> milliseconds("1m")
    60000
    """
    return round(parse_duration(duration) * 1000)
