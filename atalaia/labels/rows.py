"""Labels as columns, from each of their three forms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.errors import FieldProblem, InvalidInput
from atalaia.inference.columns import parse_time, report
from atalaia.labels.unreadable import EXPECTED, TIME, explain
from atalaia.records import ContextValue, Label, LabelColumns, LabelValue

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelRows:
    """Labels ``(n,)`` as columns: the request's id, the place in it, the truth, since when it is known.

    ``context`` has an entry for each column that any of them gives, None where one does not.
    """

    ids: list[str]
    rows: IntArray
    labels: list[LabelValue]
    time_ms: IntArray
    context: dict[str, list[ContextValue]]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: Sequence[int]) -> "LabelRows":
        """Some of them."""
        return LabelRows(
            [self.ids[place] for place in places],
            self.rows[list(places)],
            [self.labels[place] for place in places],
            self.time_ms[list(places)],
            {name: [values[place] for place in places] for name, values in self.context.items()},
        )


class _Form(msgspec.Struct):
    """What tells columns from a single label."""

    ids: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_form = msgspec.json.Decoder(_Form).decode
_decode_one = msgspec.json.Decoder(Label).decode
_decode_list = msgspec.json.Decoder(list[Label]).decode
_decode_columns = msgspec.json.Decoder(LabelColumns).decode
_LIST = re.compile(rb"\s*\[")


def read_labels(value: bytes, *, written_ms: int) -> LabelRows:
    """The labels of a message of `labels`, or of a body of the gateway's.

    Parameters
    ----------
    written_ms : when it was written, the time of labels that have none of their own

    Raises
    ------
    NotReadable
        not JSON, or neither an object nor a list.
    InvalidInput
        JSON, but not labels: every field at fault is named, with its place in the list as ``row``.

    >>> read_labels(b'[{"id": "a", "label": 1}, {"id": "a", "row": 1, "label": 0}]', written_ms=7).rows
    array([0, 1])
    """
    try:
        if _LIST.match(value):
            return _of_list(_decode_list(value), written_ms)
        if b'"ids"' in value and _decode_form(value).ids is not msgspec.UNSET:
            return _of_columns(_decode_columns(value), written_ms)
        return _of_list([_decode_one(value)], written_ms)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(value, error) from error


def write_labels(rows: LabelRows) -> bytes:
    """The labels as columns, with the time of each, whoever gave it."""
    columns = LabelColumns(
        ids=rows.ids,
        labels=rows.labels,
        rows=rows.rows.tolist() if rows.rows.any() else None,
        times=_texts(rows.time_ms),
        context=rows.context or None,
    )
    return msgspec.json.encode(columns)


def concatenate(parts: Sequence[LabelRows]) -> LabelRows:
    """Labels one after the other."""
    if len(parts) == 1:
        return parts[0]
    names = sorted({name for part in parts for name in part.context})
    return LabelRows(
        [given for part in parts for given in part.ids],
        np.concatenate([part.rows for part in parts]),
        [label for part in parts for label in part.labels],
        np.concatenate([part.time_ms for part in parts]),
        {
            name: [value for part in parts for value in part.context.get(name, [None] * len(part))]
            for name in names
        },
    )


def _of_list(labels: list[Label], written_ms: int) -> LabelRows:
    problems: list[FieldProblem] = []
    given = {name for label in labels if label.context for name in label.context}
    read = LabelRows(
        [label.id for label in labels],
        _places("row", [label.row for label in labels], problems),
        [label.label for label in labels],
        _times("time", [label.time for label in labels], written_ms, problems),
        {name: [(label.context or {}).get(name) for label in labels] for name in sorted(given)},
    )
    if problems:
        raise InvalidInput(problems)
    return read


def _of_columns(columns: LabelColumns, written_ms: int) -> LabelRows:
    problems: list[FieldProblem] = []
    n = len(columns.ids)
    named: dict[str, Sequence[Any] | None] = {
        "labels": columns.labels,
        "rows": columns.rows,
        "times": columns.times,
        **{f"context.{name}": values for name, values in (columns.context or {}).items()},
    }
    for name, values in named.items():
        if values is not None and len(values) != n:
            report(problems, name, f"{len(values)} entries", f"{n} entries, as many as ids")
    if problems:
        raise InvalidInput(problems)
    read = LabelRows(
        columns.ids,
        np.zeros(n, np.int64) if columns.rows is None else _places("rows", columns.rows, problems),
        columns.labels,
        _times("times", columns.times or [None] * n, written_ms, problems),
        dict(sorted((columns.context or {}).items())),
    )
    if problems:
        raise InvalidInput(problems)
    return read


def _places(field: str, values: list[int], problems: list[FieldProblem]) -> IntArray:
    try:
        return np.array(values, np.int64)
    except OverflowError:
        for place, value in enumerate(values):
            if abs(value) >= 1 << 63:
                report(problems, field, "a number of more than 64 bits", EXPECTED["row"], place)
        return np.zeros(len(values), np.int64)


def _times(
    field: str, values: Sequence[str | None], written_ms: int, problems: list[FieldProblem]
) -> IntArray:
    known: dict[str | None, int] = {None: written_ms}
    for value in set(values) - {None}:
        try:
            known[value] = parse_time(value)
        except ValueError:
            for place in (place for place, other in enumerate(values) if other == value):
                report(problems, field, f"{(value or '')[:40]!r}", TIME, place)
            known[value] = 0
    return np.fromiter((known[value] for value in values), np.int64, len(values))


def _texts(time_ms: IntArray) -> list[str]:
    return [
        f"{text}Z" for text in np.datetime_as_string(time_ms.astype("datetime64[ms]"), unit="ms").tolist()
    ]
