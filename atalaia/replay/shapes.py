"""How the columns of a replay were distributed, beside their reference: bounded, whatever the rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import Feature
from atalaia.bundles.reference import Distribution
from atalaia.inference.columns import cast_to_served
from atalaia.inference.rows import FloatArray, IntArray
from atalaia.replay.cells import Column
from atalaia.replay.flight import SeenModel

MOST_CATEGORIES = 12
"""A column of more distinct values than these is drawn as a histogram, if it is of numbers."""

SCORE, APPLICABILITY, CLASS = "score", "applicability", "class"
_CELLS = 600
_BARS = 40
_OTHERS = "others"
_MISSING = "missing"
_DISTANCE = "log10 of the squared distance"
_MOST_COUNTED = 10_000


class Shape(msgspec.Struct, frozen=True):
    """Shares of rows by bar, of the replay and of the reference.

    ``edges`` are of a histogram, one more than bars: rows below the first and from the last on are in the
    outermost bars. ``names`` are of categories. One of the two is empty.
    """

    column: str
    replay: list[float]
    reference: list[float]
    edges: list[float] = []
    names: list[str] = []
    unit: str | None = None
    rows: int = 0


class Numbers:
    """Counts of numbers over a fixed grid, wide enough for the reference and as much again on either side.

    Parameters
    ----------
    values, counts : of the reference, as in `Distribution`
    """

    def __init__(self, column: str, values: FloatArray, counts: IntArray, *, unit: str | None = None) -> None:
        self.column = column
        self.rows = 0
        self._unit = unit
        low, high = (float(values[0]), float(values[-1])) if len(values) else (0.0, 1.0)
        reach = (high - low) or max(abs(low), 1.0)
        self._edges = np.linspace(low - reach, high + reach, _CELLS + 1)
        self._replay = np.zeros(_CELLS, np.int64)
        self._reference = self._count(values, counts)

    def add(self, values: FloatArray) -> None:
        """Count rows ``(n,)``; those that are missing, NaN, are left out."""
        present = values[np.isfinite(values)]
        self._replay += self._count(present, None)
        self.rows += len(present)

    def shape(self) -> Shape:
        """The bars that are needed to show both."""
        used = np.flatnonzero(self._replay + self._reference)
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, _CELLS)
        width = max(1, -(-(last - first) // _BARS))
        starts = np.arange(first, last, width)
        edges = self._edges[np.append(starts, min(starts[-1] + width, _CELLS))]
        return Shape(
            self.column,
            _shares(np.add.reduceat(self._replay[:last], starts)),
            _shares(np.add.reduceat(self._reference[:last], starts)),
            edges=edges.tolist(),
            unit=self._unit,
            rows=self.rows,
        )

    def _count(self, values: FloatArray, counts: IntArray | None) -> IntArray:
        cells = np.clip(np.searchsorted(self._edges, values, side="right") - 1, 0, _CELLS - 1)
        counted: IntArray = np.bincount(cells, counts, _CELLS).astype(np.int64)
        return counted


class Categories:
    """Counts of categories, the most frequent shown by name.

    Parameters
    ----------
    reference : counts of the reference by name
    """

    def __init__(self, column: str, reference: Mapping[str, int], *, unit: str | None = None) -> None:
        self.column = column
        self._unit = unit
        self._reference = Counter(reference)
        self._replay: Counter[str] = Counter()

    def add(self, values: Sequence[str]) -> None:
        """Count rows; beyond many different values new ones are counted together."""
        for name, count in Counter(values).items():
            known = name in self._replay or name in self._reference or len(self._replay) < _MOST_COUNTED
            self._replay[name if known else _OTHERS] += count

    def shape(self) -> Shape:
        """The most frequent of both, then all others together."""
        both = self._reference + self._replay
        names = [name for name, _ in both.most_common(MOST_CATEGORIES) if name != _OTHERS]
        shown = sorted(names, key=_in_order)
        replay = [self._replay[name] for name in shown]
        reference = [self._reference[name] for name in shown]
        rest = self._replay.total() - sum(replay), self._reference.total() - sum(reference)
        if any(rest):
            shown, replay, reference = [*shown, _OTHERS], [*replay, rest[0]], [*reference, rest[1]]
        return Shape(
            self.column,
            _shares(np.array(replay)),
            _shares(np.array(reference)),
            names=shown,
            unit=self._unit,
            rows=self._replay.total(),
        )


@dataclass(frozen=True, slots=True)
class _Watched:
    feature: Feature
    counted: Numbers | Categories


class Shapes:
    """Counts the features of a replay as they are sent, and its answers as they are observed.

    Parameters
    ----------
    bundle : whose reference stands beside them
    """

    def __init__(self, bundle: Bundle) -> None:
        reference, manifest = bundle.reference, bundle.manifest
        self._features = [
            _Watched(feature, _counted(feature, reference.columns[feature.name]))
            for feature in manifest.features
        ]
        kept = ~reference.abstained
        self._score = _of_sample(SCORE, reference.answers.scores[kept].astype(np.float64))
        self._applicability = _of_sample(APPLICABILITY, _logarithm(reference.distances), _DISTANCE)
        self._class: Categories | None = None
        if manifest.classes and reference.answers.predicted is not None:
            names = [str(label) for label in manifest.classes]
            counts = np.bincount(reference.answers.predicted[kept], minlength=len(names))
            self._class = Categories(CLASS, dict(zip(names, counts.tolist(), strict=True)))

    def add_rows(self, columns: Sequence[Column]) -> None:
        """Features of rows that are sent, in the manifest's order."""
        for watched, column in zip(self._features, columns, strict=True):
            counted = watched.counted
            if isinstance(counted, Numbers):
                counted.add(_served(watched.feature, column))
            else:
                counted.add(_names(watched.feature, column))

    def add_answers(self, seen: SeenModel) -> None:
        """Answers of rows that were observed; of those that were abstained from only the distance."""
        answered = ~seen.abstained.numpy()
        self._score.add(seen.score.numpy()[answered].astype(np.float64))
        self._applicability.add(_logarithm(seen.applicability.numpy().astype(np.float64)))
        if self._class is not None and seen.label is not None and seen.classes is not None:
            names = [str(label) for label in seen.classes]
            self._class.add([names[place] for place in seen.label.numpy()[answered].tolist()])

    def all(self) -> list[Shape]:
        """The features in the manifest's order, then what the model made of them."""
        counted: list[Numbers | Categories] = [watched.counted for watched in self._features]
        counted += [self._score, *([] if self._class is None else [self._class]), self._applicability]
        return [entry.shape() for entry in counted]


