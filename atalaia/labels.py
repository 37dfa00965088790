"""Late truth as it comes in: one label, a list of them, or columns, read as columns and checked by name.

Whoever writes to `labels` may use any of the three forms; whoever reads does so here, so that all agree on
what a message says.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Manifest
from atalaia.errors import FieldProblem, InvalidInput, NotReadable
from atalaia.inference.columns import (
    MAX_PROBLEMS,
    MAX_STRING_CHARACTERS,
    parse_time,
    read_numbers,
    read_strings,
    report,
)
from atalaia.records import ContextValue, Label, LabelColumns, LabelValue

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

AHEAD_MS = 60_000
"""How far beyond the clock of whoever checks it the time of a label may lie."""

_CLASSES_SHOWN = 12
_TIME_WORDS = "an RFC 3339 time such as 2026-01-31T12:00:00Z"
_WORDS: dict[str, str] = {
    "id": "the id of a request",
    "label": "a class or a number",
    "row": "a whole number, 0 for the first row of the request",
    "time": _TIME_WORDS,
    "context": "an object of strings and numbers",
    "ids": "a list of ids of requests",
    "labels": "a list of classes or numbers, as many as ids",
    "rows": "a list of whole numbers, as many as ids",
    "times": "a list of RFC 3339 times, as many as ids",
}


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
        raise _explain(value, error) from error


def write_labels(rows: LabelRows) -> bytes:
    """The labels as columns, every row and time written out."""
    columns = LabelColumns(
        ids=rows.ids,
        labels=rows.labels,
        rows=rows.rows.tolist() if rows.rows.any() else None,
        times=_texts(rows.time_ms),
        context=rows.context or None,
    )
    return msgspec.json.encode(columns)


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
        report(problems, "row", f"{rows.rows[place]}", _WORDS["row"], place)
    codes = label_codes(manifest, rows.labels)
    for place in _some(codes == -1 if codes.dtype == np.int64 else np.isnan(codes)):
        report(problems, "label", _shown(rows.labels[place]), _truth_words(manifest), place)
    for place in _some(rows.time_ms > now_ms + AHEAD_MS):
        ahead = (int(rows.time_ms[place]) - now_ms) / 1000
        report(problems, "time", f"{ahead:.0f} s in the future", "when the truth was known", place)
    _check_context(manifest, rows, problems)
    return problems


# -- reading -------------------------------------------------------------------------------------------------


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
        **(columns.context or {}),
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
                report(problems, field, "a number of more than 64 bits", _WORDS["row"], place)
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
                report(problems, field, f"{(value or '')[:40]!r}", _TIME_WORDS, place)
            known[value] = 0
    return np.fromiter((known[value] for value in values), np.int64, len(values))


def _texts(time_ms: IntArray) -> list[str]:
    return [
        f"{text}Z" for text in np.datetime_as_string(time_ms.astype("datetime64[ms]"), unit="ms").tolist()
    ]


# -- what was wrong with a message that cannot be read -----------------------------------------------------


def _explain(value: bytes, error: Exception) -> NotReadable | InvalidInput:
    """Every field at fault of what msgspec refused with ``error``."""
    not_finite: list[str] = []

    def number(token: str) -> float:
        read = float(token)
        if not math.isfinite(read):
            not_finite.append(token[:40])
        return read

    def whole(token: str) -> float | int:
        return int(token) if len(token) < 20 else number(token)

    try:
        document = json.loads(value.decode(), parse_constant=number, parse_float=number, parse_int=whole)
    except (ValueError, RecursionError):
        return NotReadable(f"this is not JSON: {error}"[:300])
    if not isinstance(document, dict | list):
        return NotReadable("labels are an object, a list of objects, or an object of columns")
    problems: list[FieldProblem] = []
    for token in not_finite:
        report(problems, "body", f"{token} is not a finite number", "finite numbers")
    if isinstance(document, list):
        for place, entry in enumerate(document):
            _examine(entry, Label, place, problems)
    else:
        _examine(document, LabelColumns if "ids" in document else Label, None, problems)
    if not problems:
        return NotReadable(f"this cannot be read: {error}"[:300])
    return InvalidInput(problems)


def _examine(
    entry: object, kind: type[msgspec.Struct], place: int | None, problems: list[FieldProblem]
) -> None:
    if len(problems) >= MAX_PROBLEMS:
        return
    if not isinstance(entry, dict):
        report(problems, "body", _kind(entry), 'a label: {"id": ..., "label": ...}', place)
        return
    for field in msgspec.structs.fields(kind):
        expected = _WORDS[field.name]
        if field.name not in entry:
            if field.required:
                report(problems, field.name, "missing", expected, place)
            continue
        given = entry[field.name]
        if isinstance(given, list) and kind is LabelColumns:
            item = cast("Any", field.type)
            wrong = [row for row, value in enumerate(given) if _refused([value], item)]
            for row in wrong[:MAX_PROBLEMS]:
                report(problems, field.name, _kind(given[row]), expected, row)
        elif _refused(given, field.type):
            report(problems, field.name, _kind(given), expected, place)


def _refused(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return True
    return False


# -- checking ----------------------------------------------------------------------------------------------


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


def _truth_words(manifest: Manifest) -> str:
    if manifest.task == "regression":
        return "a finite number"
    shown = ", ".join(json.dumps(known) for known in manifest.classes[:_CLASSES_SHOWN])
    return f"a class, one of {shown}{', ...' if len(manifest.classes) > _CLASSES_SHOWN else ''}"


def _some(wrong: npt.NDArray[np.bool_]) -> list[int]:
    places: list[int] = np.flatnonzero(wrong)[:MAX_PROBLEMS].tolist()
    return places


def _shown(value: LabelValue) -> str:
    return json.dumps(value)[:80]


def _kind(value: object) -> str:
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
