"""The rates of groups of rows, with intervals, and what uneven label coverage does to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.statistics import coverage
from atalaia.statistics.intervals import wilson

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.95

CELL = ("unknown_unflagged", "tn", "fn", "unknown_flagged", "fp", "tp", "abstained")
"""What each place of a cell's counts holds."""
TRUTHS = 3

_RATES = {
    "flag_rate": (("unknown_flagged", "fp", "tp"), ("unknown_unflagged", "tn", "fn")),
    "tpr": (("tp",), ("fn",)),
    "tnr": (("tn",), ("fp",)),
    "fpr": (("fp",), ("tn",)),
    "fnr": (("fn",), ("tp",)),
    "ppv": (("tp",), ("fp",)),
    "npv": (("tn",), ("fn",)),
    "accuracy": (("tp", "tn"), ("fp", "fn")),
    "prevalence": (("tp", "fn"), ("fp", "tn")),
    "abstention_rate": (("abstained",), CELL[:-1]),
}
RATES = tuple(_RATES)
"""Each a share of rows."""
BIASED = frozenset({"tpr", "tnr", "fpr", "fnr", "npv", "accuracy", "prevalence"})
"""Rates that uneven label coverage distorts."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group of rows.

    ``n`` are answered rows; ``tp`` to ``fn`` are of the ``labelled`` ones. ``flag_rate`` is of all answered
    rows, so that it does not wait for labels; ``abstention_rate`` of all rows. Rates are None without a
    denominator. ``intervals`` are Wilson's at 95 %. ``biased`` names the rates that uneven label coverage
    distorts; ``weighted`` has them with each labelled row weighted by the inverse of its coverage.
    """

    group: dict[str, str]
    n: int
    labelled: int
    abstained: int
    tp: int
    fp: int
    tn: int
    fn: int
    flag_rate: float | None
    tpr: float | None
    tnr: float | None
    fpr: float | None
    fnr: float | None
    ppv: float | None
    npv: float | None
    accuracy: float | None
    prevalence: float | None
    abstention_rate: float | None
    intervals: dict[str, tuple[float, float] | None]
    biased: tuple[str, ...] = ()
    weighted: dict[str, float | None] = field(default_factory=dict)


def describe(described: list[dict[str, str]], table: IntArray) -> list[Group]:
    """Groups from their counts (groups, 7)."""
    successes, trials = rate_counts(table)
    low, high = wilson(successes, trials, LEVEL)
    rows, labelled = coverage_cells(table)
    weights = np.repeat(coverage.inverse_weights(rows, labelled), TRUTHS, axis=1)
    weighted = table.astype(np.float64)
    weighted[:, : 2 * TRUTHS] *= weights
    weighted_successes, weighted_trials = rate_counts(weighted)
    answer = []
    for place, group in enumerate(described):
        counts = dict(zip(CELL, table[place].tolist(), strict=True))
        uneven = coverage.uneven(rows[place], labelled[place])
        named = [rate for rate in RATES if rate in BIASED] if uneven else []
        stood_for = _rates(weighted_successes[place], weighted_trials[place])
        answer.append(
            Group(
                group=group,
                n=int(rows[place].sum()),
                labelled=int(labelled[place].sum()),
                abstained=counts["abstained"],
                tp=counts["tp"],
                fp=counts["fp"],
                tn=counts["tn"],
                fn=counts["fn"],
                **_rates(successes[place], trials[place]),
                intervals={
                    rate: (float(low[place, at]), float(high[place, at])) if trials[place, at] else None
                    for at, rate in enumerate(RATES)
                },
                biased=tuple(named),
                weighted={rate: stood_for[rate] for rate in named},
            )
        )
    return answer


def _columns(names: Iterable[str]) -> list[int]:
    return [CELL.index(name) for name in names]


def rate_counts(table: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Successes and trials (groups, rates) of counts (groups, 7), which may be weighted."""
    hits = [table[:, _columns(hit)].sum(axis=1) for hit, _ in _RATES.values()]
    misses = [table[:, _columns(miss)].sum(axis=1) for _, miss in _RATES.values()]
    successes = np.stack(hits, axis=1).astype(np.float64)
    return successes, successes + np.stack(misses, axis=1)


def coverage_cells(table: IntArray) -> tuple[IntArray, IntArray]:
    """Rows and labelled rows (groups, 2), of the unflagged and the flagged."""
    cells = table[:, : 2 * TRUTHS].reshape(-1, 2, TRUTHS)
    return cells.sum(axis=2), cells[:, :, 1:].sum(axis=2)


def _rates(successes: FloatArray, trials: FloatArray) -> dict[str, float | None]:
    return {
        rate: float(hits / rows) if rows else None
        for rate, hits, rows in zip(RATES, successes, trials, strict=True)
    }
