"""Groups of rows by protected attributes: bands, intersections, and counts by group that merge."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MISSING = "missing"
"""The group of rows whose attribute is not known."""
_JOIN = " & "

Key = tuple[str, ...]
"""A value of each attribute, in the order of the attributes."""
Counts = dict[Key, IntArray]
"""Whole numbers by the values a row has of all attributes; only of values that were seen."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as places (n,) in a list of values."""

    values: tuple[str, ...]
    codes: IntArray


@dataclass(frozen=True, slots=True)
class Attribute:
    """A protected attribute: strings as they are, or numbers in half-open bands between inner edges.

    Bands (30, 50) give ``<30``, ``[30, 50)`` and ``>=50``; without bands each number is a value of its own.
    Missing values (None, NaN, empty) are the value ``missing``.

    >>> age = Attribute("age", bands=(30.0, 50.0))
    >>> coded = age.code(np.array([29.9, 30.0, 50.0, np.nan]))
    >>> [coded.values[place] for place in coded.codes]
    ['<30', '[30, 50)', '>=50', 'missing']
    """

    name: str
    bands: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if any(left >= right for left, right in itertools.pairwise(self.bands)):
            raise ValueError(f"bands of {self.name!r} are {list(self.bands)}, expected rising edges")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the bands."""
        if not self.bands:
            return ()
        edges = [f"{edge:.12g}" for edge in self.bands]
        inner = [f"[{left}, {right})" for left, right in itertools.pairwise(edges)]
        return (f"<{edges[0]}", *inner, f">={edges[-1]}")

    def code(self, column: npt.NDArray[Any]) -> Coded:
        """Of floats (n,), NaN where missing, or of strings (n,), None where missing."""
        if column.dtype == np.object_:
            return self._strings(column.tolist())
        numbers = column.astype(np.float64)
        missing = np.isnan(numbers)
        if self.bands:
            codes = np.searchsorted(self.bands, np.where(missing, 0.0, numbers), side="right")
            return Coded((*self.labels, MISSING), np.where(missing, len(self.labels), codes))
        values, codes = np.unique(numbers + 0.0, return_inverse=True)  # -0 is 0
        names = [MISSING if np.isnan(value) else f"{value:.12g}" for value in values.tolist()]
        return Coded(tuple(names), codes.reshape(-1).astype(np.int64))

    def code_places(self, places: IntArray, categories: Sequence[str]) -> Coded:
        """Of places (n,) in a list of categories, -1 where missing, as records carry strings."""
        return Coded((*categories, MISSING), np.where(places < 0, len(categories), places))

    def rank(self, value: str) -> tuple[int, str]:
        """For sorting: bands as they rise, others by name, missing last."""
        if value in self.labels:
            return self.labels.index(value), ""
        return len(self.labels) + (value == MISSING), value

    def _strings(self, column: list[str | None]) -> Coded:
        places: dict[str, int] = {}
        codes = [places.setdefault(value or MISSING, len(places)) for value in column]
        return Coded(tuple(places), np.array(codes, np.int64))


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows by the values they have of all attributes: the keys seen, and each row's (n,) place among them."""

    keys: tuple[Key, ...]
    codes: IntArray


class Groups:
    """Single attributes, and intersections of up to ``depth`` of them.

    Rows are counted once, by their values of all attributes; groups are margins of these counts.

    >>> groups = Groups([Attribute("sex"), Attribute("age", bands=(50.0,))], depth=2)
    >>> groups.names
    ('sex', 'age', 'sex & age')
    """

    def __init__(self, attributes: Sequence[Attribute], *, depth: int = 2) -> None:
        if depth < 1:
            raise ValueError(f"a depth of {depth}, expected at least 1")
        self.attributes = tuple(attributes)
        places = range(len(self.attributes))
        self._combinations = tuple(
            combination
            for size in range(1, min(depth, len(self.attributes)) + 1)
            for combination in itertools.combinations(places, size)
        )
        self.names = tuple(
            _JOIN.join(self.attributes[place].name for place in combination)
            for combination in self._combinations
        )

    def cells(self, columns: Mapping[str, npt.NDArray[Any] | Coded], rows: int) -> Cells:
        """The cell of each of ``rows`` rows; an attribute without a column is missing throughout."""
        joint, sizes, values = np.zeros(rows, np.int64), [], []
        for attribute in self.attributes:
            column = columns.get(attribute.name)
            if column is None:
                column = Coded((MISSING,), np.zeros(rows, np.int64))
            coded = column if isinstance(column, Coded) else attribute.code(column)
            joint = joint * len(coded.values) + coded.codes
            sizes.append(len(coded.values))
            values.append(coded.values)
        seen, codes = _distinct(joint, int(np.prod(sizes, dtype=np.int64)))
        places = np.unravel_index(seen, sizes) if sizes else ()
        keys: dict[Key, int] = {}
        merged = [
            keys.setdefault(tuple(names[place] for names, place in zip(values, cell, strict=True)), len(keys))
            for cell in (zip(*places, strict=True) if sizes else [()] * len(seen))
        ]
        return Cells(tuple(keys), np.array(merged, np.int64)[codes])

    def margins(self, counts: Counts) -> dict[str, dict[Key, IntArray]]:
        """By name of the attribute or intersection: the counts of its groups, by its values, in order."""
        answer = {}
        for name, combination in zip(self.names, self._combinations, strict=True):
            groups: dict[Key, IntArray] = {}
            for key, numbers in counts.items():
                values = tuple(key[place] for place in combination)
                groups[values] = groups[values] + numbers if values in groups else numbers
            attributes = [self.attributes[place] for place in combination]

            def rank(values: Key, attributes: Sequence[Attribute] = attributes) -> list[tuple[int, str]]:
                return [attribute.rank(value) for attribute, value in zip(attributes, values, strict=True)]

            answer[name] = {values: groups[values] for values in sorted(groups, key=rank)}
        return answer

    def described(self, name: str, values: Key) -> dict[str, str]:
        """A group as attributes and their values."""
        return dict(zip(name.split(_JOIN), values, strict=True))


def joined(values: Key) -> str:
    """The values of an intersection as one.

    >>> joined(("F", "[30, 50)"))
    'F & [30, 50)'
    """
    return _JOIN.join(values)


def add(counts: Counts, more: Counts) -> Counts:
    """The counts of both; a cell that comes to nothing is left out."""
    return _combined(counts, more, 1)


def subtract(counts: Counts, fewer: Counts) -> Counts:
    """The counts without those of rows counted before.

    >>> subtract({("F",): np.array([2, 1])}, {("F",): np.array([2, 1])})
    {}
    """
    return _combined(counts, fewer, -1)


def _combined(counts: Counts, other: Counts, sign: int) -> Counts:
    answer = dict(counts)
    for key, numbers in other.items():
        total = answer[key] + sign * numbers if key in answer else sign * numbers
        if total.any():
            answer[key] = total
        else:
            answer.pop(key, None)
    return answer


def _distinct(codes: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """The codes that occur, rising, and each row's place among them."""
    if size > 4 * len(codes) + 1024:
        seen, places = np.unique(codes, return_inverse=True)
        return seen, places.reshape(-1).astype(np.int64)
    present = np.bincount(codes, minlength=size) > 0
    return np.flatnonzero(present).astype(np.int64), (np.cumsum(present) - 1)[codes]
