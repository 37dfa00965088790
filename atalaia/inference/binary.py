"""The binary tensor extension of the Open Inference Protocol: tensors as bytes behind a JSON head.

A request's binary tensors are read into JSON, which is what is published; an answer's outputs are written
as bytes where the request asked for that. All numbers are little-endian; a BYTES element is preceded by its
length in four bytes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from atalaia.errors import FieldProblem, InvalidInput, NotReadable
from atalaia.inference.columns import numpy_dtype
from atalaia.inference.protocol import explain_decode_error

HEAD_LENGTH = "Inference-Header-Content-Length"
"""The HTTP header that says how long the JSON head is."""
EXTENSION = "binary_tensor_data"
"""As servers name it among their extensions."""
MARK = b'"binary_data'
"""In every request that asks for bytes; most need no closer look."""

_SIZE, _WANTED, _WANTED_OF_ALL = "binary_data_size", "binary_data", "binary_data_output"
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which outputs a request wants as bytes: those named, else as ``others`` says."""

    named: Mapping[str, bool]
    others: bool

    def __contains__(self, name: str) -> bool:
        return self.named.get(name, self.others)


def to_json(body: bytes, head_length: str) -> bytes:
    """The request as JSON alone, its binary tensors as lists of numbers or strings.

    Raises
    ------
    NotReadable
        where head and tensors cannot be told apart.
    InvalidInput
        where a tensor is not as long as its shape says, or holds what JSON cannot: NaN, infinity, no UTF-8.
    """
    if not head_length.isdecimal() or int(head_length) > len(body):
        raise NotReadable(
            f"{HEAD_LENGTH}: {head_length[:40]!r}, expected the length of the JSON head in bytes, "
            f"at most the body's {len(body)}"
        )
    place = int(head_length)
    document = _decode_head(body[:place])
    inputs = document.get("inputs")
    for tensor in inputs if isinstance(inputs, list) else []:
        size = _binary_size(tensor)
        if size is not None:
            tensor["data"] = _json_data(tensor, body[place : place + size], size)
            place += size
    if place != len(body):
        raise NotReadable(
            f"{len(body) - place} bytes behind the tensors that {_SIZE} tells of, expected none"
        )
    return msgspec.json.encode(document)


def wanted_outputs(request: bytes) -> Wanted | None:
    """What a request, fit to be published, wants as bytes; None where it is nothing.

    >>> "score" in wanted_outputs(b'{"parameters": {"binary_data_output": true}}')
    True
    """
    if MARK not in request:
        return None
    document = msgspec.json.decode(request)
    parameters = document.get("parameters") or {}
    named = {}
    for output in document.get("outputs") or []:
        told = output.get("parameters") if isinstance(output, dict) else None
        if isinstance(told, dict) and _WANTED in told:
            named[str(output.get("name"))] = told[_WANTED] is True
    wanted = Wanted(named, parameters.get(_WANTED_OF_ALL) is True)
    return wanted if wanted.others or any(named.values()) else None


def with_bytes(answer: Mapping[str, Any], wanted: Wanted) -> tuple[bytes, int]:
    """The answer with the wanted outputs behind its JSON head, and how long that head is."""
    outputs, tensors = [], []
    for output in answer["outputs"]:
        if output["name"] in wanted:
            tensors.append(_bytes_of(output["data"], output["datatype"]))
            head = {name: value for name, value in output.items() if name != "data"}
            outputs.append(
                {**head, "parameters": {**(head.get("parameters") or {}), _SIZE: len(tensors[-1])}}
            )
        else:
            outputs.append(output)
    head_bytes = orjson.dumps({**answer, "outputs": outputs})
    return b"".join([head_bytes, *tensors]), len(head_bytes)


def _decode_head(head: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(head, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain_decode_error(head, error) from error


def _binary_size(tensor: object) -> int | None:
    """How many bytes a tensor has behind the head; None where its data are in it, or it is no tensor."""
    parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
    if not isinstance(tensor, dict) or not isinstance(parameters, dict) or _SIZE not in parameters:
        return None
    size = parameters.pop(_SIZE)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _wrong(tensor, f"{_SIZE} is {str(size)[:40]}", "the length of the tensor in bytes")
    if "data" in tensor:
        raise _wrong(tensor, f"both data and {_SIZE}", "one of them")
    return size


def _json_data(tensor: Mapping[str, Any], raw: bytes, size: int) -> msgspec.Raw:
    if len(raw) != size:
        raise _wrong(tensor, f"{len(raw)} bytes are left of the body", f"{size}, as {_SIZE} says")
    count = _elements(tensor)
    if tensor.get("datatype") == "BYTES":
        return msgspec.Raw(orjson.dumps(_strings(tensor, raw, count)))
    dtype = _dtype(tensor)
    if len(raw) != count * dtype.itemsize:
        raise _wrong(tensor, f"{len(raw)} bytes", f"{count * dtype.itemsize} for shape {tensor['shape']}")
    values = np.frombuffer(raw, dtype)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise _wrong(tensor, "NaN or infinity", "finite numbers")
        values = values.astype(np.float32) if values.dtype.itemsize == 2 else values
    native = values.astype(values.dtype.newbyteorder("="))
    return msgspec.Raw(orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY))


def _elements(tensor: Mapping[str, Any]) -> int:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(extent) is int and extent >= 0 for extent in shape):
        raise _wrong(tensor, "no shape", "a list of whole numbers: [1, 11]")
    return math.prod(shape)


def _dtype(tensor: Mapping[str, Any]) -> np.dtype[Any]:
    try:
        return _little(tensor["datatype"])
    except (KeyError, TypeError):
        raise _wrong(tensor, "unknown datatype", "one of the protocol, FP32 for example") from None


def _strings(tensor: Mapping[str, Any], raw: bytes, count: int) -> list[str]:
    strings, place = [], 0
    while place < len(raw):
        begin = place + _LENGTH_BYTES
        place = begin + int.from_bytes(raw[begin - _LENGTH_BYTES : begin], "little")
        if begin > len(raw) or place > len(raw):
            raise _wrong(tensor, "cut off within an element", "each element behind its length in four bytes")
        try:
            strings.append(raw[begin:place].decode())
        except UnicodeDecodeError:
            raise _wrong(tensor, f"element {len(strings)} is no UTF-8", "text in UTF-8") from None
    if len(strings) != count:
        raise _wrong(tensor, f"{len(strings)} elements", f"{count} for shape {tensor['shape']}")
    return strings


def _bytes_of(data: list[Any], datatype: str) -> bytes:
    if datatype == "BYTES":
        texts = [str(value).encode() for value in data]
        return b"".join(len(text).to_bytes(_LENGTH_BYTES, "little") + text for text in texts)
    return np.array(data, _little(datatype)).tobytes()


def _little(datatype: str) -> np.dtype[Any]:
    dtype: npt.DTypeLike = numpy_dtype(datatype)
    return np.dtype(dtype).newbyteorder("<")


def _wrong(tensor: Mapping[str, Any], problem: str, expected: str) -> InvalidInput:
    return InvalidInput([FieldProblem(str(tensor.get("name", "inputs"))[:200], problem, expected)])
