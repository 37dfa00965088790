"""Groups of a window's rows, their rates and how these differ: counted row by row, with textbook formulas."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Figures = dict[str, Any]
Members = dict[tuple[str, ...], "Counted"]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_GROUP_LEVEL = 0.95
_FALSE_ALARMS = 0.001
_UNEVEN = 1.25
_FEWEST_ROWS = 30
RATES = (
    "flag_rate", "tpr", "tnr", "fpr", "fnr", "ppv", "npv", "accuracy", "prevalence", "abstention_rate",
)  # fmt: skip
BIASED = {"tpr", "tnr", "fpr", "fnr", "npv", "accuracy", "prevalence"}


@dataclass(frozen=True, slots=True)
class Decided:
    """Rows ``(n,)`` of a window: the value of each attribute, what was said, and the truth.

    ``truth`` is 1 where the label is the favourable one, 0 where it is not, -1 where it is unknown.
    """

    attributes: Mapping[str, Sequence[str]]
    flagged: BoolArray
    truth: IntArray
    abstained: BoolArray


@dataclass(frozen=True, slots=True)
class Rule:
    """When a gap may alert, and does."""

    may_alert: tuple[str, ...]
    difference: float
    ratio: float
    rows: int
    outcomes: int


@dataclass(slots=True)
class Counted:
    """Rows of one group: answered ones by what was said and the truth, and abstained ones."""

    said: dict[tuple[bool, int], float]
    abstained: int = 0

    @property
    def answered(self) -> float:
        """Rows that were answered."""
        return sum(self.said.values())

    def of(self, flagged: bool | None, *truths: int) -> float:
        """Answered rows with one of some truths, flagged, not, or either."""
        sides = (True, False) if flagged is None else (flagged,)
        return sum(self.said[side, truth] for side in sides for truth in truths)

    def rate(self, name: str) -> tuple[float, float]:
        """Successes and trials."""
        tp, fp, fn, tn = self.of(True, 1), self.of(True, 0), self.of(False, 1), self.of(False, 0)
        answered = self.answered
        counted = {
            "flag_rate": (self.of(True, 1, 0, -1), answered),
            "tpr": (tp, tp + fn),
            "tnr": (tn, tn + fp),
            "fpr": (fp, fp + tn),
            "fnr": (fn, fn + tp),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
            "accuracy": (tp + tn, tp + fp + fn + tn),
            "prevalence": (tp + fn, tp + fp + fn + tn),
            "abstention_rate": (self.abstained, answered + self.abstained),
        }
        return counted[name]

    def coverages(self) -> list[float]:
        """The share with a label of the flagged and of the others, where either are 30 or more."""
        answer = []
        for flagged in (False, True):
            rows = self.of(flagged, 1, 0, -1)
            if rows >= _FEWEST_ROWS:
                answer.append(self.of(flagged, 1, 0) / rows)
        return answer

    def weighted(self) -> "Counted":
        """The labelled rows, each standing for as many of what was said as there are to it."""
        weighted = dict(self.said)
        for flagged in (False, True):
            labelled = self.of(flagged, 1, 0)
            weight = self.of(flagged, 1, 0, -1) / labelled if labelled else 0.0
            for truth in (1, 0):
                weighted[flagged, truth] = self.said[flagged, truth] * weight
        return Counted(weighted, self.abstained)


def groups(rows: Decided, *, depth: int) -> dict[str, Members]:
    """The groups of each attribute and intersection, by their values."""
    names = list(rows.attributes)
    answer: dict[str, Members] = {}
    for size in range(1, min(depth, len(names)) + 1):
        for chosen in itertools.combinations(names, size):
            members: Members = {}
            keys = zip(*(rows.attributes[name] for name in chosen), strict=True)
            told = zip(keys, rows.flagged.tolist(), rows.truth.tolist(), rows.abstained.tolist(), strict=True)
            for key, flagged, truth, abstained in told:
                counted = members.get(key)
                if counted is None:
                    counted = members[key] = Counted(
                        dict.fromkeys(itertools.product((True, False), (1, 0, -1)), 0)
                    )
                if abstained:
                    counted.abstained += 1
                else:
                    counted.said[flagged, truth] += 1
            answer[" & ".join(chosen)] = members
    return answer


def described(name: str, values: tuple[str, ...], counted: Counted) -> Figures:
    """One group as it is published."""
    figures: Figures = {
        "group": dict(zip(name.split(" & "), values, strict=True)),
        "n": int(counted.answered),
        "labelled": int(counted.of(None, 1, 0)),
        "abstained": counted.abstained,
        "tp": int(counted.of(True, 1)),
        "fp": int(counted.of(True, 0)),
        "tn": int(counted.of(False, 0)),
        "fn": int(counted.of(False, 1)),
        "intervals": {},
    }
    for rate in RATES:
        hits, trials = counted.rate(rate)
        figures[rate] = hits / trials if trials else None
        figures["intervals"][rate] = list(wilson(hits, trials, _GROUP_LEVEL)) if trials else None
    uneven = is_uneven(counted.coverages())
    named = [rate for rate in RATES if rate in BIASED] if uneven else []
    weighted = counted.weighted()
    figures["biased"] = named
    figures["weighted"] = {rate: _share(*weighted.rate(rate)) for rate in named}
    return figures


def gap(metric: str, members: Members, between: Sequence[str], rule: Rule) -> Figures:
    """A published gap between two named groups of an attribute, with its interval and verdict.

    Of groups that cannot be compared it says which could.
    """
    rate, _, kind = metric.rpartition("_")
    named = {" & ".join(values): counted for values, counted in members.items()}
    compared = [named[name] for name in between if name in named and named[name].rate(rate)[1]]
    if len(compared) != 2 or len(between) != 2:
        return {"between": "two groups that have the rate"}
    first, second = compared
    level = pair_level(members)
    (k1, n1), (k2, n2) = first.rate(rate), second.rate(rate)
    if kind == "ratio" and not k2:
        return {"between": "a group with a rate above 0, for a ratio to it"}
    if kind == "difference":
        value, (low, high) = k1 / n1 - k2 / n2, newcombe(k1, n1, k2, n2, level)
    else:
        value, (low, high) = (k1 / n1) / (k2 / n2), ratio_interval(k1, n1, k2, n2, level)
    together = (k1 + k2) / max(n1 + n2, 1)
    fewest = min(n1, n2)
    supported = fewest >= rule.rows and fewest * min(together, 1 - together) >= rule.outcomes
    biased = rate in BIASED and is_uneven([*first.coverages(), *second.coverages()])
    judged = metric in rule.may_alert and supported and not biased
    hit = judged and (low > rule.difference if kind == "difference" else high < rule.ratio)
    return {
        "value": value, "low": low, "high": high, "level": level, "supported": supported, "biased": biased,
        "judged": judged, "hit": hit,
    }  # fmt: skip


def pair_level(members: Members) -> float:
    """At which each pair of groups is compared, so that all together are wrong once in a thousand."""
    pairs = len(members) * (len(members) - 1) // 2
    return 1 - _FALSE_ALARMS / max(pairs, 1)


def widest(metric: str, members: Members) -> float | None:
    """The widest gap of a rate among all pairs of groups; None where there are no two to compare."""
    rate, _, kind = metric.rpartition("_")
    rates = [hits / trials for hits, trials in (counted.rate(rate) for counted in members.values()) if trials]
    if len(rates) < 2:
        return None
    if kind == "difference":
        return max(rates) - min(rates)
    return min(rates) / max(rates) if max(rates) else None


def is_uneven(coverages: Sequence[float]) -> bool:
    """Whether the coverage of two cells differs by more than a factor of 1.25."""
    return bool(coverages) and bool(is_spread(max(coverages), min(coverages)))


def is_spread(most: Any, least: Any) -> Any:
    """The same of the largest and the smallest, numbers or arrays."""
    return most > _UNEVEN * least + 1e-12


def normal_quantile(level: float) -> float:
    """Half-width, in standard deviations, of the middle ``level`` of a normal distribution."""
    return -NormalDist().inv_cdf((1 - level) / 2)


def wilson(k: float, n: float, level: float) -> tuple[float, float]:
    """Wilson's interval of a rate, by its defining equation: |p - rate| = z sqrt(p(1 - p) / n).

    >>> [round(bound, 4) for bound in wilson(3, 40, 0.95)]
    [0.0258, 0.1986]
    """
    z = normal_quantile(level)
    # p^2 (1 + z^2/n) - p (2 rate + z^2/n) + rate^2 = 0
    rate, a = k / n, 1 + z * z / n
    b = 2 * rate + z * z / n
    root = math.sqrt(max(b * b - 4 * a * rate * rate, 0.0))
    return (0.0 if k == 0 else (b - root) / (2 * a)), (1.0 if k == n else (b + root) / (2 * a))


def newcombe(k1: float, n1: float, k2: float, n2: float, level: float) -> tuple[float, float]:
    """Newcombe's interval of a rate minus another."""
    (low1, high1), (low2, high2) = wilson(k1, n1, level), wilson(k2, n2, level)
    first, second = k1 / n1, k2 / n2
    difference = first - second
    return (
        difference - math.hypot(first - low1, high2 - second),
        difference + math.hypot(high1 - first, second - low2),
    )


def ratio_interval(k1: float, n1: float, k2: float, n2: float, level: float) -> tuple[float, float]:
    """Katz' interval of a rate over another; with one half more of each where one of the counts is zero."""
    if 0 in (k1, k2, n1 - k1, n2 - k2):
        k1, k2, n1, n2 = k1 + 0.5, k2 + 0.5, n1 + 1, n2 + 1
    z = normal_quantile(level)
    spread = z * math.sqrt(1 / k1 - 1 / n1 + 1 / k2 - 1 / n2)
    centre = math.log((k1 / n1) / (k2 / n2))
    return math.exp(centre - spread), math.exp(centre + spread)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
