"""Fairness counted again, from rows and what was said of them, with scikit-learn and SciPy. Pure."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm
from sklearn.metrics import confusion_matrix

from atalaia.demo.history import Record

EXACT = 1e-9
_LEVEL, _FALSE_ALARMS, _DEPTH = 0.95, 0.001, 2

BoolArray = npt.NDArray[np.bool_]
ObjectArray = npt.NDArray[np.object_]
Figure = tuple[str, float | None, float | None]
"""Its name, as it is published, and as it is counted."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Rows ``(n,)``: their value of each attribute, what was said of them, and the truth of all of them."""

    attributes: Mapping[str, ObjectArray]
    flagged: BoolArray
    truth: BoolArray
    abstained: BoolArray

    def take(self, which: BoolArray) -> "Decided":
        """Some of them."""
        attributes = {name: values[which] for name, values in self.attributes.items()}
        return Decided(attributes, self.flagged[which], self.truth[which], self.abstained[which])


class Tally(NamedTuple):
    """Answered rows of a group by what was said and the truth, and those that were abstained on."""

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0
    abstained: int = 0

    @classmethod
    def of(cls, rows: Decided) -> "Tally":
        """Counted by scikit-learn."""
        answered = rows.take(~rows.abstained)
        if not len(answered.truth):  # which scikit-learn refuses
            return cls(abstained=len(rows.truth))
        (tn, fp), (fn, tp) = confusion_matrix(answered.truth, answered.flagged, labels=[False, True]).tolist()
        return cls(tp, fp, tn, fn, int(rows.abstained.sum()))

    @property
    def n(self) -> int:
        """Answered rows."""
        return self.tp + self.fp + self.tn + self.fn

    @property
    def rates(self) -> dict[str, tuple[int, int]]:
        """Successes and trials of each."""
        tp, fp, tn, fn, abstained = self
        return {
            "flag_rate": (tp + fp, self.n),
            "tpr": (tp, tp + fn),
            "tnr": (tn, tn + fp),
            "fpr": (fp, fp + tn),
            "fnr": (fn, fn + tp),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
            "accuracy": (tp + tn, self.n),
            "prevalence": (tp + fn, self.n),
            "abstention_rate": (abstained, self.n + abstained),
        }


Tallies = dict[str, dict[str, Tally]]
"""By attribute or intersection, and by group."""


def tally(rows: Decided) -> Tallies:
    """The groups of every attribute, and of every two.

    >>> sex, no = np.array(["F", "F", "M"], object), np.zeros(3, np.bool_)
    >>> counted = tally(Decided({"sex": sex}, flagged=np.array([True, False, True]), truth=~no, abstained=no))
    >>> {name: (group.n, group.rates["tpr"]) for name, group in counted["sex"].items()}
    {'F': (2, (1, 2)), 'M': (1, (1, 1))}
    """
    answer: Tallies = {}
    for size in range(1, min(_DEPTH, len(rows.attributes)) + 1):
        for names in itertools.combinations(rows.attributes, size):
            values = zip(*(rows.attributes[name].tolist() for name in names), strict=True)
            group = np.array([" & ".join(several) for several in values], np.object_)
            answer[" & ".join(names)] = {
                name: Tally.of(rows.take(group == name)) for name in sorted(set(group.tolist()))
            }
    return answer


def compare(result: Record, rows: Decided) -> list[Figure]:
    """Every figure of a published result of fairness, beside the same of its window's rows."""
    tallies = tally(rows)
    groups = sum(len(members) for members in tallies.values())
    return [("groups", len(result["groups"]), groups), *_groups(result, tallies), *_gaps(result, tallies)]


def differing(figures: list[Figure]) -> list[str]:
    """Those that are not the same to 1e-9, in words.

    >>> differing([("a", 0.5, 0.5 + 1e-12), ("b", None, None), ("c", None, 0.5), ("d", 1, 2)])
    ['c: None, counted 0.5', 'd: 1, counted 2']
    """
    return [
        f"{name}: {told}, counted {counted}" for name, told, counted in figures if not _same(told, counted)
    ]


