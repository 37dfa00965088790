"""What a window's rows and labels come to, and who they are of."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atalaia.alerts import AlertEvent, AlertFold, Monitor, Rule, rfc3339
from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Reference
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.truth.layout import StructArray
from atalaia.records import Role
from atalaia.results import Cut, Result, ResultWindow
from atalaia.statistics.bins import IntArray
from atalaia.windows import Window


@dataclass(frozen=True, slots=True)
class Watch:
    """A stream of rows: one version of a model in one role, with what it is held against.

    ``baseline`` is the digest of a reference made from the stream, where that took the place of the bundle's.
    """

    model: str
    version: str
    role: Role
    digest: str
    manifest: Manifest
    reference: Reference
    settings: MonitorSettings
    baseline: str = ""

    def fold(self, monitor: Monitor, rule: Rule) -> AlertFold:
        """The alerts of one monitor."""
        return AlertFold(model=self.model, version=self.version, monitor=monitor, rule=rule)

    def subject(self, name: str) -> str:
        """What alerts of it are about; those of a canary or shadow say so."""
        return name if self.role == "primary" else f"{name} ({self.role})"

    def header(
        self, window: Window, *, revision: int, mature: bool, cut: Cut, incomplete: bool
    ) -> dict[str, Any]:
        """What every result says of itself."""
        return {
            "model": self.model,
            "version": self.version,
            "role": self.role,
            "window": ResultWindow(rfc3339(window.start_ms), rfc3339(window.end_ms)),
            "revision": revision,
            "provisional": not mature,
            "cut": cut,
            "bundle": self.digest,
            "configuration": self.settings.digest,
            "incomplete": incomplete,
        }


class Rows(NamedTuple):
    """Rows (n,) with their times, and whether they were abstained from."""

    times_ms: IntArray
    rows: StructArray
    abstained: npt.NDArray[np.bool_]

    def take(self, places: npt.NDArray[Any]) -> "Rows":
        """Some of them."""
        return Rows(self.times_ms[places], self.rows[places], self.abstained[places])


class Relabelled(NamedTuple):
    """Rows (n,) whose label is another: ``truth`` now, ``before`` where there ``had`` been one.

    ``cell`` is the place of a row's attributes as the label says them, ``cell_before`` as the last one did.
    """

    times_ms: IntArray
    rows: StructArray
    truth: npt.NDArray[Any]
    label_ms: IntArray
    cell: IntArray
    had: npt.NDArray[np.bool_]
    before: npt.NDArray[Any]
    label_ms_before: IntArray
    cell_before: IntArray

    def take(self, places: npt.NDArray[Any]) -> "Relabelled":
        """Some of them."""
        return Relabelled(*(column[places] for column in self))


class Telling(NamedTuple):
    """Results of the windows of a batch, and what follows for alerts."""

    results: list[Result]
    events: list[AlertEvent]
