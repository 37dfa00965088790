"""From tensors to columns: the values of one tensor as a flat list, or of many alike requests at once."""

from collections.abc import Sequence
from typing import Any

from atalaia.bundles.manifest import ContextColumn, Feature
from atalaia.errors import FieldProblem
from atalaia.inference.columns import report
from atalaia.inference.protocol import InferInput, InferRequest

MAX_SIZE = 2**31 - 1
"""No tensor has more rows; Python refuses to print integers of thousands of digits."""


def check_kind(
    tensor: InferInput, column: Feature | ContextColumn | None, problems: list[FieldProblem]
) -> None:
    """Strings where numbers are due, or the other way round, are told once, by the tensor's datatype."""
    wants_strings = takes_strings(column)
    if (tensor.datatype == "BYTES") != wants_strings:
        expected = "BYTES" if wants_strings else "a numeric datatype such as FP32"
        report(problems, tensor.name, f"datatype {tensor.datatype}", expected)


def takes_strings(column: Feature | ContextColumn | None) -> bool:
    """Whether the values of ``column`` are strings; None stands for the event time."""
    return column is None or not column.numeric


def flat_values(tensor: InferInput, *, width: int, problems: list[FieldProblem]) -> list[Any]:
    """Row-major values of ``tensor``, whose shape has to be ``[n, width]`` (or ``[n]`` for one column)."""
    shape = tensor.shape
    expected = f"[n, {width}]" if width > 1 else "[n] or [n, 1]"
    shaped = len(shape) == 2 and shape[1] == width if width > 1 or len(shape) == 2 else len(shape) == 1
    if not shaped or any(not 0 <= size <= MAX_SIZE for size in shape):
        report(problems, tensor.name, f"shape {shape}", f"shape {expected}")
        return []
    data = tensor.data
    if data and isinstance(data[0], list):
        if any(not isinstance(row, list) or len(row) != width for row in data):
            report(problems, tensor.name, "rows of differing length", f"{width} values a row")
            return []
        data = [value for row in data for value in row]
    if len(data) != shape[0] * width:
        report(problems, tensor.name, f"{len(data)} values", f"{shape[0] * width} values for shape {shape}")
        return []
    return data


def gather_columns(
    requests: Sequence[InferRequest],
) -> tuple[dict[str, list[Any]], dict[str, set[str]]] | None:
    """Values and datatypes of each input, one value a request.

    None unless every request is a single row of one-column tensors of the same names.
    """
    tensors = _aligned_tensors(requests)
    if not tensors:
        return None
    shapes = [tensor.shape for tensor in tensors]
    if shapes.count([1]) + shapes.count([1, 1]) != len(tensors):
        return None
    try:
        values = [value for [value] in [tensor.data for tensor in tensors]]
        if list in set(map(type, values)):
            values = [_unwrapped(value) for value in values]
    except ValueError:
        return None
    width = len(tensors) // len(requests)
    datatypes = [tensor.datatype for tensor in tensors]
    names = [tensor.name for tensor in tensors[:width]]
    return (
        {name: values[j::width] for j, name in enumerate(names)},
        {name: set(datatypes[j::width]) for j, name in enumerate(names)},
    )


def _aligned_tensors(requests: Sequence[InferRequest]) -> list[InferInput] | None:
    """All tensors, request after request, in the order of the first; None where names differ or repeat."""
    inputs = [request.inputs for request in requests]
    names = [tensor.name for tensor in inputs[0]] if inputs else []
    if len(set(names)) < len(names) or set(map(len, inputs)) != {len(names)}:
        return None
    tensors = [tensor for tensors in inputs for tensor in tensors]
    if [tensor.name for tensor in tensors] == names * len(inputs):
        return tensors
    try:
        by_name = [{tensor.name: tensor for tensor in tensors} for tensors in inputs]
        return [tensors_of[name] for tensors_of in by_name for name in names]
    except KeyError:
        return None


def _unwrapped(value: object) -> object:
    """The value of a row given as a list of one."""
    if not isinstance(value, list):
        return value
    [inner] = value
    return inner
