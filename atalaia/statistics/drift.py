"""Window drift tests: which there are, which apply to a column, and all of a column's at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from atalaia.statistics.bins import AnyArray, Bins, CategoryBins, IntArray, ReferenceColumn, bins_of
from atalaia.statistics.chi2 import ChiSquared
from atalaia.statistics.comparison import DriftTest, TestResult
from atalaia.statistics.ks import KolmogorovSmirnov
from atalaia.statistics.missing import Missing
from atalaia.statistics.psi import PopulationStability
from atalaia.statistics.unseen import Unseen

__all__ = ["TESTS", "ColumnTests", "DriftTest", "Measured", "TestResult"]

TESTS: dict[str, type[DriftTest]] = {
    test.name: test
    for test in (
        KolmogorovSmirnov,
        ChiSquared,
        Unseen,
        Missing,
        PopulationStability,
    )
}
"""Every test by name, in the order of results. A new one is a file of its own and a line here."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one test said of one column; ``decides`` tests make the verdict."""

    column: str
    test: str
    decides: bool
    result: TestResult


class ColumnTests:
    """The tests of one column, which count its rows once.

    Every registered test that suits the column, or of those the ones named. Tests that share bins share
    their counts; the vector of counts is that of all distinct bins, one after the other.

    Parameters
    ----------
    column : its name
    reference : its distribution in the reference
    tests : names of tests, all where None
    dependence : phi, from 1 (`atalaia.statistics.dependence`)

    Raises
    ------
    ValueError
        for a name that no test has.

    >>> from atalaia.statistics.bins import reference_of
    >>> sodium = ColumnTests("sodium", reference_of(np.linspace(130, 150, 500)))
    >>> counts = sodium.count(np.linspace(135, 155, 300)) + sodium.count(np.linspace(135, 155, 300))
    >>> [(one.test, round(one.result.effect, 2)) for one in sodium.results(counts)]
    [('ks', 0.25), ('missing', 0.0), ('psi', 1.26)]
    """

    def __init__(
        self,
        column: str,
        reference: ReferenceColumn,
        *,
        tests: Iterable[str] | None = None,
        dependence: float = 1.0,
    ) -> None:
        names = list(TESTS if tests is None else tests)
        unknown = [name for name in names if name not in TESTS]
        if unknown:
            raise ValueError(f"no drift test is called {', '.join(unknown)}; there are {', '.join(TESTS)}")
        self.column = column
        self.bins = bins_of(reference)
        self.tests = tuple(
            TESTS[name](self.bins, dependence=dependence) for name in names if TESTS[name].suits(self.bins)
        )
        self._parts: dict[int, tuple[Bins, slice]] = {}
        self.width = 0
        for bins in (self.bins, *(test.bins for test in self.tests)):
            if id(bins) not in self._parts:
                part = slice(self.width, self.width + len(bins.expected))
                self._parts[id(bins)] = (bins, part)
                self.width = part.stop

    @property
    def constant(self) -> bool:
        """Whether the reference holds at most one value."""
        return int(np.count_nonzero(self.bins.expected[:-1])) < 2

    def count(self, values: AnyArray) -> IntArray:
        """Counts (width,) of some rows; those of parts add up to those of the whole."""
        if len(self._parts) == 1:
            return self.bins.count(values)
        return np.concatenate([bins.count(values) for bins, _ in self._parts.values()])

    def count_places(self, places: IntArray, categories: Sequence[str]) -> IntArray:
        """As `count`, of strings given as places (n,) in a list, -1 where missing, as in records."""
        parts = [bins for bins, _ in self._parts.values()]
        if all(isinstance(bins, CategoryBins) for bins in parts):
            counted = [
                bins.count_places(places, categories) for bins in parts if isinstance(bins, CategoryBins)
            ]
            return np.concatenate(counted)
        return self.count(np.array([*categories, None], np.object_)[places])

    def results(self, counts: IntArray, earlier: IntArray | None = None) -> list[Measured]:
        """What each test says of a window's counts (width,), against the reference or an earlier window's."""
        answers = []
        for test in self.tests:
            part = self._parts[id(test.bins)][1]
            result = test.result(counts[part], None if earlier is None else earlier[part])
            answers.append(Measured(self.column, test.name, test.decides, result))
        return answers
