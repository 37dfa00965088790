"""The gaps a result should have of a metric and attribute: the widest, and the surest, over all pairs."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing import fairness_figures
from atalaia.auditing.comparison import TOLERANCE
from atalaia.auditing.fairness_figures import RATES, Members, Rule

Figures = dict[str, Any]
FloatArray = npt.NDArray[np.float64]

_ODDS = "equalized_odds"
_COMPARED = ("tpr", "fpr")
"""The rates whose worse gap is that of equalised odds."""
_KINDS = ("difference", "ratio")
METRICS = tuple(f"{rate}_{kind}" for rate, kind in itertools.product(RATES, _KINDS)) + tuple(
    f"{_ODDS}_{kind}" for kind in _KINDS
)
"""Of each there is a gap by each attribute and intersection."""
_NONE: Figures = {
    "value": None, "low": None, "high": None, "between": [], "level": None, "supported": False,
    "biased": False, "judged": False, "hit": False,
}  # fmt: skip


def expected(metric: str, members: Members, told: Sequence[Mapping[str, Any]], rule: Rule) -> list[Figures]:
    """The gaps of a metric between groups of an attribute, with the figures of the pairs that are told.

    The first is to be the widest, the other, where it is another pair, the one that is surest of those that
    may alert. Of pairs that are alike either may be told.
    """
    if metric.startswith(_ODDS):
        return _odds(metric, members, told, rule)
    best = fairness_figures.widest(metric, members)
    if best is None:
        return [_NONE]
    found = [_of_pair(metric, members, one, rule) for one in told[:2]] or [{}]
    found[0] = _widest(found[0], best)
    sure, bound = surest(metric, members, rule), _bound(metric)
    if len(found) == 1 and not _is_surest(found[0], bound, sure):
        found.append({bound: sure})
    elif len(found) == 2 and (sure is None or told[0]["between"] == told[1]["between"]):
        found.pop()
    elif len(found) == 2 and not _is_surest(found[1], bound, sure):
        found[1] = {bound: sure, "between": "the pair that is surest"}
    return found


def surest(metric: str, members: Members, rule: Rule) -> tuple[float, float] | None:
    """Between what the bound lies of the gap that is surest among the pairs that may alert; None without any.

    A difference is the surer the greater its lower bound, a ratio the smaller its upper bound. That is one
    number, but for groups of the same rate: which of them comes first makes another bound.
    """
    rate, _, kind = metric.rpartition("_")
    large = [group for group in members.values() if group.rate(rate)[1] >= rule.rows]
    if len(large) < 2:
        return None
    k, n = np.array([group.rate(rate) for group in large], np.float64).T
    first, second = np.triu_indices(len(large), 1)
    swapped = k[first] / n[first] < k[second] / n[second]
    high, low = np.where(swapped, second, first), np.where(swapped, first, second)
    together = (k[high] + k[low]) / (n[high] + n[low])
    outcomes = np.minimum(n[high], n[low]) * np.minimum(together, 1 - together)
    among = outcomes >= rule.outcomes
    if rate in fairness_figures.BIASED:
        among &= ~_uneven(large, high, low)
    if kind == "ratio":
        among &= k[high] > 0
    if not among.any():
        return None
    high, low, level = high[among], low[among], fairness_figures.pair_level(members)
    if kind == "difference":
        bounds = _lower_bounds(k, n, high, low, level)
        tied = k[high] / n[high] == k[low] / n[low]
        others = np.where(tied, _lower_bounds(k, n, low, high, level), bounds)
        return float(np.minimum(bounds, others).max()), float(np.maximum(bounds, others).max())
    least = float(_upper_bounds(k[low], n[low], k[high], n[high], level).min())
    return least, least


def _of_pair(metric: str, members: Members, told: Mapping[str, Any], rule: Rule) -> Figures:
    return fairness_figures.gap(metric, members, told["between"], rule)


def _widest(gap: Figures, value: float) -> Figures:
    """A gap that is to be that wide."""
    return gap if _near(gap.get("value"), value) else {"value": value, "between": "a pair with that gap"}


def _is_surest(gap: Figures, bound: str, sure: tuple[float, float] | None) -> bool:
    """Whether a gap is the surest, or nothing is sure."""
    if sure is None:
        return True
    return (
        gap.get("supported", False)
        and not gap["biased"]
        and (_near(gap[bound], sure[0]) or _near(gap[bound], sure[1]) or sure[0] <= gap[bound] <= sure[1])
    )


def _bound(metric: str) -> str:
    return "low" if metric.endswith("_difference") else "high"


def _odds(metric: str, members: Members, told: Sequence[Mapping[str, Any]], rule: Rule) -> list[Figures]:
    """Of equalised odds: the worse of the widest gaps of two rates, by whichever of its pairs is told."""
    kind = metric.rpartition("_")[2]
    widest = {
        name: fairness_figures.widest(name, members) for name in (f"{rate}_{kind}" for rate in _COMPARED)
    }
    known = {name: value for name, value in widest.items() if value is not None}
    if not known:
        return [_NONE]
    worst = max(known.values()) if kind == "difference" else min(known.values())
    never = {"judged": False, "hit": False}
    found = [
        _widest(_of_pair(name, members, told[0], rule) if told else {}, worst) | never
        for name, value in known.items()
        if _near(value, worst)
    ]
    alike = [one for one in found if told and _near(one.get("low"), told[0]["low"])]
    return (alike or found)[:1]


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _uneven(
    groups: Sequence[fairness_figures.Counted], first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    shares = [group.coverages() for group in groups]
    most = np.array([max(some, default=-np.inf) for some in shares])
    least = np.array([min(some, default=np.inf) for some in shares])
    answer: npt.NDArray[np.bool_] = fairness_figures.is_spread(
        np.maximum(most[first], most[second]), np.minimum(least[first], least[second])
    )
    return answer


def _lower_bounds(
    k: FloatArray, n: FloatArray, high: npt.NDArray[np.intp], low: npt.NDArray[np.intp], level: float
) -> FloatArray:
    """Newcombe's, of the higher rate minus the lower one."""
    bounds = [fairness_figures.wilson(hits, trials, level) for hits, trials in zip(k, n, strict=True)]
    least, most = np.array(bounds, np.float64).T
    rate = k / n
    answer: FloatArray = rate[high] - rate[low] - np.hypot(rate[high] - least[high], most[low] - rate[low])
    return answer


def _upper_bounds(k1: FloatArray, n1: FloatArray, k2: FloatArray, n2: FloatArray, level: float) -> FloatArray:
    """Katz', of the lower rate over the higher one."""
    zero = (k1 == 0) | (k2 == 0) | (n1 == k1) | (n2 == k2)
    k1, k2, n1, n2 = k1 + zero / 2, k2 + zero / 2, n1 + zero, n2 + zero
    spread = np.sqrt(1 / k1 - 1 / n1 + 1 / k2 - 1 / n2)
    answer: FloatArray = (k1 / n1) / (k2 / n2) * np.exp(fairness_figures.normal_quantile(level) * spread)
    return answer