def _counted(feature: Feature, column: Distribution) -> Numbers | Categories:
    counts = column.counts
    if feature.numeric and len(column.values) > MOST_CATEGORIES:
        return Numbers(feature.name, column.values.astype(np.float64), counts, unit=feature.unit)
    names = [_name(value) for value in column.values.tolist()]
    known = dict(zip(names, counts.tolist(), strict=True))
    if column.missing:
        known[_MISSING] = column.missing
    return Categories(feature.name, known, unit=feature.unit)


def _of_sample(column: str, sample: FloatArray, unit: str | None = None) -> Numbers:
    values, counts = np.unique(sample[np.isfinite(sample)], return_counts=True)
    return Numbers(column, values, counts.astype(np.int64), unit=unit)


def _logarithm(distances: FloatArray) -> FloatArray:
    logarithms: FloatArray = np.log10(np.maximum(distances, 1e-9))
    return logarithms


def _served(feature: Feature, column: Column) -> FloatArray:
    values = np.asarray(column.values, np.float64)
    return cast_to_served(values[~column.odd], feature.datatype)


def _names(feature: Feature, column: Column) -> list[str]:
    if feature.numeric:
        served = _served(feature, column)
        return [_MISSING if value != value else _name(value) for value in served.tolist()]  # noqa: PLR0124
    pairs = zip(column.values, column.odd.tolist(), strict=True)
    return [_MISSING if value is None else str(value) for value, odd in pairs if not odd]


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _in_order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _shares(counts: IntArray) -> list[float]:
    total = int(counts.sum())
    shares: list[float] = (counts / total if total else counts.astype(np.float64)).tolist()
    return shares
