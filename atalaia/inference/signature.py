"""What a model takes: requests checked against it become rows, or a refusal that names every field."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest
from atalaia.errors import FieldProblem, InvalidInput
from atalaia.inference.columns import (
    all_finite,
    cast_to_served,
    expectation,
    parse_time,
    plain_types,
    read_numbers,
    read_strings,
    read_times,
    report,
    unfit,
)
from atalaia.inference.protocol import InferInput, InferRequest
from atalaia.inference.rows import FloatArray, IntArray, Rows
from atalaia.inference.shapes import check_kind, flat_values, gather_columns, takes_strings

EVENT_TIME = "event_time"
_NO_TIME = object()


class Signature:
    """The features and context columns of a model, ready to check requests.

    Parameters
    ----------
    manifest : the bundle's own word on its features
    """

    def __init__(self, manifest: Manifest) -> None:
        self.features = manifest.features
        self.context = manifest.context
        self.numeric = tuple(feature for feature in manifest.features if feature.numeric)
        self.all_numeric = len(self.numeric) == len(manifest.features)
        self._features = {feature.name: feature for feature in manifest.features}
        self._context = {column.name: column for column in manifest.context}
        self._datatypes = [feature.datatype for feature in self.numeric]
        self._one_datatype = self._datatypes[0] if len(set(self._datatypes)) == 1 else None
        self._plain_types = [plain_types(feature, missing=feature.missing) for feature in self.numeric]
        self._context_required = any(column.required for column in manifest.context)
        self._always_given = self._features.keys() | {
            column.name for column in manifest.context if column.required
        }

    @property
    def takes_tensor(self) -> bool:
        """Whether a request may be one tensor and nothing else."""
        return self.all_numeric and not self._context_required

    def rows_of_matrix(self, matrix: FloatArray, *, exact: bool = False) -> Rows | None:
        """Rows ``(n, d)`` of plain numbers, cast to what is served; None where some value does not fit.

        ``exact`` where all are of the served datatype already.
        """
        served = matrix + 0.0 if exact else self._cast(matrix)
        if self._one_datatype in ("FP32", "FP64", "FP16"):
            fits = all_finite(served)
        else:
            fits = all_finite(matrix) and not self._unfit(matrix)
        return Rows(numeric=served, context=self._read_all_context({}, len(matrix), [])) if fits else None

    def rows(self, request: InferRequest) -> Rows:
        """Rows of any request.

        Raises
        ------
        InvalidInput
            naming each feature that is missing, unknown, wrongly typed or shaped.
        """
        problems: list[FieldProblem] = []
        tensors = {tensor.name: tensor for tensor in request.inputs}
        if len(tensors) < len(request.inputs):
            report(problems, "inputs", "an input is given twice", "each name once")
        matrix = self._matrix_input(request.inputs)
        columns = self._columns(tensors, matrix, problems)
        n = self._row_count(columns, problems)
        self._refuse_if_any(problems, columns)
        times = columns.pop(EVENT_TIME, None)
        return self._read(columns, n, self._event_times(times, request, n, problems), problems)

    def rows_of_columns(self, requests: Sequence[InferRequest]) -> Rows | None:
        """Rows of many single-row requests that all give the same inputs, each column read once.

        None where anything at all is irregular; `rows`, request by request, then says what.
        """
        gathered = gather_columns(requests)
        if gathered is None:
            return None
        columns, datatypes = gathered
        if not all(self._takes(name, given) for name, given in datatypes.items()):
            return None
        if not columns.keys() >= self._always_given:
            return None
        times = columns.pop(EVENT_TIME, None)
        if times is None:
            times = [(request.parameters or {}).get(EVENT_TIME, _NO_TIME) for request in requests]
            if _NO_TIME in times:
                if times.count(_NO_TIME) < len(times):
                    return None
                times = None
        problems: list[FieldProblem] = []
        try:
            event_times = None if times is None else read_times(times, problems)
            return self._read(columns, len(requests), event_times, problems)
        except InvalidInput:
            return None

    def rows_of_instances(self, instances: Sequence[object]) -> Rows:
        """Rows of plain JSON: objects of feature and context values, or arrays in feature order.

        Raises
        ------
        InvalidInput
            naming each field and row at fault.
        """
        problems: list[FieldProblem] = []
        if not instances:
            raise InvalidInput([FieldProblem("instances", "no rows", "at least one row")])
        names = [*self._features, *self._context, EVENT_TIME]
        columns: dict[str, list[Any]] = {name: [] for name in names}
        given: set[str] = set()
        for row, instance in enumerate(instances):
            values = self._instance(instance, row, problems)
            given |= values.keys()
            for name in names:
                columns[name].append(values.get(name))
        self._refuse_if_any(problems, columns)
        kept = {name: data for name, data in columns.items() if name in self._features or name in given}
        times = kept.pop(EVENT_TIME, None)
        if times is not None and None in times:
            raise InvalidInput(
                [FieldProblem(EVENT_TIME, "given for some rows only", "a time for every row or for none")]
            )
        event_times = None if times is None else read_times(times, problems)
        return self._read(kept, len(instances), event_times, problems)

    def _read(
        self, columns: dict[str, list[Any]], n: int, times: IntArray | None, problems: list[FieldProblem]
    ) -> Rows:
        numeric = self._plain_matrix(columns)
        if numeric is None:
            numeric = np.empty((n, len(self.numeric)), np.float64)
            for j, feature in enumerate(self.numeric):
                numeric[:, j] = read_numbers(
                    feature, columns[feature.name], missing=feature.missing, problems=problems
                )
        strings = {
            feature.name: read_strings(
                feature, columns[feature.name], missing=feature.missing, problems=problems
            )
            for feature in self.features
            if not feature.numeric
        }
        context = self._read_all_context(columns, n, problems)
        raise_if_any(problems)
        return Rows(numeric=numeric, strings=strings, context=context, event_time_ms=times)

    def _plain_matrix(self, columns: dict[str, list[Any]]) -> FloatArray | None:
        """The numeric features at once; None where a value needs a closer look, or there is none."""
        data = [columns[feature.name] for feature in self.numeric]
        if not data or any(
            not set(map(type, values)) <= allowed
            for values, allowed in zip(data, self._plain_types, strict=True)
        ):
            return None
        try:
            matrix = np.ascontiguousarray(np.array(data, np.float64).T)
        except OverflowError:
            return None
        finite = all_finite(matrix)
        if not finite and np.count_nonzero(np.isnan(matrix)) > sum(values.count(None) for values in data):
            return None
        return None if self._unfit(matrix) else self._cast(matrix)

    def _unfit(self, matrix: FloatArray) -> bool:
        """Whether some value is infinite or outside of its column's datatype."""
        if self._one_datatype is not None:
            return bool(unfit(matrix, self._one_datatype).any())
        return any(unfit(matrix[:, j], datatype).any() for j, datatype in enumerate(self._datatypes))

    def _takes(self, name: str, datatypes: set[str]) -> bool:
        """Whether an input of this name is known and its tensors' datatypes are of its kind."""
        column = self._features.get(name) or self._context.get(name)
        if column is None and name != EVENT_TIME:
            return False
        return datatypes == {"BYTES"} if takes_strings(column) else "BYTES" not in datatypes

    def _refuse_if_any(self, problems: list[FieldProblem], columns: dict[str, list[Any]]) -> None:
        """Refuse with all that is wrong, values of columns that are there included."""
        if not problems:
            return
        told = {problem.field for problem in problems}
        known: list[tuple[Feature | ContextColumn, bool]] = [
            *((feature, feature.missing) for feature in self.features),
            *((column, not column.required) for column in self.context),
        ]
        for column, missing in known:
            if column.name in told or column.name not in columns:
                continue
            found: list[FieldProblem] = []
            read = read_numbers if column.numeric else read_strings
            # What is absent from one row is null here and has been told of already.
            read(column, columns[column.name], missing=True, problems=found)
            expected = expectation(column, missing=missing)
            for entry in found:
                report(problems, entry.field, entry.problem, expected, entry.row)
        raise InvalidInput(problems)

    def _matrix_input(self, inputs: list[InferInput]) -> InferInput | None:
        """The tensor that holds all features, where there is one."""
        others = [
            tensor for tensor in inputs if tensor.name not in self._context and tensor.name != EVENT_TIME
        ]
        if len(others) != 1 or not self.all_numeric:
            return None
        tensor = others[0]
        is_column = tensor.name in self._features and (
            len(tensor.shape) < 2 or tensor.shape[1] != len(self.features)
        )
        return None if is_column else tensor

    def _columns(
        self, tensors: dict[str, InferInput], matrix: InferInput | None, problems: list[FieldProblem]
    ) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for name, tensor in tensors.items():
            if tensor is matrix:
                columns.update(self._split(tensor, problems))
            elif (column := self._features.get(name) or self._context.get(name)) or name == EVENT_TIME:
                check_kind(tensor, column, problems)
                columns[name] = flat_values(tensor, width=1, problems=problems)
            else:
                expected = f"one of {', '.join([*self._features, *self._context, EVENT_TIME])}"
                report(problems, name, "unknown input", expected)
        for feature in self.features:
            if feature.name not in columns and not (matrix and problems):
                expected = f"{expectation(feature, missing=feature.missing)} in every row"
                problems.append(FieldProblem(feature.name, "missing", expected))
        problems.extend(
            FieldProblem(column.name, "missing", expectation(column, missing=False))
            for column in self.context
            if column.required and column.name not in columns
        )
        return columns

    def _split(self, tensor: InferInput, problems: list[FieldProblem]) -> dict[str, list[Any]]:
        """Columns of the one tensor that holds all features."""
        width = len(self.features)
        check_kind(tensor, self.features[0], problems)
        flat = flat_values(tensor, width=width, problems=problems)
        return {feature.name: flat[j::width] for j, feature in enumerate(self.features)}

    def _row_count(self, columns: dict[str, list[Any]], problems: list[FieldProblem]) -> int:
        counts = {name: len(data) for name, data in columns.items()}
        n = next(iter(counts.values()), 0)
        if not problems:
            if any(count != n for count in counts.values()):
                listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
                problems.append(
                    FieldProblem("inputs", f"row counts differ ({listed})", "the same number of rows")
                )
            elif n == 0:
                problems.append(FieldProblem("inputs", "no rows", "at least one row"))
        return n

    def _event_times(
        self, given: list[Any] | None, request: InferRequest, n: int, problems: list[FieldProblem]
    ) -> IntArray | None:
        if given is not None:
            return read_times(given, problems)
        return parameter_event_times(request.parameters, n, problems)

    def _read_all_context(
        self, columns: dict[str, list[Any]], n: int, problems: list[FieldProblem]
    ) -> dict[str, npt.NDArray[Any]]:
        """Every declared context column, missing throughout where it was not given."""
        context: dict[str, npt.NDArray[Any]] = {}
        for column in self.context:
            data = columns.get(column.name)
            if data is not None:
                read = read_numbers if column.numeric else read_strings
                context[column.name] = read(column, data, missing=not column.required, problems=problems)
            elif column.numeric:
                context[column.name] = np.full(n, np.nan)
            else:
                context[column.name] = np.full(n, None, np.object_)
        return context

    def _instance(self, instance: object, row: int, problems: list[FieldProblem]) -> dict[str, Any]:
        if isinstance(instance, dict):
            known = {*self._features, *self._context, EVENT_TIME}
            for name in sorted(instance.keys() - known):
                report(problems, name, "unknown feature", f"one of {', '.join(sorted(known))}", row)
            self._require(instance, row, problems)
            return instance
        if isinstance(instance, list) and len(instance) == len(self.features):
            return dict(zip(self._features, instance, strict=True))
        width = f"an object, or an array of {len(self.features)} values in feature order"
        got = f"{len(instance)} values" if isinstance(instance, list) else type(instance).__name__
        report(problems, "instances", got, width, row)
        return {}

    def _require(self, instance: dict[str, Any], row: int, problems: list[FieldProblem]) -> None:
        required: list[Feature | ContextColumn] = [
            feature for feature in self.features if not feature.missing
        ]
        required += [column for column in self.context if column.required]
        for column in required:
            if column.name not in instance:
                report(problems, column.name, "missing", expectation(column, missing=False), row)

    def _cast(self, matrix: FloatArray) -> FloatArray:
        if self._one_datatype is not None:
            return cast_to_served(matrix, self._one_datatype)
        return np.column_stack(
            [cast_to_served(matrix[:, j], datatype) for j, datatype in enumerate(self._datatypes)]
        )


def parameter_event_times(
    parameters: dict[str, Any] | None, n: int, problems: list[FieldProblem]
) -> IntArray | None:
    """The event time in ``parameters.event_time`` for each of ``n`` rows, None where there is none."""
    if not parameters or EVENT_TIME not in parameters:
        return None
    try:
        return np.full(n, parse_time(parameters[EVENT_TIME]), np.int64)
    except ValueError:
        problems.append(
            FieldProblem("parameters.event_time", "not a time", "RFC 3339, such as 2026-01-31T12:00:00Z")
        )
        return None


def raise_if_any(problems: list[FieldProblem]) -> None:
    """Refuse with all problems found."""
    if problems:
        raise InvalidInput(problems)
