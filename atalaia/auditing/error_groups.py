"""Errors by group, where nothing says which answers are favourable: summed row by row."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Figures = dict[str, Any]
LARGEST = 2.0**140
"""Values are counted as at most this."""


class Answers(NamedTuple):
    """Rows ``(n,)`` of a window: the value of each attribute, what was said, and the truth.

    Without ``classes`` what was said and the truth are values. ``known`` are answered rows with a truth.
    """

    attributes: Mapping[str, Sequence[str]]
    said: npt.NDArray[Any]
    truth: npt.NDArray[Any]
    known: npt.NDArray[np.bool_]
    abstained: npt.NDArray[np.bool_]
    classes: bool


def described(rows: Answers, *, depth: int) -> Iterator[Figures]:
    """Each group of an attribute or an intersection as it is published."""
    names = list(rows.attributes)
    for size in range(1, min(depth, len(names)) + 1):
        for chosen in itertools.combinations(names, size):
            members: dict[tuple[str, ...], list[int]] = defaultdict(list)
            for place, key in enumerate(zip(*(rows.attributes[name] for name in chosen), strict=True)):
                members[key].append(place)
            for key, places in members.items():
                group = dict(zip(chosen, key, strict=True))
                yield {"group": group} | _figures(rows, np.array(places))


def _figures(rows: Answers, places: npt.NDArray[np.int64]) -> Figures:
    known = places[rows.known[places]]
    abstained = int(rows.abstained[places].sum())
    figures: Figures = {"n": len(places) - abstained, "labelled": len(known), "abstained": abstained}
    if rows.classes:
        right = int((rows.said[known] == rows.truth[known]).sum())
        return figures | {"accuracy": right / len(known) if len(known) else None}
    said, truth = (
        np.clip(column[known].astype(np.float64), -LARGEST, LARGEST) for column in (rows.said, rows.truth)
    )
    errors = (said - truth).tolist()
    return figures | {
        "mean_absolute_error": math.fsum(map(abs, errors)) / len(errors) if errors else None,
        "bias": math.fsum(errors) / len(errors) if errors else None,
    }
