"""Errors of a regressor by group, where no threshold says which values are favourable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.statistics.groups import Attribute, Coded, Counts, Groups
from atalaia.statistics.layout import Layout
from atalaia.statistics.regression import LARGEST
from atalaia.statistics.sums import WIDE

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_LAYOUT = Layout(rows=(), labelled=(), abstained=(), error=(WIDE.limbs,), absolute_error=(WIDE.limbs,))


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """One group of rows: ``n`` answered, those ``labelled``, and their errors; None without labels.

    ``bias`` is mean(prediction - label).
    """

    group: dict[str, str]
    n: int
    labelled: int
    abstained: int
    mean_absolute_error: float | None
    bias: float | None


class GroupErrors:
    """Counts the errors of a regressor by group; published, never alerted on.

    >>> watch = GroupErrors([Attribute("sex")])
    >>> sex = np.array(["F", "F", "M"], object)
    >>> labels, predicted = np.array([1.0, 2.0, np.nan]), np.array([1.5, 1.5, 3.0])
    >>> groups = watch.result(watch.count({"sex": sex}, labels=labels, predicted=predicted))
    >>> [(group.group["sex"], group.n, group.mean_absolute_error, group.bias) for group in groups]
    [('F', 2, 0.5, 0.0), ('M', 1, None, None)]
    """

    def __init__(self, attributes: Sequence[Attribute], *, depth: int = 2) -> None:
        self.groups = Groups(attributes, depth=depth)

    def count(
        self,
        columns: Mapping[str, npt.NDArray[Any] | Coded],
        *,
        labels: FloatArray,
        predicted: FloatArray,
        abstained: BoolArray | None = None,
    ) -> Counts:
        """Counts by cell of labels (n,), NaN where unknown, and predictions (n,)."""
        cells = self.groups.cells(columns, len(labels))
        answered = np.ones(len(labels), np.bool_) if abstained is None else ~abstained
        known = answered & ~np.isnan(labels)
        label, said = (np.clip(values[known], -LARGEST, LARGEST) for values in (labels, predicted))
        error = said.astype(np.float64) - label
        codes, size = cells.codes, len(cells.keys)
        shape = size, WIDE.limbs
        table = np.column_stack(
            [
                np.bincount(codes[answered], minlength=size),
                np.bincount(codes[known], minlength=size),
                np.bincount(codes[~answered], minlength=size),
                WIDE.count(error, codes[known], size).reshape(shape),
                WIDE.count(np.abs(error), codes[known], size).reshape(shape),
            ]
        ).astype(np.int64)
        return {key: table[place] for place, key in enumerate(cells.keys)}

    def result(self, counts: Counts) -> list[ErrorGroup]:
        """The groups of a window's counts."""
        answer = []
        for name, members in self.groups.margins(counts).items():
            for values, state in members.items():
                rows, labelled, abstained = (
                    _LAYOUT.number(state, part) for part in ("rows", "labelled", "abstained")
                )
                absolute, error = (_LAYOUT.part(state, part) for part in ("absolute_error", "error"))
                answer.append(
                    ErrorGroup(
                        group=self.groups.described(name, values),
                        n=rows,
                        labelled=labelled,
                        abstained=abstained,
                        mean_absolute_error=WIDE.mean(absolute, labelled) if labelled else None,
                        bias=WIDE.mean(error, labelled) if labelled else None,
                    )
                )
        return answer
