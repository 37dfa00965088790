"""Fairness: what groups of rows are given, how that compares, and when it may wake somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.statistics.gaps import Gap, Rule, compare
from atalaia.statistics.group_rates import CELL, TRUTHS, Group, describe
from atalaia.statistics.groups import Attribute, Cells, Coded, Counts, Groups, joined

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FairnessResult:
    """Groups, and of each metric and attribute the widest gap, then the surest, if another pair."""

    groups: list[Group]
    gaps: list[Gap]

    def judged(self) -> dict[tuple[str, str], bool]:
        """By metric and attribute: whether this window is a hit; absent where no pair of groups can judge."""
        answer: dict[tuple[str, str], bool] = {}
        for gap in self.gaps:
            if gap.judged:
                subject = gap.metric, gap.attribute
                answer[subject] = answer.get(subject, False) or gap.hit
        return answer


class Fairness:
    """Counts rows by group and compares the groups.

    Counts merge by `groups.add`, in any order; `groups.subtract` takes a row back (as when its label arrives:
    the row without it is subtracted, the one with it added).

    Parameters
    ----------
    attributes : the protected ones
    depth : how many attributes an intersection has at most
    rule : when a gap is a hit

    >>> watch = Fairness([Attribute("sex")])
    >>> sex = np.array(["F", "F", "M", "M"], object)
    >>> flagged, truth = np.array([True, False, True, True]), np.array([1, 0, 1, -1])
    >>> result = watch.result(watch.count({"sex": sex}, flagged=flagged, truth=truth))
    >>> [(group.group["sex"], group.n, group.labelled, group.flag_rate) for group in result.groups]
    [('F', 2, 2, 0.5), ('M', 2, 1, 1.0)]
    >>> gap = result.gaps[0]
    >>> gap.metric, gap.value, gap.between, gap.supported
    ('flag_rate_difference', 0.5, ('M', 'F'), False)
    """

    def __init__(self, attributes: Sequence[Attribute], *, depth: int = 2, rule: Rule | None = None) -> None:
        self.groups = Groups(attributes, depth=depth)
        self.rule = rule or Rule()

    def count(
        self,
        columns: Mapping[str, npt.NDArray[Any] | Coded],
        *,
        flagged: BoolArray,
        truth: IntArray,
        abstained: BoolArray | None = None,
    ) -> Counts:
        """Counts by cell, each (7,) as `CELL`, of n rows.

        Parameters
        ----------
        columns : of each attribute, floats (n,) with NaN, strings (n,) with None, or `Coded`
        flagged : whether the prediction is the favourable one (n,)
        truth : 1 where the label is, 0 where it is not, -1 where it is unknown (n,)
        abstained : (n,); such rows count for the abstention rate alone
        """
        cells = self.groups.cells(columns, len(flagged))
        places = flagged.astype(np.int64) * TRUTHS + truth + 1
        if abstained is not None:
            places = np.where(abstained, len(CELL) - 1, places)
        return _by_cell(cells, places)

    def result(self, counts: Counts) -> FairnessResult:
        """Groups and gaps of a window's counts."""
        groups: list[Group] = []
        gaps: list[Gap] = []
        for name, members in self.groups.margins(counts).items():
            if members:
                table = np.stack(list(members.values()))
                described = [self.groups.described(name, values) for values in members]
                groups += describe(described, table)
                gaps += compare(name, [joined(values) for values in members], table, self.rule)
        return FairnessResult(groups, gaps)


def of_classes(labels: IntArray, predicted: IntArray, favourable: int) -> tuple[BoolArray, IntArray]:
    """Flagged and truth (n,) of a classifier: the favourable class against the rest; labels -1 where unknown.

    >>> [column.tolist() for column in of_classes(np.array([2, 0, -1]), np.array([2, 2, 1]), 2)]
    [[True, True, False], [1, 0, -1]]
    """
    return predicted == favourable, np.where(labels < 0, -1, labels == favourable).astype(np.int64)


def of_values(labels: FloatArray, predicted: FloatArray, threshold: float) -> tuple[BoolArray, IntArray]:
    """Flagged and truth (n,) of a regressor: values of at least ``threshold``; labels NaN where unknown.

    >>> [column.tolist() for column in of_values(np.array([5.0, np.nan]), np.array([4.0, 5.0]), 5.0)]
    [[False, True], [1, -1]]
    """
    return predicted >= threshold, np.where(np.isnan(labels), -1, labels >= threshold).astype(np.int64)


def _by_cell(cells: Cells, places: IntArray) -> Counts:
    width = len(CELL)
    table = np.bincount(cells.codes * width + places, minlength=len(cells.keys) * width)
    table = table.astype(np.int64).reshape(-1, width)
    return {key: table[place] for place, key in enumerate(cells.keys)}
