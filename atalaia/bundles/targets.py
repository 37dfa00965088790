"""The target column of a reference: the classes it names, and the truth of each row."""

import math

import numpy as np

from atalaia.bundles.manifest import ClassLabel, Manifest
from atalaia.bundles.source import Source
from atalaia.errors import BundleError
from atalaia.inference.rows import FloatArray, IntArray


def read_labels(manifest: Manifest, targets: list[str], source: Source) -> IntArray | FloatArray:
    """The truth of each row, as `atalaia.bundles.reference.Answers.labels`; an empty cell is unknown.

    Raises
    ------
    BundleError
        naming the row whose target is no number, or none of the classes.
    """
    if manifest.task == "regression":
        return np.array(
            [_regression_target(source, row, text) for row, text in enumerate(targets, start=1)], np.float64
        )
    index = {label: position for position, label in enumerate(manifest.classes)}
    return np.array(
        [_class_of(index, source, row, text) for row, text in enumerate(targets, start=1)], np.int64
    )


def _regression_target(source: Source, row: int, text: str) -> float:
    if not text.strip():
        return float("nan")
    number = as_number(text)
    if number is None:
        raise BundleError(f"{_place(source, row)}: {text!r} is not a number")
    return number


def _class_of(index: dict[ClassLabel, int], source: Source, row: int, text: str) -> int:
    text = text.strip()
    if not text:
        return -1
    if text in index:
        return index[text]
    number = {"true": 1.0, "false": 0.0}.get(text.lower(), as_number(text))
    if number is not None and number == int(number) and int(number) in index:
        return index[int(number)]
    raise BundleError(f"{_place(source, row)}: {text!r} is none of the classes {list(index)}")


def _place(source: Source, row: int) -> str:
    return f"{source.reference}, row {row}, target {source.target!r}"


def distinct_targets(targets: list[str]) -> set[str]:
    """What stands in the column, empty cells aside."""
    return {text.strip() for text in targets} - {""}


def as_number(text: str) -> float | None:
    """A finite number, or None.

    >>> as_number("1.5"), as_number("inf"), as_number("no")
    (1.5, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def classes_of_targets(source: Source, targets: list[str], wanted: int | None) -> list[ClassLabel]:
    """The sorted distinct targets, whole numbers as such.

    Raises
    ------
    BundleError
        when they are not as many as the model has probabilities.
    """
    distinct = sorted(distinct_targets(targets))
    if wanted is not None and len(distinct) != wanted:
        raise BundleError(
            f"{source.onnx} names no classes and has {wanted} probabilities, but {source.target!r} has "
            f"{len(distinct)} distinct values; say classes = [...] in --config"
        )
    numbers = [as_number(text) for text in distinct]
    if all(number is not None and number == int(number) for number in numbers):
        return sorted({int(number) for number in numbers if number is not None})
    return list(distinct)
