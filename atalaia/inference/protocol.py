"""Open Inference Protocol v2 requests and responses: decoding with reasons, typed structs.

A request is decoded in two tiers. `TensorRequest` is the common shape, one tensor of plain numbers,
checked and converted in C; whatever does not fit it is decoded as the general `InferRequest`, which knows
every shape and names what is wrong.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Literal, cast

import msgspec

from atalaia.bundles.manifest import Datatype
from atalaia.errors import FieldProblem, InvalidInput, NotReadable

ParameterValue = str | int | float | bool


class InferInput(msgspec.Struct, omit_defaults=True):
    """One input tensor; ``data`` is row-major, nested or flat."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: list[Any]
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, omit_defaults=True):
    """An inference request; unknown members are ignored."""

    inputs: list[InferInput]
    id: str | None = None
    parameters: dict[str, ParameterValue] | None = None
    outputs: list[Any] | None = None


NumberDatatype = Literal[
    "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64"
]


class TensorInput(msgspec.Struct, gc=False):
    """One ``[n, d]`` tensor of plain numbers."""

    name: str
    shape: tuple[int, int]
    datatype: NumberDatatype
    data: list[float | list[float]]


class TensorRequest(msgspec.Struct, gc=False):
    """A request of one tensor of plain numbers, the shape the hot path is made for."""

    inputs: tuple[TensorInput]
    id: str | None = None
    parameters: dict[str, ParameterValue] | None = None


class OutputTensor(msgspec.Struct, omit_defaults=True):
    """One output tensor."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: list[Any]


class InferResponse(msgspec.Struct, omit_defaults=True):
    """An inference response, or the error in its place: the value of `predictions`, `replies`, `results`."""

    model_name: str | None = None
    model_version: str | None = None
    id: str | None = None
    parameters: dict[str, ParameterValue] | None = None
    outputs: list[OutputTensor] = []
    error: str | None = None

    def output(self, name: str) -> list[Any] | None:
        """The flat data of the output called ``name``, None where there is none."""
        return next((output.data for output in self.outputs if output.name == name), None)


_tensor_decoder = msgspec.json.Decoder(TensorRequest)
_general_decoder = msgspec.json.Decoder(InferRequest)
_response_decoder = msgspec.json.Decoder(InferResponse)
_MAX_WORDS = 300
_OUT_OF_RANGE = ("Integer value out of range", "Number out of range")
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<path>.*)`)?$", re.DOTALL)


def decode_tensor(body: bytes) -> TensorRequest | None:
    """The request where it is one tensor of plain numbers, None where it is anything else."""
    try:
        return _tensor_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_tensors(bodies: Sequence[bytes | None]) -> list[TensorRequest | None]:
    """`decode_tensor` of each, in one pass in C where all of them are of that shape."""
    try:
        return [*map(_tensor_decoder.decode, cast("Sequence[bytes]", bodies))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        return [None if body is None else decode_tensor(body) for body in bodies]


def decode_request(body: bytes) -> InferRequest:
    """Any request.

    Raises
    ------
    NotReadable
        not JSON, or not an object.
    InvalidInput
        JSON, but not an inference request: the member at fault is named.
    """
    try:
        return _general_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain_decode_error(body, error) from error


def decode_response(body: bytes) -> InferResponse:
    """A response written by the scorer."""
    return _response_decoder.decode(body)


def explain_decode_error(body: bytes, error: Exception) -> NotReadable | InvalidInput:
    """What to tell whoever sent ``body``, which msgspec refused with ``error``.

    NaN, Infinity and numbers too large for a float are not JSON; where nothing else is wrong with the
    body it is a matter of the input (422), not of the document (400).
    """
    not_finite: list[str] = []

    def number(token: str) -> float:
        value = float(token)  # of integers too: int() refuses thousands of digits
        if not math.isfinite(value):
            not_finite.append(token)
        return value

    try:
        document = json.loads(body.decode(), parse_constant=number, parse_float=number, parse_int=number)
    except (ValueError, RecursionError):
        return NotReadable(f"the body is not JSON: {error}"[:_MAX_WORDS])
    if not isinstance(document, dict):
        return NotReadable(f"the body must be a JSON object: {error}"[:_MAX_WORDS])
    match = _WHERE.match(str(error))
    if isinstance(error, msgspec.ValidationError) and match and not match["what"].startswith(_OUT_OF_RANGE):
        problem = FieldProblem(match["path"] or "body", match["what"][:_MAX_WORDS], "an inference request")
    elif not_finite:
        problem = FieldProblem("body", f"{not_finite[0][:40]} is not a finite number", "finite numbers")
    else:
        return NotReadable(f"the body cannot be read: {error}"[:_MAX_WORDS])
    return InvalidInput([problem])
