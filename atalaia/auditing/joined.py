"""Rows and their truth, one by one: the first row of an id, and the last label that meets it."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from atalaia.auditing.labels import Known, LabelLog
from atalaia.auditing.observed import row_places
from atalaia.bundles.manifest import Manifest
from atalaia.labels import label_codes
from atalaia.records import LabelValue, ModelObservation
from atalaia.windows.watermark import BoolArray, IntArray


class Ids:
    """Which rows wait for a label: the first of an id, and another after the horizon of the last."""

    def __init__(self, horizon_ms: int) -> None:
        self.horizon_ms = horizon_ms
        self._expires: dict[Hashable, int] = {}

    def first(
        self, section: ModelObservation, times_ms: IntArray, waiting: BoolArray, watermark_ms: int | None
    ) -> BoolArray:
        """Of the rows ``(n,)`` of a message that could wait, those that do."""
        places = row_places(section).tolist()
        requests = np.repeat(np.arange(len(section.id)), section.rows.numpy()).tolist()
        times = times_ms.tolist()
        answer = np.zeros(len(times), np.bool_)
        for row in np.flatnonzero(waiting).tolist():
            key: Hashable = section.id[requests[row]]
            if places[row]:
                key = key, places[row]
            expires = self._expires.get(key)
            if expires is None or (watermark_ms is not None and expires <= watermark_ms):
                self._expires[key] = times[row] + self.horizon_ms
                answer[row] = True
        return answer


class Truths:
    """The labels of one version's rows.

    Parameters
    ----------
    manifest : says which labels are a truth of the version at all
    horizon_ms : how long after a row its label may be known
    """

    def __init__(self, log: LabelLog, manifest: Manifest, *, horizon_ms: int) -> None:
        self._log, self._manifest, self.horizon_ms = log, manifest, horizon_ms
        self._codes: dict[tuple[type, LabelValue], int | float | None] = {}
        self._empty = not len(log)

    def of(self, request: str, row: int, time_ms: int, *, before: int) -> tuple[Known, Any] | None:
        """The winning label of a row, of those before a position, and its class or value; None without one.

        A label meets a row less than a horizon away from when it was known at the latest; of those that do
        the greatest (time, position) wins.
        """
        if self._empty:
            return None
        won: tuple[Known, Any] | None = None
        for label in self._log.of(self._manifest.name, request, row):
            if label.position >= before or abs(label.known_ms - time_ms) >= self.horizon_ms:
                continue
            if won is not None and (label.time_ms, label.position) <= (won[0].time_ms, won[0].position):
                continue
            code = self._code(label.value)
            if code is not None:
                won = label, code
        return won

    def _code(self, value: LabelValue) -> int | float | None:
        key = type(value), value
        if key not in self._codes:
            code = label_codes(self._manifest, [value])[0].item()
            known = not np.isnan(code) if isinstance(code, float) else code >= 0
            self._codes[key] = code if known else None
        return self._codes[key]
