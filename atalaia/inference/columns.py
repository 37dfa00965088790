"""Values of one column, checked one by one or all at once, cast to what the model is served."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from atalaia.errors import FieldProblem
from atalaia.inference.rows import FloatArray, IntArray, ObjectArray

MAX_PROBLEMS = 20
"""A request that is wrong everywhere is told so this many times."""

MAX_WORDS_CHARACTERS = 200
"""What a problem quotes of a request is cut to this many characters."""

MAX_STRING_CHARACTERS = 1_000
"""Strings are categories and ids, not documents; longer ones are refused."""

_DTYPES: dict[str, npt.DTypeLike] = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


class Column(Protocol):
    """What a feature and a context column have in common."""

    @property
    def name(self) -> str:
        """How requests call it."""

    @property
    def datatype(self) -> str:
        """Open Inference Protocol datatype."""

    @property
    def categories(self) -> tuple[str, ...] | None:
        """The closed set of values of a BYTES column, None where open."""


def numpy_dtype(datatype: str) -> npt.DTypeLike:
    """The numpy dtype of a numeric Open Inference Protocol datatype."""
    return _DTYPES[datatype]


def cast_to_served(values: FloatArray, datatype: str) -> FloatArray:
    """Values as the model will see them: cast to ``datatype`` and back, -0 made 0, NaN kept.

    A value the datatype cannot hold becomes infinite (floating point) or stays unequal to its cast
    (integers); `unfit` finds both.
    """
    if datatype == "FP64":
        return values + 0.0
    if datatype in ("FP32", "FP16"):
        with np.errstate(over="ignore"):
            return values.astype(numpy_dtype(datatype)).astype(np.float64) + 0.0
    return np.trunc(values) + 0.0


def all_finite(values: FloatArray) -> bool:
    """Whether no value is infinite or missing.

    The sum of squares is finite only then; it is quicker to come by, but may be too large where all are.

    >>> all_finite(np.array([1e200])), all_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def unfit(values: FloatArray, datatype: str) -> npt.NDArray[np.bool_]:
    """Where a value is infinite or outside of its datatype; missing values (NaN) fit."""
    cast = cast_to_served(values, datatype)
    wrong = np.isinf(cast)
    if not datatype.startswith("FP"):
        low, high = _integer_limits(datatype)
        wrong |= (values != cast) & ~np.isnan(values)
        wrong |= (values < low) | (values > high)
    return wrong


def expectation(column: Column, *, missing: bool) -> str:
    """What a value of this column has to be, in words."""
    words = f"a string{_one_of(column)}" if column.datatype == "BYTES" else _number_words(column.datatype)
    return f"{words} or null" if missing else words


def report(
    problems: list[FieldProblem], field: str, problem: str, expected: str, row: int | None = None
) -> None:
    """Add a problem, unless enough were found; what is quoted of the request is cut short."""
    if len(problems) < MAX_PROBLEMS:
        cut = MAX_WORDS_CHARACTERS
        problems.append(FieldProblem(field[:cut], problem[:cut], expected, row))


def plain_types(column: Column, *, missing: bool) -> frozenset[type]:
    """Types of values that need no closer look than the limits of ``column``'s datatype."""
    kinds: set[type] = {int, float}
    if column.datatype == "BOOL":
        kinds.add(bool)
    if missing:
        kinds.add(type(None))
    return frozenset(kinds)


def read_numbers(
    column: Column, data: Sequence[Any], *, missing: bool, problems: list[FieldProblem]
) -> FloatArray:
    """Numbers of one column ``(n,)``, NaN where null and allowed; what is wrong is added to ``problems``."""
    values = np.empty(len(data), np.float64)
    expected = expectation(column, missing=missing)
    for row, value in enumerate(data):
        number, problem = _number(value, column.datatype, missing=missing)
        values[row] = number
        if problem:
            report(problems, column.name, problem, expected, row)
    for row in np.flatnonzero(unfit(values, column.datatype)).tolist():
        report(problems, column.name, f"{values[row]:g} does not fit {column.datatype}", expected, row)
    return cast_to_served(values, column.datatype)


def read_strings(
    column: Column, data: Sequence[Any], *, missing: bool, problems: list[FieldProblem]
) -> ObjectArray:
    """Strings of one column ``(n,)``, None where null and allowed; what is wrong is added to ``problems``."""
    values = np.empty(len(data), np.object_)
    expected = expectation(column, missing=missing)
    allowed = None if column.categories is None else frozenset(column.categories)
    for row, value in enumerate(data):
        if value is None and missing:
            continue
        if not isinstance(value, str):
            report(problems, column.name, _kind(value), expected, row)
        elif len(value) > MAX_STRING_CHARACTERS:
            report(
                problems,
                column.name,
                f"{len(value)} characters",
                f"at most {MAX_STRING_CHARACTERS} characters",
                row,
            )
        elif allowed is not None and value not in allowed:
            report(problems, column.name, f"unknown category {value[:80]!r}", expected, row)
        else:
            values[row] = value
    return values


def read_times(data: Sequence[Any], problems: list[FieldProblem]) -> IntArray:
    """Event times ``(n,)`` in milliseconds since 1970, from RFC 3339 strings."""
    times = np.zeros(len(data), np.int64)
    for row, value in enumerate(data):
        try:
            times[row] = parse_time(value)
        except ValueError:
            report(problems, "event_time", _kind(value), "an RFC 3339 time such as 2026-01-31T12:00:00Z", row)
    return times


def parse_time(value: object) -> int:
    """Milliseconds since 1970 of an RFC 3339 time; one without a zone is UTC.

    >>> parse_time("1970-01-01T00:00:01.5Z")
    1500
    """
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError(value)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return round(moment.timestamp() * 1000)
    except OverflowError as error:
        raise ValueError(value) from error


def _number(value: object, datatype: str, *, missing: bool) -> tuple[float, str | None]:
    if value is None:
        return math.nan, None if missing else "missing (null)"
    if isinstance(value, bool):
        return (float(value), None) if datatype == "BOOL" else (0.0, _kind(value))
    if not isinstance(value, int | float):
        return 0.0, _kind(value)
    try:
        number = float(value)
    except OverflowError:
        return 0.0, "a number too large for a float"
    return (0.0, f"{number} is not finite") if not math.isfinite(number) else (number, None)


def _integer_limits(datatype: str) -> tuple[float, float]:
    if datatype == "BOOL":
        return 0.0, 1.0
    limits = np.iinfo(np.dtype(numpy_dtype(datatype)).name)
    low, high = float(limits.min), float(limits.max)
    # The largest 64-bit integers are no floats: rounded up, they would let 2**63 into an INT64.
    return low, math.nextafter(high, 0.0) if int(high) > limits.max else high


def _number_words(datatype: str) -> str:
    if datatype == "BOOL":
        return "true, false, 0 or 1"
    return "a number" if datatype.startswith("FP") else f"a whole number ({datatype})"


def _one_of(column: Column) -> str:
    if column.categories is None:
        return ""
    shown = ", ".join(column.categories[:12])
    return f", one of {shown}{', ...' if len(column.categories) > 12 else ''}"


def _kind(value: object) -> str:
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", type(None): "null"}
    name = names.get(type(value), type(value).__name__)
    return f"{name} {value!r}"[:100] if isinstance(value, str | bool) else name
