"""A reference made from observed rows, in place of a bundle's own."""

from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Distribution
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.drift.watching import ABSTAINED, ANSWERS, APPLICABILITY, CLASS, SCORE
from atalaia.monitors.rows import ObservedRows
from atalaia.records import Array, ModelObservation
from atalaia.windows import Window

_CONDENSED_AT = 200_000
"""Rows held as they came before they are condensed to distinct values."""

Parts = list[npt.NDArray[Any]]


class Baseline:
    """Distributions of every column of a version's rows in a window of event time.

    Columns are named as those of the drift monitor. Numbers stay in the dtype they were served in; scores
    and predicted classes are of answered rows.

    Parameters
    ----------
    manifest : of the version whose rows are taken, as primary
    """

    def __init__(self, manifest: Manifest, window: Window) -> None:
        self.manifest = manifest
        self.window = window
        self.rows = 0
        self._held = 0
        self._parts: dict[str, Parts] = {}
        self._condensed: dict[str, Distribution] = {}
        taken = {column.name for column in manifest.features} | {column.name for column in manifest.context}
        self._names = {name: f"answers.{name}" if name in taken else name for name in ANSWERS}

    def add(self, section: ModelObservation) -> None:
        """Take the rows of a message that lie in the window; other versions and roles are left out."""
        wanted = self.manifest.name, self.manifest.version, "primary"
        if (section.model, section.version, section.role) != wanted:
            return
        rows = ObservedRows(section)
        inside = (rows.times_ms >= self.window.start_ms) & (rows.times_ms < self.window.end_ms)
        if not inside.any():
            return
        for columns in (section.features, section.context):
            for name, column in columns.items():
                self._take(name, _values(column)[inside])
        answered = inside & ~rows.abstained
        self._take(self._names[SCORE], section.score.numpy()[answered])
        if section.label is not None and section.classes is not None:
            classes = np.array([str(name) for name in section.classes], np.object_)
            self._take(self._names[CLASS], classes[section.label.numpy()[answered]])
        self._take(self._names[APPLICABILITY], section.applicability.numpy()[inside])
        self._take(self._names[ABSTAINED], rows.abstained[inside].astype(np.float32))
        self.rows += int(inside.sum())
        self._held += int(inside.sum())
        if self._held >= _CONDENSED_AT:
            self._condense()

    def reference(self) -> StreamReference:
        """The reference of all rows taken."""
        self._condense()
        return StreamReference(self.manifest.version, dict(self._condensed))

    def _take(self, name: str, values: npt.NDArray[Any]) -> None:
        self._parts.setdefault(name, []).append(values)

    def _condense(self) -> None:
        for name, parts in self._parts.items():
            fresh = distribution(np.concatenate(parts))
            known = self._condensed.get(name)
            self._condensed[name] = fresh if known is None else merged(known, fresh)
        self._parts = {}
        self._held = 0


def distribution(column: npt.NDArray[Any]) -> Distribution:
    """Of numbers ``(n,)`` in their own dtype, NaN where missing, or strings, None where missing.

    >>> distribution(np.array([1.0, np.nan, 1.0], np.float32)).counts.tolist()
    [2]
    """
    if column.dtype == np.object_:
        return Distribution.of_strings(column)
    numbers = column.astype(np.float32) if column.dtype == np.bool_ else column
    present = numbers[~np.isnan(numbers)] + np.zeros((), numbers.dtype)  # -0 = 0
    values, counts = np.unique(present, return_counts=True)
    return Distribution(values, counts.astype(np.int64), len(column) - len(present))


def merged(one: Distribution, other: Distribution) -> Distribution:
    """The distribution of the rows of both."""
    values, places = np.unique(np.concatenate([one.values, other.values]), return_inverse=True)
    counts = np.bincount(
        places.reshape(-1), weights=np.concatenate([one.counts, other.counts]), minlength=len(values)
    )
    return Distribution(values, counts.astype(np.int64), one.missing + other.missing)


def _values(column: Array) -> npt.NDArray[Any]:
    values = column.numpy()
    if column.categories is None:
        return values
    names = np.array([*column.categories, None], np.object_)
    strings: npt.NDArray[Any] = names[values]  # -1 is the last, missing
    return strings
