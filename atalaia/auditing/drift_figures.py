"""Tests of one column of a window, by scipy over its values: what `drift` publishes, by another way."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atalaia.auditing.extras import scipy_stats

AnyArray = npt.NDArray[Any]
Tally = Counter[Hashable]
Figures = dict[str, Any]

_FEWEST_EXPECTED = 5.0
_FEWEST_NUMBERS = 11
_MOST_VALUES = 16_384
_MOST_CATEGORIES = 1_000
_RARER = ("rarer",)
_UNSEEN = ("unseen",)
POOLED: Mapping[Hashable, str] = {_RARER: "(rarer)", _UNSEEN: "(unseen)"}
"""What values without a category of their own are counted as, and what that is called."""
_NOTHING: Figures = {"statistic": None, "p_value": None, "effect": None, "ratio": None}


class Sample(NamedTuple):
    """A column: numbers by their distinct values and how often each is there, or strings; missing apart."""

    values: AnyArray
    counts: npt.NDArray[np.int64]
    missing: int

    @classmethod
    def of(cls, column: AnyArray) -> "Sample":
        """Of numbers ``(n,)``, NaN where missing, or strings ``(n,)``, None where missing."""
        if column.dtype.kind == "O":
            present = np.array([value for value in column.tolist() if value is not None], np.str_)
        else:
            present = column[~np.isnan(column)] + np.zeros((), column.dtype)  # -0 = 0
        values, counts = np.unique(present, return_counts=True)
        return cls(values, counts.astype(np.int64), len(column) - len(present))

    @property
    def rows(self) -> int:
        """Values that are not missing."""
        return int(self.counts.sum())

    def tally(self) -> Tally:
        """How often each value is there."""
        return Counter(dict(zip(self.values.tolist(), self.counts.tolist(), strict=True)))


def is_numeric(reference: Sample) -> bool:
    """Whether the column is compared as numbers: more than 10 distinct ones in the reference."""
    return reference.values.dtype.kind in "fiu" and len(reference.values) >= _FEWEST_NUMBERS


def tests_of(reference: Sample) -> dict[str, bool]:
    """The tests that suit a column, and whether they decide."""
    if is_numeric(reference):
        return {"ks": True, "missing": True, "psi": False}
    return {"chi2": True, "unseen": True, "missing": True, "psi": False}


def tally_by(reference: Sample) -> Callable[[Sample], Tally]:
    """What counts how often each category of a reference is in a sample, and values that have none."""
    names = _names(reference)
    return lambda sample: _named(sample, names)


def coarseness(reference: Sample) -> float:
    """The largest share of a numeric reference that lies between two values that are compared at."""
    places = _places(reference)
    if len(places) == len(reference.values):
        return 0.0
    at = np.searchsorted(reference.values, places)
    reached = np.append(0, np.cumsum(reference.counts))
    return float((reached[at[1:]] - reached[at[:-1] + 1]).max() / reference.rows)


def measure(
    test: str, window: Sample, reference: Sample, *, phi: float = 1.0, earlier: Sample | None = None
) -> Figures | None:
    """Statistic, p-value, effect, ratio and rows of a test, None of a test this module does not know.

    Parameters
    ----------
    phi : how many rows tell as much as one independent row
    earlier : what the window is compared with, where it is not the reference
    """
    if test == "ks":
        return _ks(window, reference, phi, earlier)
    if test == "chi2":
        return _chi2(window, reference, phi, earlier)
    if test == "missing":
        other = reference if earlier is None else earlier
        figures = _compare(_presence(window), _presence(other), phi)
        return {**figures, "n": window.rows + window.missing} if "n" in figures else figures
    if test == "unseen":
        return _unseen(window, reference, phi, earlier)
    if test == "psi":
        return _psi(window, reference, earlier)
    return None


def is_large(figures: Mapping[str, Any], effect: float, ratio: float) -> bool:
    """Whether a difference is at least ``effect``, or a rate changed by a factor of ``ratio`` or more."""
    if figures["effect"] is not None and figures["effect"] >= effect:
        return True
    changed = figures["ratio"]
    return changed is not None and (changed >= ratio or changed <= 1 / ratio)


def adjusted(p_values: list[float]) -> list[float]:
    """After Benjamini and Hochberg."""
    return [float(value) for value in scipy_stats().false_discovery_control(p_values)] if p_values else []


def _ks(window: Sample, reference: Sample, phi: float, earlier: Sample | None) -> Figures:
    other = reference if earlier is None else earlier
    n, m = window.rows, other.rows
    if not n or not m:
        return {**_NOTHING, "n": n}
    places = _places(reference)
    if earlier is None and len(places) == len(reference.values):
        found = scipy_stats().ks_2samp(
            np.repeat(window.values, window.counts), np.repeat(other.values, other.counts), method="asymp"
        )
        distance, p_value = float(found.statistic), float(found.pvalue)
    else:
        distance, p_value = _distance_at(places, window, other), None
    if p_value is None or phi > 1:
        rows = max(1.0, float(np.round(n * m / (n + m) / phi)))
        p_value = float(scipy_stats().kstwo.sf(distance, rows))
    return {"statistic": distance, "p_value": p_value, "effect": distance, "ratio": None, "n": n}


def _places(reference: Sample) -> AnyArray:
    """The values at which two distribution functions are compared: all, or those at even ranks."""
    if len(reference.values) <= _MOST_VALUES:
        return reference.values
    ranks = np.linspace(0, reference.rows, _MOST_VALUES)
    chosen = np.searchsorted(np.cumsum(reference.counts), ranks, "left")
    places: AnyArray = reference.values[np.unique(np.minimum(chosen, len(reference.values) - 1))]
    return places


def _distance_at(places: AnyArray, window: Sample, other: Sample) -> float:
    """The largest distance at, and just below, some values."""
    farthest = 0.0
    for side in ("left", "right"):
        shares = []
        for sample in (window, other):
            reached = np.append(0, np.cumsum(sample.counts))
            shares.append(reached[np.searchsorted(sample.values, places, side)] / sample.rows)
        farthest = max(farthest, float(np.abs(shares[0] - shares[1]).max()))
    return farthest


def _chi2(window: Sample, reference: Sample, phi: float, earlier: Sample | None) -> Figures:
    names = _names(reference)
    now = _named(window, names)
    if earlier is None:
        now.pop(_UNSEEN, None)
        return _compare(now, _named(reference, names), phi)
    return _compare(now, _named(earlier, names), phi)


def _names(reference: Sample) -> Mapping[Hashable, Hashable]:
    """What each value of the reference is counted as: the most frequent as themselves."""
    known = reference.values.tolist()
    kept = set(range(len(known)))
    if len(known) > _MOST_CATEGORIES:
        kept = set(np.argsort(-reference.counts, kind="stable")[:_MOST_CATEGORIES].tolist())
    return {value: value if place in kept else _RARER for place, value in enumerate(known)}


def _named(sample: Sample, names: Mapping[Hashable, Hashable]) -> Tally:
    counted: Tally = Counter()
    for value, count in sample.tally().items():
        counted[names.get(value, _UNSEEN)] += count
    return counted


def _presence(sample: Sample) -> Tally:
    return Counter({"present": sample.rows, "missing": sample.missing})


def _compare(window: Tally, other: Tally, phi: float) -> Figures:
    """Chi-squared over pooled categories, total variation and the rate that changed most."""
    n, m = window.total(), other.total()
    if not n or not m:
        return {**_NOTHING, "n": n}
    seen = [name for name in dict.fromkeys([*other, *window]) if window[name] + other[name]]
    fewer = min(n, m) / (n + m)
    cells = _pooled({name: (window[name] + other[name]) * fewer for name in seen})
    table = np.array(
        [[sum(counts[name] for name in cell) for cell in cells] for counts in (window, other)], np.float64
    )
    effect = float(np.abs(table[0] / n - table[1] / m).sum() / 2)
    figures: Figures = {"effect": effect, "ratio": _ratio(window, other, seen, fewer), "n": n}
    if len(cells) == 1:
        return {**figures, "statistic": None, "p_value": None}
    if len(cells) == 2 and (table[:, -1].sum() * fewer) < _FEWEST_EXPECTED:
        rare, before = int(table[0, -1]), int(table[1, -1])
        return {**figures, "statistic": rare / n, "p_value": _excess(rare, n, before, m, phi)}
    found = scipy_stats().chi2_contingency(table, correction=False)
    statistic = float(found.statistic)
    p_value = float(scipy_stats().chi2.sf(statistic / phi, len(cells) - 1))
    return {**figures, "statistic": statistic, "p_value": p_value}


def _pooled(expected: Mapping[Hashable, float]) -> list[list[Hashable]]:
    """Categories by cell; those expected too rarely are one, the last."""
    rising = sorted(expected, key=expected.__getitem__)
    rare = [name for name in rising if expected[name] < _FEWEST_EXPECTED]
    others = rising[len(rare) :]
    if rare and sum(expected[name] for name in rare) < _FEWEST_EXPECTED and len(others) > 1:
        rare.append(others.pop(0))
    cells = [[name] for name in others]
    return [*cells, rare] if rare else cells


def _ratio(window: Tally, other: Tally, seen: list[Hashable], fewer: float) -> float | None:
    n, m = window.total(), other.total()
    ratios = [
        (window[name] / n) / (max(other[name], 0.5) / m)
        for name in seen
        if (window[name] + other[name]) * fewer >= _FEWEST_EXPECTED
    ]
    if not ratios:
        return None
    return max(ratios, key=lambda ratio: abs(math.log(ratio)) if ratio else math.inf)


def _excess(k: int, n: int, s: int, m: int, phi: float) -> float:
    """P(K >= k), hypergeometric."""
    if phi > 1:
        k, n, s, m = (round(count / phi) for count in (k, n, s, m))
    return float(scipy_stats().hypergeom.sf(k - 1, n + m, n, k + s)) if k else 1.0


def _unseen(window: Sample, reference: Sample, phi: float, earlier: Sample | None) -> Figures:
    n, m = window.rows, reference.rows
    if earlier is not None or not n or not m:
        return {**_NOTHING, "n": n}
    known = set(reference.values.tolist())
    k = sum(count for value, count in window.tally().items() if value not in known)
    s = int((reference.counts == 1).sum())
    rate = (s + 1) / (m + 1)
    ratio = (k / n) / rate if n * rate >= _FEWEST_EXPECTED else None
    p_value = _excess(k, n, s, m, phi)
    return {"statistic": k / n, "p_value": p_value, "effect": k / n, "ratio": ratio, "n": n}


def _psi(window: Sample, reference: Sample, earlier: Sample | None) -> Figures:
    other = reference if earlier is None else earlier
    n, m = window.rows, other.rows
    if not n or not m:
        return {**_NOTHING, "n": n}
    now, then = _psi_cells(window, reference), _psi_cells(other, reference)
    k = len(now)
    p, q = (now + 0.5) / (n + k / 2), (then + 0.5) / (m + k / 2)
    index = float(((p - q) * np.log(p / q)).sum()) - (k - 1) * (1 / n + 1 / m)
    return {"statistic": index, "p_value": None, "effect": index, "ratio": None, "n": n}


def _psi_cells(sample: Sample, reference: Sample) -> npt.NDArray[np.float64]:
    if is_numeric(reference):
        places = _places(reference)
        reached = np.cumsum(reference.counts)[np.searchsorted(reference.values, places)]
        rows = reference.rows
        cuts = np.unique(np.searchsorted(reached * 10, np.arange(1, 10) * rows, "left"))
        edges = places[cuts[cuts < len(places) - 1]]
        cells = np.searchsorted(edges, sample.values, "left")
        return np.bincount(cells, weights=sample.counts, minlength=len(edges) + 1).astype(np.float64)
    names = _names(reference)
    known: Tally = _named(reference, names)
    known.setdefault(_RARER, 0)  # a cell of its own, with or without such values
    pools = _pooled({name: float(count) for name, count in known.items()})
    counted = _named(sample, names)
    sums = [float(sum(counted[name] for name in pool)) for pool in pools]
    return np.array([*sums, float(counted[_UNSEEN])])
