"""Gaps: how a rate differs between groups, over every pair of them, and when that is a hit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from atalaia.statistics import coverage
from atalaia.statistics.group_rates import BIASED, RATES, coverage_cells, rate_counts
from atalaia.statistics.intervals import newcombe, ratio

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ALERTABLE = tuple(f"{rate}_{kind}" for rate in RATES for kind in ("difference", "ratio"))
FALSE_ALARMS = 0.001
HITS, OF_WINDOWS = 2, 2
"""An alert fires after this many hits among the last disjoint windows that judged (`drop.persists`)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a gap is a hit.

    The lower bound of a difference above ``difference``, or the upper bound of a ratio below ``ratio``, of a
    metric in ``may_alert``, between two groups of which each has ``rows`` in the rate's denominator and, at
    the rate of the two together, ``outcomes`` of each outcome. (Asked of what was seen instead of what is
    expected, a group that is never flagged could not be told from one that always is.)

    Raises
    ------
    ValueError
        naming a metric that cannot alert.
    """

    may_alert: tuple[str, ...] = ("flag_rate_ratio", "tpr_difference", "fpr_difference")
    difference: float = 0.10
    ratio: float = 0.80
    rows: int = 30
    outcomes: int = 10

    def __post_init__(self) -> None:
        unknown = [name for name in self.may_alert if name not in ALERTABLE]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot alert; these can: {', '.join(ALERTABLE)}")


@dataclass(frozen=True, slots=True)
class Gap:
    """How a rate differs between two groups of an attribute or an intersection.

    A difference is the rate of ``between[0]`` minus that of ``between[1]``, never negative; a ratio the rate
    of ``between[0]`` over that of ``between[1]``, never above 1. ``low`` and ``high`` bound it at ``level``.
    ``supported`` says that both groups are large enough to alert, ``biased`` that label coverage forbids it,
    ``judged`` that the rule was applied.
    """

    metric: str
    attribute: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    between: tuple[str, ...] = ()
    level: float | None = None
    supported: bool = False
    biased: bool = False
    judged: bool = False
    hit: bool = False


def compare(attribute: str, names: list[str], table: IntArray, rule: Rule) -> list[Gap]:
    """The gaps between the named groups of an attribute, from their counts (groups, 7).

    Of each metric the widest gap, then the one most surely there among those that may alert, if it is between
    another pair. Every pair is compared at level 1 - .001 / (number of pairs). A metric without two groups to
    compare is there with the value None. Of equalised odds: the worse of the widest gaps of TPR and FPR.
    """
    pairs = _Pairs.of(table)
    successes, trials = rate_counts(table)
    answer: dict[str, list[Gap]] = {}
    for place, rate in enumerate(RATES):
        compared = _Compared.of(successes[:, place], trials[:, place], pairs, rule, biased=rate in BIASED)
        for kind in ("difference", "ratio"):
            metric = f"{rate}_{kind}"
            gaps = [compared.gap(kind, pair, metric, attribute, names) for pair in compared.chosen(kind)]
            answer[metric] = [_judge(gap, rule) for gap in gaps] or [Gap(metric, attribute)]
    answer["equalized_odds_difference"] = _worse(answer, "difference")
    answer["equalized_odds_ratio"] = _worse(answer, "ratio")
    return [gap for metric in answer for gap in answer[metric]]


def _judge(gap: Gap, rule: Rule) -> Gap:
    if gap.metric not in rule.may_alert or not gap.supported or gap.biased:
        return gap
    if gap.low is None or gap.high is None:
        return gap
    difference = gap.metric.endswith("_difference")
    hit = gap.low > rule.difference if difference else gap.high < rule.ratio
    return replace(gap, judged=True, hit=hit)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Every two groups of one attribute or intersection."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    uneven: BoolArray

    @classmethod
    def of(cls, table: IntArray) -> Self:
        first, second = np.triu_indices(len(table), 1)
        rows, labelled = coverage_cells(table)
        large = rows >= coverage.MINIMUM_CELL_ROWS
        share = np.divide(labelled, rows, out=np.ones(rows.shape), where=rows > 0)
        most = np.where(large, share, 0.0).max(axis=1)
        least = np.where(large, share, np.inf).min(axis=1)
        spread = np.minimum(least[first], least[second]) * coverage.MAXIMUM_RATIO + 1e-12
        return cls(first, second, np.maximum(most[first], most[second]) > spread)

    @property
    def level(self) -> float:
        """So that all pairs together are wrong once in a thousand."""
        return 1 - FALSE_ALARMS / max(len(self.first), 1)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A rate compared between the two groups of each pair, the lower and the higher one."""

    lower: npt.NDArray[np.intp]
    higher: npt.NDArray[np.intp]
    defined: BoolArray
    supported: BoolArray
    biased: BoolArray
    level: float
    bounds: dict[str, tuple[FloatArray, FloatArray, FloatArray]]

    @classmethod
    def of(
        cls, successes: FloatArray, trials: FloatArray, pairs: _Pairs, rule: Rule, *, biased: bool
    ) -> Self:
        rate = successes / np.where(trials == 0, np.nan, trials)
        swapped = rate[pairs.first] > rate[pairs.second]
        lower = np.where(swapped, pairs.second, pairs.first)
        higher = np.where(swapped, pairs.first, pairs.second)
        of_lower, of_higher = (successes[lower], trials[lower]), (successes[higher], trials[higher])
        top = np.where(rate[higher] > 0, rate[higher], np.nan)
        return cls(
            lower=lower,
            higher=higher,
            defined=~np.isnan(rate[lower]) & ~np.isnan(rate[higher]),
            supported=supported_pairs(of_lower, of_higher, rule),
            biased=pairs.uneven & biased,
            level=pairs.level,
            bounds={
                "difference": (rate[higher] - rate[lower], *newcombe(*of_higher, *of_lower, pairs.level)),
                "ratio": (rate[lower] / top, *ratio(*of_lower, *of_higher, pairs.level)),
            },
        )

    def chosen(self, kind: str) -> list[int]:
        """The widest pair, then the one that most surely differs of those that may alert, if another."""
        value, low, high = self.bounds[kind]
        width, sureness = (value, low) if kind == "difference" else (-value, -high)
        known = self.defined & ~np.isnan(value)
        answer = _greatest(width, known)
        surest = _greatest(sureness, known & self.supported & ~self.biased)
        return answer + [pair for pair in surest if pair not in answer]

    def gap(self, kind: str, pair: int, metric: str, attribute: str, names: list[str]) -> Gap:
        value, low, high = (float(bounds[pair]) for bounds in self.bounds[kind])
        between = names[self.lower[pair]], names[self.higher[pair]]
        return Gap(
            metric=metric,
            attribute=attribute,
            value=value,
            low=low,
            high=high,
            between=between[::-1] if kind == "difference" else between,
            level=self.level,
            supported=bool(self.supported[pair]),
            biased=bool(self.biased[pair]),
        )


