"""Labels against the model they are for."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Manifest
from atalaia.errors import FieldProblem
from atalaia.inference.columns import (
    MAX_PROBLEMS,
    MAX_STRING_CHARACTERS,
    read_numbers,
    read_strings,
    report,
)
from atalaia.labels.rows import LabelRows
from atalaia.labels.unreadable import EXPECTED
from atalaia.records import LabelValue

FloatArray = npt.NDArray[np.float64]

AHEAD_MS = 60_000
"""How far beyond the clock of whoever checks it the time of a label may lie."""

_CLASSES_SHOWN = 12


def label_codes(manifest: Manifest, labels: Sequence[LabelValue]) -> npt.NDArray[Any]:
    """Labels ``(n,)`` as the model's answers are counted.

    Of a classifier places in ``manifest.classes``, int64, -1 where it is none of them. A string class is
    that very string. An integer class is any JSON value equal to it (3, 3.0, for 0 and 1 also false and
    true), or its decimal digits as a string ("3"), unless that string is a class itself. Of a regressor
    float64, NaN for whatever is no finite JSON number.

    >>> from atalaia.bundles.manifest import ModelFile
    >>> wine = Manifest("wine", "1", "classification", ModelFile("tensor"), features=(), classes=(3, 4))
    >>> label_codes(wine, [4, "3", 3.0, "3.0", None, "bad"])
    array([ 1,  0,  0, -1, -1, -1])
    """
    if manifest.task == "regression":
        return _numbers(labels)
    codes: dict[LabelValue, int] = {str(known): code for code, known in enumerate(manifest.classes)}
    codes |= {known: code for code, known in enumerate(manifest.classes)}
    return np.fromiter((codes.get(label, -1) for label in labels), np.int64, len(labels))


def check_labels(manifest: Manifest, rows: LabelRows, *, now_ms: int) -> list[FieldProblem]:
    """What keeps labels from being taken for a model, the first 20 of it; ``row`` is the place in the list.

    An id may be any request's, also one that this gateway never saw, and may come again.

    Parameters
    ----------
    now_ms : times more than a minute beyond it lie in the future
    """
    problems: list[FieldProblem] = []
    _check_ids(rows.ids, problems)
    for place in _some(rows.rows < 0):
        report(problems, "row", f"{rows.rows[place]}", EXPECTED["row"], place)
    codes = label_codes(manifest, rows.labels)
    for place in _some(codes == -1 if codes.dtype == np.int64 else np.isnan(codes)):
        report(problems, "label", _shown(rows.labels[place]), truth_words(manifest), place)
    for place in _some(rows.time_ms > now_ms + AHEAD_MS):
        ahead = (int(rows.time_ms[place]) - now_ms) / 1000
        report(problems, "time", f"{ahead:.0f} s in the future", "when the truth was known", place)
    _check_context(manifest, rows, problems)
    return problems


def _check_ids(ids: Iterable[str], problems: list[FieldProblem]) -> None:
    for place, given in enumerate(ids):
        if not 0 < len(given) <= MAX_STRING_CHARACTERS:
            expected = f"the id of a request, of 1 to {MAX_STRING_CHARACTERS} characters"
            report(problems, "id", f"{len(given)} characters", expected, place)


def _check_context(manifest: Manifest, rows: LabelRows, problems: list[FieldProblem]) -> None:
    columns = {column.name: column for column in manifest.context}
    for name, values in rows.context.items():
        column = columns.get(name)
        if column is None:
            known = ", ".join(columns) or "none"
            report(problems, f"context.{name}", "no such context column", f"one of: {known}")
            continue
        read: Callable[..., object] = read_numbers if column.numeric else read_strings
        read(column, values, missing=True, problems=problems)


def _numbers(labels: Sequence[LabelValue]) -> FloatArray:
    if set(map(type, labels)) <= {float}:
        values: FloatArray = np.array(labels, np.float64)
    else:
        values = np.fromiter(map(_number, labels), np.float64, len(labels))
    return np.where(np.isfinite(values), values, np.nan)


def _number(label: LabelValue) -> float:
    if isinstance(label, bool) or not isinstance(label, int | float):
        return math.nan
    try:
        return float(label)
    except OverflowError:
        return math.nan


def truth_words(manifest: Manifest) -> str:
    """What a label has to be, in words."""
    if manifest.task == "regression":
        return "a finite number"
    shown = ", ".join(json.dumps(known) for known in manifest.classes[:_CLASSES_SHOWN])
    return f"a class, one of {shown}{', ...' if len(manifest.classes) > _CLASSES_SHOWN else ''}"


def _some(wrong: npt.NDArray[np.bool_]) -> list[int]:
    places: list[int] = np.flatnonzero(wrong)[:MAX_PROBLEMS].tolist()
    return places


def _shown(value: LabelValue) -> str:
    return json.dumps(value)[:80]
