"""From the body of a request to what is published: checked against the model, or refused by name. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from atalaia.errors import FieldProblem, InvalidInput, NotReadable, TooLarge
from atalaia.inference.protocol import (
    InferRequest,
    ParameterValue,
    TensorRequest,
    decode_request,
    decode_tensor,
    explain_decode_error,
)
from atalaia.inference.rows import FloatArray, Rows
from atalaia.inference.signature import EVENT_TIME, parameter_event_times
from atalaia.stream.catalog import View
from atalaia.topics import MAX_REQUEST_BYTES
from services.gateway.inference.served import Served, resolve

INSTANCES = "instances"


class Asked(NamedTuple):
    """A request that is fit to be published.

    ``view`` is what was deployed when it was read, ``version`` the one asked for by name, None where the
    primary answers; ``outputs`` the tensors asked for, None for all; ``id`` the client's own.
    """

    view: View[Served]
    served: Served
    version: str | None
    rows: Rows
    body: bytes
    id: str | None
    outputs: list[str] | None = None
    instances: bool = False


@dataclass(slots=True)
class Intake:
    """Reads the body of one request; ``served`` says which version it was for, also where it is refused.

    Parameters
    ----------
    view : the models deployed at this moment
    model, version : those named by the route, None for the default model and its primary
    request_id : the client's own id where it came as a header
    """

    view: View[Served]
    model: str | None
    version: str | None
    request_id: str | None
    max_rows: int
    served: Served | None = None

    def read_protocol(self, body: bytes) -> Asked:
        """A request of the Open Inference Protocol; its bytes are published as they are.

        Raises
        ------
        Refusal
            NotReadable, InvalidInput, TooLarge, UnknownModel or NoPrimary.
        """
        _require(body)
        tensor = decode_tensor(body) if b'"outputs"' not in body else None
        if tensor is not None:
            version = self._version(tensor.parameters)
            served = self.served = resolve(self.view, self.model, version)
            rows = self._tensor_rows(tensor, served)
            if rows is not None:
                return self._asked(served, version, rows, body, given=tensor.id)
        request = decode_request(body)
        version = self._version(request.parameters)
        served = self.served = resolve(self.view, self.model, version)
        self._limit_rows(max((tensor.shape[0] for tensor in request.inputs if tensor.shape), default=0))
        rows = served.signature.rows(request)
        outputs = _wanted_outputs(request, served)
        return self._asked(served, version, rows, body, given=request.id, outputs=outputs)

    def read_matrix(
        self,
        name: str,
        values: npt.NDArray[Any],
        shape: tuple[int, int],
        *,
        parameters: dict[str, ParameterValue] | None,
        given: str,
        write: Callable[[Served], bytes],
    ) -> Asked | None:
        """A request of one tensor of plain numbers that did not come as JSON; ``write`` makes that of it.

        None where it is anything else, or does not fit: `read_protocol` of its JSON says why.

        Raises
        ------
        Refusal
            as `read_protocol`.
        """
        version = self._version(parameters)
        served = self.served = resolve(self.view, self.model, version)
        rows = self._matrix_rows(name, values, shape, parameters, served)
        return None if rows is None else self._asked(served, version, rows, write(served), given=given)

    def read_plain(self, body: bytes, *, only_instances: bool = False) -> Asked:
        """Plain JSON: an object of features, or ``{"instances": [...]}``.

        Raises
        ------
        Refusal
            as `read_protocol`.
        """
        _require(body)
        given = _decode_object(body)
        served = self.served = resolve(self.view, self.model, self.version)
        many = INSTANCES in given or only_instances
        if many:
            instances = given.get(INSTANCES)
            if not isinstance(instances, list):
                raise InvalidInput(
                    [FieldProblem(INSTANCES, "missing or no list", 'a list of rows: {"instances": [...]}')]
                )
            self._limit_rows(len(instances))
            rows = served.signature.rows_of_instances(instances)
        else:
            rows = served.signature.rows_of_instances([given])
        published = protocol_body(served, rows, self.request_id)
        return self._asked(served, self.version, rows, published, given=self.request_id, instances=many)

    def _tensor_rows(self, tensor: TensorRequest, served: Served) -> Rows | None:
        """Rows of one tensor of plain numbers that fits; None leaves it to the general reader to say why."""
        given = tensor.inputs[0]
        return self._matrix_rows(given.name, given.data, given.shape, tensor.parameters, served)

    def _matrix_rows(
        self,
        name: str,
        data: npt.ArrayLike,
        shape: tuple[int, int],
        parameters: dict[str, ParameterValue] | None,
        served: Served,
    ) -> Rows | None:
        n, width = shape
        if not served.signature.takes_tensor or width != served.width or n < 1:
            return None
        if name == EVENT_TIME or any(name == column.name for column in served.signature.context):
            return None
        self._limit_rows(n)
        try:
            matrix: FloatArray = np.array(data, np.float64)
        except ValueError:
            return None
        if matrix.size != n * width or (matrix.ndim == 2 and matrix.shape != (n, width)):
            return None
        exact = served.narrow and isinstance(data, np.ndarray) and data.dtype == np.float32
        rows = served.signature.rows_of_matrix(matrix.reshape(n, width), exact=exact)
        if rows is not None and parameters is not None:
            problems: list[FieldProblem] = []
            parameter_event_times(parameters, n, problems)
            return None if problems else rows
        return rows

    def _version(self, parameters: Mapping[str, ParameterValue] | None) -> str | None:
        """The version of the route, else of the body."""
        if self.version is not None or not parameters or "version" not in parameters:
            return self.version
        return str(parameters["version"])

    def _asked(
        self,
        served: Served,
        version: str | None,
        rows: Rows,
        body: bytes,
        *,
        given: str | None,
        outputs: list[str] | None = None,
        instances: bool = False,
    ) -> Asked:
        self._limit_rows(len(rows))
        request_id = given or None
        if request_id is None and self.request_id is not None:
            body, request_id = with_id(body, self.request_id), self.request_id
        if len(body) > MAX_REQUEST_BYTES:
            raise TooLarge(
                f"the request is {len(body)} bytes as published, at most {MAX_REQUEST_BYTES} are carried: "
                "send fewer rows a request"
            )
        served.bounds.check(len(rows), len(body))
        return Asked(self.view, served, version, rows, body, request_id, outputs, instances)

    def _limit_rows(self, rows: int) -> None:
        if rows > self.max_rows:
            raise TooLarge(f"{rows} rows, at most {self.max_rows} are taken: send fewer rows a request")


def protocol_body(served: Served, rows: Rows, request_id: str | None) -> bytes:
    """Rows as a request of the protocol: one tensor where all features are numbers, else one a feature."""
    n = len(rows)
    if served.signature.all_numeric:
        data = orjson.Fragment(orjson.dumps(rows.numeric.ravel(), option=orjson.OPT_SERIALIZE_NUMPY))
        inputs = [_tensor(served.tensor_name, "FP64", [n, served.width], data)]
    else:
        inputs = _feature_tensors(served, rows)
    inputs += _context_tensors(served, rows)
    if rows.event_time_ms is not None:
        times = [_rfc3339(time) for time in rows.event_time_ms.tolist()]
        inputs.append(_tensor(EVENT_TIME, "BYTES", [n], times))
    body: dict[str, Any] = {"inputs": inputs}
    if request_id is not None:
        body = {"id": request_id, **body}
    return orjson.dumps(body)


def with_id(body: bytes, request_id: str) -> bytes:
    """The same request with an id; the body holds an object with members, but no id of its own."""
    if b'"id"' not in body:
        return b'{"id":' + orjson.dumps(request_id) + b"," + body.lstrip()[1:]
    members = msgspec.json.decode(body)
    if members.get("id"):
        return body
    return msgspec.json.encode({**members, "id": request_id})


def _tensor(name: str, datatype: str, shape: list[int], data: object) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _feature_tensors(served: Served, rows: Rows) -> list[dict[str, Any]]:
    n, tensors, place = len(rows), [], 0
    for feature in served.manifest.features:
        if feature.numeric:
            data = _numbers(rows.numeric[:, place], whole=not feature.datatype.startswith("FP"))
            place += 1
        else:
            data = rows.strings[feature.name].tolist()
        tensors.append(_tensor(feature.name, feature.datatype, [n], data))
    return tensors


def _context_tensors(served: Served, rows: Rows) -> list[dict[str, Any]]:
    """The context columns that hold a value in some row."""
    tensors = []
    for column in served.manifest.context:
        values = rows.context[column.name]
        data = _numbers(values, whole=False) if column.numeric else values.tolist()
        if any(value is not None for value in data):
            tensors.append(_tensor(column.name, column.datatype, [len(rows)], data))
    return tensors


def _numbers(values: FloatArray, *, whole: bool) -> list[float | int | None]:
    """Numbers as JSON has them, null where missing."""
    return [
        None if value != value else int(value) if whole else value  # noqa: PLR0124 - only NaN differs
        for value in values.tolist()
    ]


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _wanted_outputs(request: InferRequest, served: Served) -> list[str] | None:
    if not request.outputs:
        return None
    problems: list[FieldProblem] = []
    names: list[str] = []
    expected = f"one of {', '.join(served.outputs)}"
    for place, output in enumerate(request.outputs[:100]):
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str):
            problems.append(FieldProblem(f"outputs[{place}]", "no name", f'{{"name": {expected}}}'))
        elif name not in served.outputs:
            problems.append(FieldProblem(f"outputs[{place}]", f"unknown output {name[:80]!r}", expected))
        elif name not in names:
            names.append(name)
    if problems:
        raise InvalidInput(problems)
    return names


def _require(body: bytes) -> None:
    if not body.strip():
        raise NotReadable("the body is empty; expected a JSON object")


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and "out of range" not in str(error):
            raise NotReadable(f"the body must be a JSON object: {error}") from error
        raise explain_decode_error(body, error) from error