def supported_pairs(
    first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray], rule: Rule
) -> BoolArray:
    """Which pairs are large enough to alert, from the successes and trials (pairs,) of their two groups.

    >>> few, many = (np.array([0.0]), np.array([30.0])), (np.array([500.0]), np.array([1000.0]))
    >>> supported_pairs(few, many, Rule()).tolist(), supported_pairs(few, few, Rule()).tolist()
    ([True], [False])
    """
    together = first[1] + second[1]
    rate = (first[0] + second[0]) / np.maximum(together, 1)
    fewest = np.minimum(first[1], second[1])
    expected = fewest * np.minimum(rate, 1 - rate)
    return (fewest >= rule.rows) & (expected >= rule.outcomes)


def _greatest(values: FloatArray, among: BoolArray) -> list[int]:
    return [int(np.where(among, values, -np.inf).argmax())] if among.any() else []


def _worse(gaps: Mapping[str, list[Gap]], kind: str) -> list[Gap]:
    """Equalised odds: the worse of the widest gaps of TPR and FPR, as in fairlearn."""
    metric = f"equalized_odds_{kind}"
    both = [gaps[f"{rate}_{kind}"][0] for rate in ("tpr", "fpr")]
    known = [(gap.value, gap) for gap in both if gap.value is not None]
    if not known:
        return [replace(both[0], metric=metric)]
    sign = 1 if kind == "ratio" else -1
    _, worst = min(known, key=lambda pair: sign * pair[0])
    return [replace(worst, metric=metric, judged=False, hit=False)]
