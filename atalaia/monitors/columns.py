"""The columns of a stream that are watched: where their values come from, and one vector of their counts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from atalaia.monitors.rows import ObservedRows, PlaceArray
from atalaia.statistics.bins import AnyArray, IntArray
from atalaia.statistics.drift import ColumnTests, Measured


class Coded(NamedTuple):
    """Strings as places (n,) in a list, -1 where missing."""

    places: IntArray
    categories: Sequence[str]


class Rows(NamedTuple):
    """Some rows of a message: all, or those at ``chosen``; ``inputs`` only, or answers too."""

    rows: ObservedRows
    chosen: PlaceArray | None
    inputs_only: bool = False


Values = AnyArray | Coded
Reader = Callable[[ObservedRows, PlaceArray | None], Values | None]


@dataclass(frozen=True, slots=True)
class WatchedColumn:
    """A column: its tests, how it is read from rows, and what is made of it.

    ``answers`` are of rows of the version itself, inputs of canaries' too. Without a ``reference`` of its own
    it is compared with earlier windows alone. ``undecided`` says why its tests decide nothing.
    """

    name: str
    tests: ColumnTests
    read: Reader
    answers: bool = False
    reference: bool = True
    undecided: str | None = None


class WatchedColumns:
    """All watched columns of a stream, whose counts lie one after the other in one vector (width,)."""

    def __init__(self, columns: Iterable[WatchedColumn]) -> None:
        self.columns = tuple(columns)
        self.parts: dict[str, slice] = {}
        self.width = 0
        for column in self.columns:
            self.parts[column.name] = slice(self.width, self.width + column.tests.width)
            self.width += column.tests.width

    def add(self, counts: IntArray, rows: Sequence[Rows]) -> None:
        """Count rows into ``counts`` (width,)."""
        for column in self.columns:
            part = counts[self.parts[column.name]]
            numbers: list[AnyArray] = []
            for some in rows:
                if some.inputs_only and column.answers:
                    continue
                values = column.read(some.rows, some.chosen)
                if isinstance(values, Coded):
                    part += column.tests.count_places(values.places, values.categories)
                elif values is not None:
                    numbers.append(values)
            if numbers:
                # One sort of many rows costs less than many sorts of few.
                part += column.tests.count(numbers[0] if len(numbers) == 1 else np.concatenate(numbers))

    def measure(self, counts: IntArray) -> list[Measured]:
        """What all tests say of a window's counts against the reference."""
        return [
            measured
            if column.undecided is None
            else Measured(column.name, measured.test, False, measured.result)
            for column in self.columns
            if column.reference
            for measured in column.tests.results(counts[self.parts[column.name]])
        ]

    def compare(self, counts: IntArray, earlier: IntArray) -> list[Measured]:
        """What all tests say of a window's counts against an earlier window's; none of it decides."""
        return [
            Measured(column.name, measured.test, False, measured.result)
            for column in self.columns
            for measured in column.tests.results(
                counts[self.parts[column.name]], earlier[self.parts[column.name]]
            )
        ]

    def column(self, name: str) -> WatchedColumn:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)
