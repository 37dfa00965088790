"""Rows counted by group: by what they were given, or, without a favourable answer, by their errors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Task
from atalaia.monitors.configuration import FairnessSettings
from atalaia.monitors.truth.layout import StructArray
from atalaia.statistics.bins import IntArray
from atalaia.statistics.fairness import Fairness, of_classes, of_values
from atalaia.statistics.gaps import Gap, Rule
from atalaia.statistics.group_errors import GroupErrors
from atalaia.statistics.group_rates import CELL, TRUTHS, Group
from atalaia.statistics.groups import Attribute, Coded, Counts, Key
from atalaia.statistics.sums import WIDE

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grouped:
    """What the counts of a window come to."""

    groups: list[Group] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    why: str | None = None


class Grouping(Protocol):
    """Counts rows by the place of their attributes' values; tables (cells, width) add up."""

    width: int
    unknown: float

    def count(
        self, rows: StructArray, truth: npt.NDArray[Any], cells: IntArray, abstained: BoolArray | None
    ) -> IntArray:
        """Rows (n,) with their labels."""

    def labelled(self, table: IntArray) -> tuple[int, int]:
        """Answered rows, and those of them that are labelled."""

    def result(self, table: IntArray, keys: Sequence[Key]) -> Grouped:
        """Of a table whose rows are the values ``keys`` says."""


class FlagGrouping:
    """By whether the answer was the favourable one, and the truth."""

    width = len(CELL)

    def __init__(
        self, attributes: Sequence[Attribute], settings: FairnessSettings, *, favourable: float, task: Task
    ) -> None:
        self._regression = task == "regression"
        self.unknown = float("nan") if self._regression else -1
        self._favourable = favourable
        rule = Rule(
            may_alert=settings.may_alert,
            difference=settings.difference,
            ratio=settings.ratio,
            rows=settings.rows,
            outcomes=settings.outcomes,
        )
        self._statistic = Fairness(attributes, depth=settings.depth, rule=rule)

    def count(
        self, rows: StructArray, truth: npt.NDArray[Any], cells: IntArray, abstained: BoolArray | None
    ) -> IntArray:
        """Rows (n,) with their labels."""
        if self._regression:
            flagged, known = of_values(truth, rows["score"].astype(np.float64), self._favourable)
        else:
            flagged, known = of_classes(truth.astype(np.int64), rows["predicted"], int(self._favourable))
        places = flagged.astype(np.int64) * TRUTHS + known + 1
        if abstained is not None:
            places = np.where(abstained, self.width - 1, places)
        table = np.bincount(cells * self.width + places, minlength=(int(cells.max()) + 1) * self.width)
        return table.astype(np.int64).reshape(-1, self.width)

    def labelled(self, table: IntArray) -> tuple[int, int]:
        """Answered rows, and those of them that are labelled."""
        by_truth = table[:, : 2 * TRUTHS].reshape(-1, 2, TRUTHS).sum(axis=(0, 1))
        return int(by_truth.sum()), int(by_truth[1:].sum())

    def result(self, table: IntArray, keys: Sequence[Key]) -> Grouped:
        """Groups and gaps."""
        found = self._statistic.result(_counts(table, keys))
        return Grouped(found.groups, found.gaps)


class ErrorGrouping:
    """By the error of each row: of a regressor its own, of a classifier 1 where it was wrong."""

    width = 3 + 2 * WIDE.limbs

    def __init__(self, attributes: Sequence[Attribute], *, depth: int, classes: bool) -> None:
        self._classes = classes
        self.unknown = -1 if classes else float("nan")
        self._by_cell = GroupErrors([Attribute("cell")])
        self._statistic = GroupErrors(attributes, depth=depth)

    def count(
        self, rows: StructArray, truth: npt.NDArray[Any], cells: IntArray, abstained: BoolArray | None
    ) -> IntArray:
        """Rows (n,) with their labels."""
        labels, said = truth, rows["score"].astype(np.float64)
        if self._classes:
            labels = np.where(truth < 0, np.nan, 0.0)
            said = (rows["predicted"] != truth).astype(np.float64)
        size = int(cells.max()) + 1
        names = Coded(tuple(map(str, range(size))), cells)
        counts = self._by_cell.count({"cell": names}, labels=labels, predicted=said, abstained=abstained)
        table = np.zeros((size, self.width), np.int64)
        for (place,), numbers in counts.items():
            table[int(place)] = numbers
        return table

    def labelled(self, table: IntArray) -> tuple[int, int]:
        """Answered rows, and those of them that are labelled."""
        return int(table[:, 0].sum()), int(table[:, 1].sum())

    def result(self, table: IntArray, keys: Sequence[Key]) -> Grouped:
        """Errors by group."""
        errors = []
        for found in self._statistic.result(_counts(table, keys)):
            entry: dict[str, Any] = {
                "group": found.group,
                "n": found.n,
                "labelled": found.labelled,
                "abstained": found.abstained,
            }
            wrong = found.mean_absolute_error
            if self._classes:
                entry["accuracy"] = None if wrong is None else 1 - wrong
            else:
                entry |= {"mean_absolute_error": wrong, "bias": found.bias}
            errors.append(entry)
        why = "no favourable class is declared, which a gap between rates needs: fairness.favourable"
        if not self._classes:
            why = "no favourable value is declared, which a gap between rates needs: fairness.favourable"
        return Grouped(errors=errors, why=why)


def _counts(table: IntArray, keys: Sequence[Key]) -> Counts:
    seen = np.flatnonzero(table.any(axis=1))
    return {keys[place]: table[place] for place in seen.tolist()}
