"""Values of one tensor, between what gRPC carries and what JSON holds. Pure."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.errors import FieldProblem, InvalidInput
from services.gateway.grpc.inference_pb2 import InferTensorContents

Values = npt.NDArray[Any] | list[str]
"""Flat: numbers as an array, strings as a list; what JSON's ``data`` is made of."""

_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_WIRE: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_HELD = {"int_contents": np.int32, "uint_contents": np.uint32}
"""What a field shared by several datatypes holds: what lies beyond an INT8 is for the model to refuse."""
_LENGTH = struct.Struct("<I")


def read_raw(name: str, datatype: str, content: bytes) -> Values:
    """The elements of an entry of ``raw_input_contents``.

    Raises
    ------
    InvalidInput

    >>> read_raw("x", "BYTES", bytes([2, 0, 0, 0]) + b"no")
    ['no']
    """
    if datatype == "BYTES":
        return _texts(name, _elements(name, content))
    kind = _WIRE.get(datatype)
    if kind is None:
        raise _unknown(name, datatype)
    if len(content) % kind.itemsize:
        expected = f"a multiple of {kind.itemsize}, the size of one {datatype}"
        raise InvalidInput([FieldProblem(name, f"{len(content)} bytes of raw content", expected)])
    if datatype == "BOOL":
        return np.frombuffer(content, np.uint8).astype(np.bool_)
    return _finite(name, np.frombuffer(content, kind))


def read_typed(name: str, datatype: str, contents: InferTensorContents) -> Values:
    """The elements in the field of ``contents`` that is the datatype's.

    Raises
    ------
    InvalidInput
    """
    field = _FIELDS.get(datatype)
    if field is None:
        raise _unknown(name, datatype)
    others = [given.name for given, _ in contents.ListFields() if given.name != field]
    if others:
        raise InvalidInput([FieldProblem(name, f"values in {others[0]}", f"{datatype} in {field}")])
    values = getattr(contents, field)
    if datatype == "BYTES":
        return _texts(name, values)
    return _finite(name, np.array(values, _HELD.get(field) or _WIRE[datatype]))


def write_raw(datatype: str, data: Sequence[Any]) -> bytes:
    """Values of JSON as an entry of ``raw_output_contents``; null is NaN.

    >>> write_raw("BYTES", ["no"])
    b'\\x02\\x00\\x00\\x00no'
    """
    if datatype == "BYTES":
        encoded = [text.encode() for text in data]
        return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)
    return np.array(data, _WIRE[datatype]).tobytes()


def write_typed(datatype: str, data: Sequence[Any], contents: InferTensorContents) -> None:
    """Values of JSON into the field that is the datatype's; null is NaN."""
    if datatype == "BYTES":
        contents.bytes_contents.extend(text.encode() for text in data)
        return
    if None in data:
        data = [np.nan if value is None else value for value in data]
    getattr(contents, _FIELDS[datatype]).extend(data)


def _finite(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Floating point as JSON has it: as float64, NaN being null and infinity nothing.

    The shortest text of a float32 would be another number where it is read as a float64.
    """
    if values.dtype.kind != "f":
        return values
    infinite = np.isinf(values)
    if infinite.any():
        place = int(np.flatnonzero(infinite)[0])
        problem = f"element {place} is {values[place]}"
        raise InvalidInput([FieldProblem(name, problem, "finite numbers, or NaN where missing")])
    return values.astype(np.float64)


def _elements(name: str, content: bytes) -> list[bytes]:
    elements: list[bytes] = []
    place = 0
    while place < len(content):
        start = place + _LENGTH.size
        length = _LENGTH.unpack_from(content, place)[0] if start <= len(content) else 0
        if start + length > len(content):
            expected = "the length in four bytes, little-endian, and so many bytes, for each"
            raise InvalidInput([FieldProblem(name, f"element {len(elements)} is cut off", expected)])
        place = start + length
        elements.append(content[start:place])
    return elements


def _texts(name: str, elements: Sequence[bytes]) -> list[str]:
    try:
        return [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        raise InvalidInput([FieldProblem(name, f"BYTES that are no text: {error.reason}", "UTF-8")]) from None


def _unknown(name: str, datatype: str) -> InvalidInput:
    if datatype == "FP16":
        return InvalidInput([FieldProblem(name, "FP16 outside of raw_input_contents", "FP16 as raw content")])
    expected = f"one of {', '.join(_WIRE)}, BYTES"
    return InvalidInput([FieldProblem(name, f"datatype {datatype[:40]!r}", expected)])
