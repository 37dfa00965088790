"""Where in its range a column changed, and since when: over raw values and rows, without bins."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atalaia.alerts import rfc3339
from atalaia.auditing import drift_figures
from atalaia.auditing.comparison import TOLERANCE, Mismatch, mismatches
from atalaia.auditing.drift_figures import Sample
from atalaia.auditing.extras import scipy_stats
from atalaia.auditing.published import milliseconds

Figures = Mapping[str, Any]
FloatArray = npt.NDArray[np.float64]

NOWHERE = {"since": None, "grew": None, "shrank": None}
"""What a test says that is no hit, or has no values to be in."""

_ENOUGH = 0.9
"""A range has at least so much of the largest change."""
_LEAST_GAIN = 8.0
"""Log-likelihood by which two shares must be likelier than one; else the change began with the first row."""
_SHOWN = 3


class RunColumn(NamedTuple):
    """A column of the rows of a run, and what it is held against.

    ``panes`` gives the column by pane, of the run and of what came before it; None where part of that is not
    there any more.
    """

    window: Sample
    reference: Sample
    panes: Callable[[], Mapping[int, Sample]] | None


class Part(NamedTuple):
    """Part of a column's range: how many values of a sample lie in it, and its shares of the run and of the
    reference.
    """  # fmt: skip

    name: str | float | None
    count: Callable[[Sample], int]
    share: float
    reference_share: float

    @property
    def difference(self) -> float:
        """How much the share grew."""
        return self.share - self.reference_share

    def says(self, told: Figures) -> bool:
        """Whether these are the shares that are told."""
        off = (told["share"] - self.share, told["reference_share"] - self.reference_share)
        return bool(max(map(abs, off)) <= TOLERANCE)


def differences(told: Figures, run: RunColumn, path: str) -> Iterator[Mismatch]:
    """Where what a hit says of its column is not what the column's values come to."""
    if not run.window.rows or not run.reference.rows:
        yield from mismatches(told, NOWHERE, path)
        return
    found: dict[str, list[Part]] = {}
    for name, sign, most in zip(("grew", "shrank"), (1, -1), _largest(run), strict=True):
        parts = [] if told[name] is None else _parts(told[name], run)
        said = [part for part in parts if part.says(told[name])]
        if not said:
            shares = [{"share": one.share, "reference_share": one.reference_share} for one in parts]
            yield Mismatch(f"{path}.{name}", told[name], shares or "a range or a category of the column")
        elif sign * said[0].difference < most - TOLERANCE:
            yield Mismatch(f"{path}.{name}.difference", said[0].difference, sign * most)
        else:
            found[name] = said
    if len(found) == 2 and run.panes is not None:
        # With or without an end a range may have the same share of the run, and another of what was before.
        yield from _since(told["since"], run.panes(), [*found["grew"], *found["shrank"]], f"{path}.since")


def _parts(told: Figures, run: RunColumn) -> list[Part]:
    """What a published range may be: its ends are values of the reference, or lie just beyond them."""
    if not drift_figures.is_numeric(run.reference):
        if told["low"] is not None or told["high"] is not None:
            return []
        return [part for part in _categories(run) if part.name == told["category"]]
    ends = [end for end in (told["low"], told["high"]) if end is not None]
    if told["category"] is not None or not np.isin(ends, run.reference.values.astype(np.float64)).all():
        return []
    counts = (
        _between(told["low"], told["high"], closed) for closed in itertools.product((True, False), repeat=2)
    )
    return [
        Part(None, count, count(run.window) / run.window.rows, count(run.reference) / run.reference.rows)
        for count in counts
    ]


def _categories(run: RunColumn) -> list[Part]:
    """Every category that is counted by itself, and those of all rarer and of all unseen values."""
    tally = drift_figures.tally_by(run.reference)
    now, then = tally(run.window), tally(run.reference)

    def part(name: Any, shown: str | float) -> Part:
        return Part(
            shown, lambda sample: tally(sample)[name], now[name] / now.total(), then[name] / then.total()
        )

    names: set[Any] = then.keys() - drift_figures.POOLED.keys()
    pooled = [part(name, shown) for name, shown in drift_figures.POOLED.items()]
    return [part(name, name) for name in names] + pooled


def _between(low: float | None, high: float | None, closed: tuple[bool, ...]) -> Callable[[Sample], int]:
    def count(sample: Sample) -> int:
        values, inside = sample.values, np.ones(len(sample.values), np.bool_)
        if low is not None:
            inside &= (values >= low) if closed[0] else (values > low)
        if high is not None:
            inside &= (values <= high) if closed[1] else (values < high)
        return int(sample.counts[inside].sum())

    return count


def _largest(run: RunColumn) -> tuple[float, float]:
    """By how much the part that grew must have grown at least, and the one that shrank have shrunk."""
    window, reference = run.window, run.reference
    if not drift_figures.is_numeric(reference):
        changes = [part.difference for part in _categories(run)]
        return max(changes), -min(changes)
    places = np.unique(np.concatenate([window.values, reference.values]))
    apart = np.append(0.0, _reached(window, places) - _reached(reference, places))
    rise = float((apart - np.minimum.accumulate(apart)).max())
    fall = float((np.maximum.accumulate(apart) - apart).max())
    unseen = 2 * drift_figures.coarseness(reference)  # what lies between two bins has no place in them
    return _ENOUGH * (rise - unseen), _ENOUGH * (fall - unseen)


def _reached(sample: Sample, places: npt.NDArray[Any]) -> FloatArray:
    """The share of values at most as large as each place."""
    counts = np.append(0, np.cumsum(sample.counts))
    reached: FloatArray = counts[np.searchsorted(sample.values, places, "right")] / sample.rows
    return reached


def _since(told: str | None, panes: Mapping[int, Sample], parts: list[Part], path: str) -> Iterator[Mismatch]:
    most = max(abs(part.difference) for part in parts)
    largest = [part for part in parts if abs(part.difference) >= most - TOLERANCE]
    begins = sorted(set().union(*(_begins(panes, part) for part in largest)))
    if told is None or milliseconds(told) not in begins:
        yield Mismatch(path, told, [rfc3339(begin) for begin in begins[:_SHOWN]])


def _begins(panes: Mapping[int, Sample], part: Part) -> set[int]:
    """The panes from which on another share is likeliest; the first where one share is as likely."""
    filled = sorted(start for start, sample in panes.items() if sample.rows)
    inside = np.array([part.count(panes[start]) for start in filled], np.float64)
    rows = np.array([panes[start].rows for start in filled], np.float64)
    before, rows_before = np.cumsum(inside)[:-1], np.cumsum(rows)[:-1]
    parted = _likelihood(before, rows_before) + _likelihood(inside.sum() - before, rows.sum() - rows_before)
    whole = float(_likelihood(inside.sum(), rows.sum()))
    gains = (parted - whole).tolist()
    most, near = max(gains, default=0.0), TOLERANCE * max(1.0, abs(whole))
    begins = set()
    if most <= _LEAST_GAIN + near:
        begins.add(filled[0])
    if most > _LEAST_GAIN - near:
        begins |= {filled[at] for at, gain in enumerate(gains, start=1) if gain >= most - near}
    return begins


def _likelihood(inside: FloatArray, rows: FloatArray) -> FloatArray:
    """The logarithm of how likely so many of the rows are at the share that they have."""
    return np.asarray(-rows * scipy_stats().entropy(np.stack([inside, rows - inside])), np.float64)
