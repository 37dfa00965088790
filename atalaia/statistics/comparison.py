"""What every drift test is: a comparison of two samples that were counted in the same bins."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from atalaia.statistics.bins import AnyArray, Bins, IntArray


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a test says of a window; None where it is undefined.

    ``n`` counts the rows of the window that took part and ``effect`` is the size of the difference in the
    test's own terms. ``ratio`` is the rate that changed most, as a multiple of the reference's, among rates
    expected on at least 5 rows. ``why`` says what keeps a result without a p-value.
    """

    __test__: ClassVar[bool] = False  # its name is no invitation to pytest

    statistic: float | None
    p_value: float | None
    effect: float | None
    n: int
    ratio: float | None = None
    why: str | None = None

    @classmethod
    def undefined(cls, why: str, n: int = 0) -> "TestResult":
        """A result that says nothing but why."""
        return cls(None, None, None, n, why=why)


class DriftTest(ABC):
    """Compares windows of one column with its reference, or with an earlier window.

    A subclass has a ``name``, says whether it ``decides`` (else it is published only), which bins it
    ``suits``, and compares two vectors of counts; it holds no state of windows.

    Parameters
    ----------
    bins : how the column is counted
    dependence : rows that carry the information of one independent row, from 1
        (`atalaia.statistics.dependence`)
    """

    name: ClassVar[str]
    decides: ClassVar[bool] = True

    def __init__(self, bins: Bins, *, dependence: float = 1.0) -> None:
        if not dependence >= 1:
            raise ValueError(f"the dependence factor is {dependence}, expected a number from 1")
        self.bins = bins
        self.dependence = dependence

    @classmethod
    @abstractmethod
    def suits(cls, bins: Bins) -> bool:
        """Whether the test applies to columns counted so."""

    @abstractmethod
    def compare(self, window: IntArray, reference: IntArray) -> TestResult:
        """The result of two vectors of counts of these bins."""

    def compare_earlier(self, window: IntArray, earlier: IntArray) -> TestResult:
        """As `compare`, where what holds of the reference alone does not hold."""
        return self.compare(window, earlier)

    def count(self, values: AnyArray) -> IntArray:
        """Counts of some rows; those of parts add up to those of the whole."""
        return self.bins.count(values)

    def result(self, counts: IntArray, earlier: IntArray | None = None) -> TestResult:
        """Of a window against the reference, or against the counts of an earlier window."""
        if earlier is None:
            return self.compare(counts, self.bins.expected)
        return self.compare_earlier(counts, earlier)
