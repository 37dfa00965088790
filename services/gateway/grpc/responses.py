"""From an answer in JSON to a ModelInferResponse. Pure.

Answers of one version with as many rows are alike but for their numbers, and most numbers have one length on
the wire. So such an answer is written once, and for the next ones numbers are packed between what stays.
"""

import struct
from collections.abc import Sequence
from typing import Any

from services.gateway.grpc.inference_pb2 import InferTensorContents, ModelInferResponse
from services.gateway.grpc.tensors import write_raw, write_typed
from services.gateway.inference.answers import Answer

_RAW = {"INT64": "q", "FP32": "f", "BOOL": "?"}
_TYPED = {"INT64": "B", "FP32": "f", "BOOL": "?"}
_ONE_BYTE = 128
"""A whole number below it is one byte on the wire where it is not raw."""

_OUTPUTS_TAG, _RAW_TAG, _CONTENTS_TAG = 0x2A, 0x32, 0x2A
_MAX_VALUES = 64
_KEPT = 256

_Shape = tuple[str, str, int, tuple[str, ...] | None, bool]


class ResponseWriter:
    """Writes responses, and keeps a pattern for each version, number of rows and choice of outputs."""

    def __init__(self) -> None:
        self._patterns: dict[_Shape, _Pattern | None] = {}

    def write(self, answer: Answer, names: list[str] | None, *, raw: bool) -> bytes:
        """The response as bytes: the tensors called ``names`` in that order, None for all.

        ``raw`` puts them into ``raw_output_contents``.
        """
        if "parameters" in answer.body:
            return encode(answer, names, raw=raw)
        chosen = None if names is None else tuple(names)
        key = (answer.model, answer.version, len(answer.abstained), chosen, raw)
        if key not in self._patterns:
            if len(self._patterns) >= _KEPT:
                self._patterns.clear()
            self._patterns[key] = _Pattern.of(answer, names, raw=raw)
        pattern = self._patterns[key]
        written = None if pattern is None else pattern.fill(answer)
        return encode(answer, names, raw=raw) if written is None else written


class _Pattern:
    """What stays of such responses, and where the numbers go.

    Parameters
    ----------
    head : names of the model and its version
    names : outputs whose values are packed, with the bytes before each
    typed_labels : the output whose values have to be of one byte each
    """

    def __init__(
        self, head: bytes, packing: struct.Struct, names: list[tuple[bytes, str]], typed_labels: str | None
    ) -> None:
        self._head = head
        self._packing = packing
        self._names = names
        self._typed_labels = typed_labels

    @classmethod
    def of(cls, answer: Answer, names: list[str] | None, *, raw: bool) -> "_Pattern | None":
        """The pattern of an answer; None where there is none, as with strings."""
        tensors = _tensors(answer, names)
        kinds = _RAW if raw else _TYPED
        if any(tensor["datatype"] not in kinds for tensor in tensors):
            return None
        if sum(len(tensor["data"]) for tensor in tensors) > _MAX_VALUES:
            return None
        head = ModelInferResponse(model_name=answer.model, model_version=answer.version)
        formats, placed = ["<"], []
        for tensor in tensors:
            values = kinds[tensor["datatype"]]
            if raw:
                head.outputs.add(**_described(tensor))
                size = struct.calcsize(f"<{len(tensor['data'])}{values}")
                before = bytes((_RAW_TAG,)) + _varint(size)
            else:
                before = _typed_head(tensor)
            formats.append(f"{len(before)}s{len(tensor['data'])}{values}")
            placed.append((before, tensor["name"]))
        labels = [tensor["name"] for tensor in tensors if tensor["datatype"] == "INT64" and not raw]
        packing = struct.Struct("".join(formats))
        return cls(head.SerializeToString(), packing, placed, labels[0] if labels else None)

    def fill(self, answer: Answer) -> bytes | None:
        """The response; None where a value is none, or longer on the wire than a byte."""
        outputs = answer.outputs
        if self._typed_labels is not None:
            for label in outputs[self._typed_labels]:
                if not 0 <= label < _ONE_BYTE:
                    return None
        values: list[Any] = []
        for before, name in self._names:
            values.append(before)
            values += outputs[name]
        try:
            packed = self._packing.pack(*values)
        except struct.error:
            return None
        request_id = answer.id.encode()
        return b"".join((self._head, b"\x1a", _varint(len(request_id)), request_id, packed))


def encode(answer: Answer, names: list[str] | None, *, raw: bool) -> bytes:
    """The response of any answer, as `ResponseWriter.write`."""
    response = ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    for name, value in (answer.body.get("parameters") or {}).items():
        if isinstance(value, bool):
            response.parameters[name].bool_param = value
    for tensor in _tensors(answer, names):
        output = response.outputs.add(**_described(tensor))
        if raw:
            response.raw_output_contents.append(write_raw(tensor["datatype"], tensor["data"]))
        else:
            write_typed(tensor["datatype"], tensor["data"], output.contents)
    return response.SerializeToString()


def _tensors(answer: Answer, names: list[str] | None) -> Sequence[dict[str, Any]]:
    tensors: list[dict[str, Any]] = answer.body["outputs"]
    if names is None:
        return tensors
    by_name = {tensor["name"]: tensor for tensor in tensors}
    return [by_name[name] for name in names]


def _described(tensor: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor[name] for name in ("name", "datatype", "shape")}


def _typed_head(tensor: dict[str, Any]) -> bytes:
    """All of an output before its values, which are the end of it."""
    contents = InferTensorContents()
    write_typed(tensor["datatype"], [0] * len(tensor["data"]), contents)
    blank = contents.SerializeToString()
    values = len(tensor["data"]) * (4 if tensor["datatype"] == "FP32" else 1)
    output = ModelInferResponse.InferOutputTensor(**_described(tensor)).SerializeToString()
    inner = output + bytes((_CONTENTS_TAG,)) + _varint(len(blank)) + blank[: len(blank) - values]
    return bytes((_OUTPUTS_TAG,)) + _varint(len(inner) + values) + inner


def _varint(number: int) -> bytes:
    """A number as protobuf has it, seven bits a byte, the low ones first.

    >>> _varint(300)
    b'\\xac\\x02'
    """
    written = bytearray()
    while number >= _ONE_BYTE:
        written.append(number % _ONE_BYTE + _ONE_BYTE)
        number //= _ONE_BYTE
    written.append(number)
    return bytes(written)
