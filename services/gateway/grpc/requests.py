"""From a ModelInferRequest to the request of the protocol in JSON that is published. Pure."""

from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
from google.protobuf.message import DecodeError

from atalaia.errors import FieldProblem, InvalidInput, NotReadable
from atalaia.inference.protocol import ParameterValue
from services.gateway.grpc.inference_pb2 import ModelInferRequest
from services.gateway.grpc.tensors import Values, read_raw, read_typed
from services.gateway.inference.intake import Asked, Intake
from services.gateway.inference.served import Served

_quote = msgspec.json.Encoder().encode
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_FP32 = np.dtype("<f4")
_KINDS: dict[str, np.dtype[Any]] = {"FP32": _FP32, "FP64": np.dtype("<f8")}


def decode(payload: bytes) -> ModelInferRequest:
    """The message.

    Raises
    ------
    NotReadable
    """
    try:
        return ModelInferRequest.FromString(payload)
    except DecodeError as error:
        raise NotReadable(f"the message is no inference.ModelInferRequest: {error}") from error


def read(intake: Intake, message: ModelInferRequest) -> Asked:
    """The request as it is published, checked against the model.

    Raises
    ------
    Refusal
        as `Intake.read_protocol`, of the same request in JSON.
    """
    if len(message.inputs) == 1 and not message.outputs:
        asked = _read_matrix(intake, message)
        if asked is not None:
            return asked
    return intake.read_protocol(as_json(message))


def as_json(message: ModelInferRequest) -> bytes:
    """The same request as it is over HTTP; NaN is null, that is missing.

    Raises
    ------
    InvalidInput
        where its contents do not fit its own datatypes.
    """
    body: dict[str, Any] = {}
    if message.id:
        body["id"] = message.id
    if message.parameters:
        body["parameters"] = _parameters(message.parameters)
    body["inputs"] = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "datatype": tensor.datatype,
            "data": values,
            **({"parameters": _parameters(tensor.parameters)} if tensor.parameters else {}),
        }
        for tensor, values in zip(message.inputs, _contents(message), strict=True)
    ]
    if message.outputs:
        body["outputs"] = [{"name": output.name} for output in message.outputs]
    return orjson.dumps(body, option=_NUMPY)


def _contents(message: ModelInferRequest) -> list[Values]:
    raw = message.raw_input_contents
    if not raw:
        return [read_typed(tensor.name, tensor.datatype, tensor.contents) for tensor in message.inputs]
    if len(raw) != len(message.inputs):
        problem = f"{len(raw)} entries for {len(message.inputs)} inputs"
        raise InvalidInput([FieldProblem("raw_input_contents", problem, "one for each input, in its order")])
    both = [tensor.name for tensor in message.inputs if tensor.HasField("contents")]
    if both:
        raise InvalidInput([FieldProblem(both[0], "contents beside raw contents", "one of the two")])
    return [
        read_raw(tensor.name, tensor.datatype, content)
        for tensor, content in zip(message.inputs, raw, strict=True)
    ]


def _read_matrix(intake: Intake, message: ModelInferRequest) -> Asked | None:
    """A request of one tensor of FP32 or FP64, as most are; None leaves it to the general way."""
    tensor, raw = message.inputs[0], message.raw_input_contents
    shape = tuple(tensor.shape)
    kind = _KINDS.get(tensor.datatype)
    if kind is None or len(shape) != 2 or tensor.parameters or len(raw) > 1:
        return None
    if raw:
        if tensor.HasField("contents") or len(raw[0]) != shape[0] * shape[1] * kind.itemsize:
            return None
        values: npt.NDArray[Any] = np.frombuffer(raw[0], kind)
    else:
        contents = tensor.contents
        values = np.array(contents.fp32_contents if kind is _FP32 else contents.fp64_contents, kind)
        if len(values) != shape[0] * shape[1]:
            return None
    parameters = _parameters(message.parameters) if message.parameters else None
    write = partial(_write_matrix, message, values, parameters)
    return intake.read_matrix(
        tensor.name, values, shape, parameters=parameters, given=message.id, write=write
    )


def _write_matrix(
    message: ModelInferRequest,
    values: npt.NDArray[Any],
    parameters: dict[str, ParameterValue] | None,
    served: Served,
) -> bytes:
    """The request as JSON: `as_json` many times quicker."""
    tensor = message.inputs[0]
    if values.dtype is _FP32 and not served.narrow:
        # Read back as a float32, the shortest text of a float32 is the same number; as anything else, not.
        values = values.astype(np.float64)
    rows, width = tensor.shape
    shaped = b',"shape":[%d,%d],"datatype":"%b","data":' % (rows, width, tensor.datatype.encode())
    return b"".join(
        (
            b'{"id":%b,' % _quote(message.id) if message.id else b"{",
            b'"parameters":%b,' % orjson.dumps(parameters) if parameters else b"",
            b'"inputs":[{"name":',
            _quote(tensor.name),
            shaped,
            orjson.dumps(values, option=_NUMPY),
            b"}]}",
        )
    )


def _parameters(given: Any) -> dict[str, ParameterValue]:
    values: dict[str, ParameterValue] = {}
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            expected = "bool_param, int64_param or string_param"
            raise InvalidInput([FieldProblem(f"parameters.{name[:80]}", "no value", expected)])
        values[name] = getattr(parameter, kind)
    return values
