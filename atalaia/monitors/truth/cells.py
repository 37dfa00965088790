"""The values rows have of all attributes, as places in one list."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.records import Array, ContextValue
from atalaia.statistics.groups import Attribute, Coded, Groups, IntArray, Key

OTHER = "(other)"
"""What every attribute of rows beyond the bound is said to be."""
NOT_GIVEN = ""
"""What an attribute of a label is where the label does not say it."""
NO_CELL = 0xFFFF


class Cells:
    """The combinations of values seen, in the order they came; 0 is the one shared beyond the bound.

    Parameters
    ----------
    attributes : the protected ones
    most : how many combinations are kept apart

    >>> cells = Cells([Attribute("sex"), Attribute("age", bands=(50.0,))], most=100)
    >>> of_rows = cells.of_columns({"sex": np.array(["F", "M"], object), "age": np.array([20.0, 60.0])}, 2)
    >>> of_labels = cells.of_labels({"sex": [None, "X"]}, 2)
    >>> [cells.keys[place] for place in cells.merged(of_rows, of_labels)]
    [('F', '<50'), ('X', '>=50')]
    """

    def __init__(self, attributes: Sequence[Attribute], *, most: int) -> None:
        self.attributes = tuple(attributes)
        self.most = min(most, NO_CELL - 1)
        self.keys: list[Key] = [(OTHER,) * len(self.attributes)]
        self._places = {self.keys[0]: 0}
        self._groups = Groups(self.attributes, depth=1)

    def of_columns(self, columns: Mapping[str, npt.NDArray[Any] | Coded], rows: int) -> IntArray:
        """The place (n,) of each row."""
        seen = self._groups.cells(columns, rows)
        return self._place(seen.keys)[seen.codes] if rows else np.zeros(0, np.int64)

    def of_context(self, context: Mapping[str, Array], rows: int) -> IntArray:
        """The place (n,) of each row of an observation."""
        columns: dict[str, npt.NDArray[Any] | Coded] = {}
        for attribute in self.attributes:
            column = context.get(attribute.name)
            if column is None:
                continue
            values = column.numpy()
            if column.categories is None:
                columns[attribute.name] = values
            else:
                columns[attribute.name] = attribute.code_places(values.astype(np.int64), column.categories)
        return self.of_columns(columns, rows)

    def of_labels(self, context: Mapping[str, Sequence[ContextValue]], rows: int) -> IntArray:
        """The place (n,) of what labels say of their rows, `NO_CELL` where they say nothing."""
        columns: dict[str, npt.NDArray[Any] | Coded] = {
            attribute.name: Coded((NOT_GIVEN,), np.zeros(rows, np.int64)) for attribute in self.attributes
        }
        told = np.zeros(rows, np.bool_)
        for attribute in self.attributes:
            values = context.get(attribute.name)
            if values is not None:
                coded, given = _code(attribute, values)
                columns[attribute.name] = coded
                told |= given
        places = np.full(rows, NO_CELL, np.int64)
        if told.any():
            chosen = {name: _take(column, told) for name, column in columns.items()}
            places[told] = self.of_columns(chosen, int(told.sum()))
        return places

    def merged(self, of_rows: npt.NDArray[Any], of_labels: npt.NDArray[Any]) -> IntArray:
        """The place (n,) of rows once their labels have said what they say of them."""
        answer = of_rows.astype(np.int64)
        told = np.flatnonzero(of_labels != NO_CELL)
        if not len(told):
            return answer
        pairs, codes = np.unique(answer[told] << 16 | of_labels[told].astype(np.int64), return_inverse=True)
        keys = [self._merge(pair >> 16, pair & 0xFFFF) for pair in pairs.tolist()]
        answer[told] = self._place(keys)[codes.reshape(-1)]
        return answer

    def restore(self, keys: Sequence[Key]) -> None:
        """Go on with the combinations seen so far."""
        self.keys = [tuple(key) for key in keys]
        self._places = {key: place for place, key in enumerate(self.keys)}

    def _merge(self, row: int, label: int) -> Key:
        if 0 in (row, label):
            return self.keys[0]
        pairs = zip(self.keys[row], self.keys[label], strict=True)
        return tuple(told if told != NOT_GIVEN else known for known, told in pairs)

    def _place(self, keys: Sequence[Key]) -> IntArray:
        places = []
        for key in keys:
            place = self._places.get(key)
            if place is None:
                place = len(self.keys) if len(self.keys) <= self.most else 0
                if place:
                    self._places[key] = place
                    self.keys.append(key)
            places.append(place)
        return np.array(places, np.int64)


def _code(attribute: Attribute, values: Sequence[ContextValue]) -> tuple[Coded, npt.NDArray[np.bool_]]:
    """A column of a label's context, and where it says something; numbers of strings are their text."""
    if attribute.bands:
        numbers = np.array([_number(value) for value in values], np.float64)
        given = ~np.isnan(numbers)
        coded = attribute.code(numbers)
    else:
        texts = [_text(value) for value in values]
        given = np.array([text is not None for text in texts], np.bool_)
        coded = attribute.code(np.array(texts, np.object_))
    return Coded((*coded.values, NOT_GIVEN), np.where(given, coded.codes, len(coded.values))), given


def _number(value: ContextValue) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _text(value: ContextValue) -> str | None:
    """As `Attribute` names values: numbers in their shortest form."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else f"{value + 0.0:.12g}"


def _take(column: npt.NDArray[Any] | Coded, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[Any] | Coded:
    return Coded(column.values, column.codes[chosen]) if isinstance(column, Coded) else column[chosen]
