"""Cells of a CSV file as what they stand for, and which of them a scorer will refuse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest
from atalaia.inference.columns import MAX_STRING_CHARACTERS, unfit
from atalaia.inference.rows import BoolArray, FloatArray
from atalaia.records import LabelValue

_TRUTHS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of some rows, ready to be sent; ``odd`` are values ``(n,)`` that will be refused.

    ``values`` are float64 with NaN where missing, or a list of strings and None.
    """

    spec: Feature | ContextColumn
    values: FloatArray | list[str | None]
    odd: BoolArray

    def plain(self, text: str, row: int) -> Any:
        """The value of a row as it stands in the file, as JSON: what is no number stays the text it is."""
        value = self.values[row]
        if isinstance(value, str) or value is None:
            return value
        number = float(value)
        if math.isfinite(number):
            return number
        stripped = text.strip()
        return None if not stripped or stripped.lower() == "nan" else stripped


def read_column(spec: Feature | ContextColumn, texts: Sequence[str]) -> Column:
    """A column's cells. An empty cell is a missing value, in a column of numbers ``nan`` too."""
    missing = spec.missing if isinstance(spec, Feature) else not spec.required
    if spec.numeric:
        numbers, odd = _numbers(texts)
        odd |= unfit(numbers, spec.datatype)
        if not missing:
            odd |= np.isnan(numbers)
        return Column(spec, numbers, odd)
    strings: list[str | None] = [text or None for text in texts]
    allowed = None if spec.categories is None else frozenset(spec.categories)
    wrong = [
        (not missing)
        if value is None
        else len(value) > MAX_STRING_CHARACTERS or (allowed is not None and value not in allowed)
        for value in strings
    ]
    return Column(spec, strings, np.array(wrong, np.bool_))


def _numbers(texts: Sequence[str]) -> tuple[FloatArray, BoolArray]:
    """Numbers ``(n,)``, NaN where there is none, and where that is no missing value."""
    odd = np.zeros(len(texts), np.bool_)
    try:
        return np.fromiter(map(float, texts), np.float64, len(texts)), odd
    except ValueError:
        values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        stripped = text.strip().lower()
        if not stripped:
            continue
        try:
            values[row] = _TRUTHS[stripped] if stripped in _TRUTHS else float(stripped)
        except ValueError:
            odd[row] = True
    return values, odd


class LabelCells:
    """Cells of the target column as labels.

    A class is found by its text, a whole number also where it is written ``3.0``; what is none of the
    model's classes, or no number, is sent as it stands and counted by who reads it. An empty cell is no
    label.

    >>> from atalaia.bundles.manifest import ModelFile
    >>> wine = Manifest("wine", "1", "classification", ModelFile("tensor"), features=(), classes=(3, 4))
    >>> LabelCells(wine).read(["3", "4.0", "", "bad"])
    [3, 4, None, 'bad']
    """

    def __init__(self, manifest: Manifest) -> None:
        self._classes = {str(label): label for label in manifest.classes}
        self._regression = manifest.task == "regression"
        self._known: dict[str, LabelValue] = {}

    def read(self, texts: Sequence[str]) -> list[LabelValue]:
        """One label a cell, None where there is none."""
        if self._regression:
            return [self._value(text) for text in texts]
        known = self._known
        for text in set(texts) - known.keys():
            known[text] = self._class(text.strip())
        return [known[text] for text in texts]

    def _class(self, text: str) -> LabelValue:
        if not text or text in self._classes:
            return self._classes.get(text)
        number = _TRUTHS.get(text.lower(), _finite(text))
        if number is not None and number == int(number):
            return self._classes.get(str(int(number)), text)
        return text

    def _value(self, text: str) -> LabelValue:
        stripped = text.strip()
        if not stripped:
            return None
        number = _finite(stripped)
        return stripped if number is None else number


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def any_of(masks: Sequence[npt.NDArray[np.bool_]], rows: int) -> BoolArray:
    """Where any of some masks ``(rows,)`` is set."""
    found = np.zeros(rows, np.bool_)
    for mask in masks:
        found |= mask
    return found
