"""A new reference for a version, from rows of its own that were observed."""

from collections.abc import Iterable

import numpy as np

from atalaia.bundles.reference import Distribution
from atalaia.monitors.columns import Coded, Values
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.drift.watching import readers
from atalaia.monitors.rows import ObservedRows
from atalaia.monitors.units import Watched
from atalaia.records import ModelObservation
from atalaia.statistics.bins import AnyArray, IntArray


def reference_from(watched: Watched, sections: Iterable[ModelObservation]) -> StreamReference:
    """The distributions of all columns of a version that answers, in what it was asked and said.

    Raises
    ------
    ValueError
        where there are no rows.
    """
    read = readers(watched)
    counted = {name: _Counted() for name in read}
    rows = 0
    for section in sections:
        observed = ObservedRows(section)
        rows += len(observed)
        for name, reader in read.items():
            values = reader(observed, None)
            if values is not None:
                counted[name].add(values)
    if not rows:
        raise ValueError("no rows were observed; expected at least one to make a reference of")
    columns = {name: column.distribution() for name, column in counted.items() if column.rows}
    return StreamReference(watched.manifest.version, columns)


class _Counted:
    """A column so far: distinct values and how often each was there."""

    def __init__(self) -> None:
        self.rows = 0
        self._missing = 0
        self._values: list[AnyArray] = []
        self._counts: list[IntArray] = []

    def add(self, values: Values) -> None:
        if isinstance(values, Coded):
            names = np.array(values.categories, np.str_)
            present, length = names[values.places[values.places >= 0]], len(values.places)
        else:
            present, length = values[~np.isnan(values)] + np.zeros((), values.dtype), len(values)
        distinct, counts = np.unique(present, return_counts=True)
        self.rows += length
        self._missing += length - len(present)
        self._values.append(distinct)
        self._counts.append(counts.astype(np.int64))

    def distribution(self) -> Distribution:
        values, places = np.unique(np.concatenate(self._values), return_inverse=True)
        counts = np.bincount(places.reshape(-1), np.concatenate(self._counts), len(values))
        return Distribution(values, counts.astype(np.int64), self._missing)