def _same(told: float | None, counted: float | None) -> bool:
    if told is None or counted is None:
        return told is counted
    return math.isclose(told, counted, rel_tol=EXACT, abs_tol=EXACT)


def _groups(result: Record, tallies: Tallies) -> Iterator[Figure]:
    for group in result["groups"]:
        attribute, name = (" & ".join(words) for words in (group["group"], group["group"].values()))
        counted = tallies[attribute].get(name, Tally())
        for count in ("n", "tp", "fp", "tn", "fn", "abstained"):
            yield f"{name} {count}", group.get(count, 0), getattr(counted, count)
        yield f"{name} labelled", group["labelled"], counted.n
        for rate, (successes, trials) in counted.rates.items():
            yield f"{name} {rate}", group[rate], successes / trials if trials else None
            told = group["intervals"][rate] or (None, None)
            bounds = _wilson(successes, trials, _LEVEL) if trials else (None, None)
            for end, one, other in zip(("low", "high"), told, bounds, strict=True):
                yield f"{name} {rate} {end}", one, other


def _gaps(result: Record, tallies: Tallies) -> Iterator[Figure]:
    """Each between the groups it names; the first of a metric and attribute is the widest there is."""
    seen = set()
    for gap in result["gaps"]:
        members = tallies[gap["attribute"]]
        metric, _, kind = gap["metric"].rpartition("_")
        rate = _worse(kind, members) if metric == "equalized_odds" else metric
        subject = f"{gap['metric']} by {gap['attribute']}"
        if subject not in seen:
            yield f"widest {subject}", gap["value"], _widest(rate, kind, members)
        seen.add(subject)
        if gap["between"]:
            one, other = (members.get(name, Tally()).rates[rate] for name in gap["between"])
            level = 1 - _FALSE_ALARMS / math.comb(len(members), 2)
            counted = (difference if kind == "difference" else _ratio)(*one, *other, level)
            for field, figure in zip(("value", "low", "high"), counted, strict=True):
                yield f"{subject} {field}", gap[field], figure


def _worse(kind: str, members: Mapping[str, Tally]) -> str:
    """Equalised odds are the worse of two."""
    sign = -1 if kind == "difference" else 1
    widest = {rate: _widest(rate, kind, members) for rate in ("tpr", "fpr")}
    return min(widest, key=lambda rate: math.inf if (gap := widest[rate]) is None else sign * gap)


def _widest(rate: str, kind: str, members: Mapping[str, Tally]) -> float | None:
    """Of all pairs of groups; None without two to compare, and for a ratio of nothing to nothing."""
    known = [
        successes / trials for successes, trials in (one.rates[rate] for one in members.values()) if trials
    ]
    if len(known) < 2:
        return None
    if kind == "difference":
        return max(known) - min(known)
    return min(known) / max(known) if max(known) else None


def _wilson(successes: int, trials: int, level: float) -> tuple[float, float]:
    low, high = binomtest(successes, trials).proportion_ci(level, "wilson")
    return float(low), float(high)


def difference(k1: int, n1: int, k2: int, n2: int, level: float) -> tuple[float, float, float]:
    """With Newcombe's interval."""
    (low1, high1), (low2, high2) = _wilson(k1, n1, level), _wilson(k2, n2, level)
    one, other = k1 / n1, k2 / n2
    value = one - other
    return value, value - math.hypot(one - low1, high2 - other), value + math.hypot(high1 - one, other - low2)


def _ratio(k1: float, n1: float, k2: float, n2: float, level: float) -> tuple[float, float, float]:
    """With Katz' interval; one half more of each of the four counts where one of them is zero."""
    value = (k1 / n1) / (k2 / n2)
    if 0 in (k1, k2, n1 - k1, n2 - k2):
        k1, n1, k2, n2 = k1 + 0.5, n1 + 1, k2 + 0.5, n2 + 1
    spread = float(norm.isf((1 - level) / 2)) * math.sqrt(1 / k1 - 1 / n1 + 1 / k2 - 1 / n2)
    middle = (k1 / n1) / (k2 / n2)
    return value, middle * math.exp(-spread), middle * math.exp(spread)
