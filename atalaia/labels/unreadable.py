"""What is wrong with labels that cannot be read, field by field."""

import json
import math
from typing import Any, cast

import msgspec

from atalaia.errors import FieldProblem, InvalidInput, NotReadable
from atalaia.inference.columns import MAX_PROBLEMS, report
from atalaia.records import Label, LabelColumns

TIME = "an RFC 3339 time such as 2026-01-31T12:00:00Z"
EXPECTED: dict[str, str] = {
    "id": "the id of a request",
    "label": "a class or a number",
    "row": "a whole number, 0 for the first row of the request",
    "time": TIME,
    "context": "an object of strings and numbers",
    "ids": "a list of ids of requests",
    "labels": "a list of classes or numbers, as many as ids",
    "rows": "a list of whole numbers, as many as ids",
    "times": "a list of RFC 3339 times, as many as ids",
}
"""What each field has to be, in words."""


def explain(value: bytes, error: Exception) -> NotReadable | InvalidInput:
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
        expected = EXPECTED[field.name]
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


def _kind(value: object) -> str:
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value)) or f"the number {value!r}"[:60]
