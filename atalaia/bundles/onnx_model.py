"""An ONNX file that answers: arrays in, scores and classes out, the same whatever the batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from atalaia.bundles.manifest import Datatype, Manifest
from atalaia.errors import BundleError
from atalaia.inference.columns import numpy_dtype
from atalaia.inference.rows import IntArray, Rows

Float32Array = npt.NDArray[np.float32]

_SERVED: dict[str, Datatype] = {
    "tensor(bool)": "BOOL",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the model says of n rows; fields as in `atalaia.inference.rows.Predictions`."""

    score: Float32Array
    label: IntArray | None = None
    probabilities: Float32Array | None = None
    value: Float32Array | None = None


def open_session(model: bytes, source: str) -> onnxruntime.InferenceSession:
    """A session of one thread, without an arena that keeps the largest batch's memory for ever.

    One thread, because with more the order of summation, and so the answer, depends on the batch.

    Raises
    ------
    BundleError
        when onnxruntime cannot load the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"{source}: onnxruntime cannot load it: {_first_line(error)}") from error


def served_datatype(onnx_type: str) -> Datatype | None:
    """The protocol's name of an ONNX tensor type, None for what requests cannot carry.

    >>> served_datatype("tensor(float)")
    'FP32'
    """
    return _SERVED.get(onnx_type)


class OnnxModel:
    """The model of a bundle, loaded.

    Parameters
    ----------
    manifest : how the file is fed and read
    model : content of ``model.onnx``
    source : what to call the file in errors

    Raises
    ------
    BundleError
        when the file cannot be loaded or does not have the inputs and outputs the manifest names.
    """

    def __init__(self, manifest: Manifest, model: bytes, source: str) -> None:
        self._manifest = manifest
        self._source = source
        self._session = open_session(model, source)
        self._feed = self._feeder()
        self._asked = self._output_names()
        self._class_index = {label: index for index, label in enumerate(manifest.classes)}
        if len(manifest.classes) == 2 and manifest.positive_class is not None:
            self._positive: int | None = self._class_index[manifest.positive_class]
        else:
            self._positive = None

    def answer(self, rows: Rows) -> Outputs:
        """What the model says of the rows.

        A single row is scored as two: libraries take another path, and another order of summation, for one.

        Raises
        ------
        BundleError
            when the model fails or gives something else than its manifest says.
        """
        n = len(rows)
        if n == 0:
            return self._empty()
        try:
            raw = self._session.run(self._asked, self._feed(rows))
        except Exception as error:
            raise BundleError(f"{self._source}: the model failed: {_first_line(error)}") from error
        if self._manifest.task == "regression":
            return self._regression(raw[0], n)
        return self._classification(raw, n)

    def _feeder(self) -> Callable[[Rows], Mapping[str, npt.NDArray[Any]]]:
        inputs = self._session.get_inputs()
        features = self._manifest.features
        if self._manifest.model.inputs == "tensor":
            if len(inputs) != 1:
                raise BundleError(f"{self._source}: has {len(inputs)} inputs, the manifest says one tensor")
            return self._tensor_feeder(inputs[0].name, features[0].datatype)
        names = {tensor.name: tensor for tensor in inputs}
        wanted = sorted(feature.input or feature.name for feature in features)
        if sorted(names) != wanted:
            raise BundleError(
                f"{self._source}: has inputs {sorted(names)}, the manifest has features {wanted}"
            )
        flat = frozenset(name for name, tensor in names.items() if len(tensor.shape) == 1)
        return self._columns_feeder(flat)

    def _tensor_feeder(self, name: str, datatype: str) -> Callable[[Rows], Mapping[str, npt.NDArray[Any]]]:
        if datatype == "BYTES":
            order = [feature.name for feature in self._manifest.features]

            def feed_strings(rows: Rows) -> Mapping[str, npt.NDArray[Any]]:
                return {
                    name: _twice_if_single(np.column_stack([_filled(rows.strings[key]) for key in order]))
                }

            return feed_strings
        dtype = numpy_dtype(datatype)

        def feed_numbers(rows: Rows) -> Mapping[str, npt.NDArray[Any]]:
            return {name: _twice_if_single(rows.numeric.astype(dtype, order="C"))}

        return feed_numbers

    def _columns_feeder(self, flat: frozenset[str]) -> Callable[[Rows], Mapping[str, npt.NDArray[Any]]]:
        plan: list[tuple[str, str, npt.DTypeLike | None, int, bool]] = []
        position = 0
        for feature in self._manifest.features:
            dtype = numpy_dtype(feature.datatype) if feature.numeric else None
            name = feature.input or feature.name
            plan.append((name, feature.name, dtype, position, name in flat))
            position += feature.numeric

        def feed(rows: Rows) -> Mapping[str, npt.NDArray[Any]]:
            fed = {}
            for name, key, dtype, index, is_flat in plan:
                column = _filled(rows.strings[key]) if dtype is None else rows.numeric[:, index].astype(dtype)
                fed[name] = _twice_if_single(column if is_flat else column[:, None])
            return fed

        return feed

    def _output_names(self) -> list[str]:
        model = self._manifest.model
        if self._manifest.task == "regression":
            asked = [model.value]
        else:
            asked = [model.probabilities] if model.label is None else [model.probabilities, model.label]
        given = [tensor.name for tensor in self._session.get_outputs()]
        for name in asked:
            if name not in given:
                raise BundleError(f"{self._source}: has outputs {given}, the manifest names {name!r}")
        return [name for name in asked if name is not None]

    def _empty(self) -> Outputs:
        none = np.zeros(0, np.float32)
        if self._manifest.task == "regression":
            return Outputs(score=none, value=none)
        probabilities = np.zeros((0, len(self._manifest.classes)), np.float32)
        return Outputs(score=none, label=np.zeros(0, np.int64), probabilities=probabilities)

    def _regression(self, raw: Any, n: int) -> Outputs:
        value = np.asarray(raw)
        if value.dtype.kind not in "fiu" or value.size != len(value):
            raise BundleError(
                f"{self._source}: value output has shape {value.shape}, expected one number a row"
            )
        value = value.reshape(-1)[:n].astype(np.float32)
        return Outputs(score=value, value=value)

    def _classification(self, raw: list[Any], n: int) -> Outputs:
        probabilities = self._probabilities(raw[0])[:n]
        if self._positive is not None and self._manifest.threshold is not None:
            score = probabilities[:, self._positive].copy()
            label = np.where(
                score >= np.float32(self._manifest.threshold), self._positive, 1 - self._positive
            )
        else:
            label = probabilities.argmax(axis=1) if len(raw) == 1 else self._labels(raw[1])[:n]
            if self._positive is None:
                score = probabilities[np.arange(n), label]
            else:
                score = probabilities[:, self._positive].copy()
        return Outputs(score=score, label=label, probabilities=probabilities)

    def _probabilities(self, raw: Any) -> Float32Array:
        classes = self._manifest.classes
        if isinstance(raw, list):
            matrix = np.array([[row[label] for label in classes] for row in raw], np.float32)
        else:
            matrix = np.asarray(raw).astype(np.float32, copy=False)
            matrix = matrix.reshape(len(matrix), -1)
        matrix = _activate(matrix, self._manifest.model.activation)
        if matrix.shape[1] == 1 and len(classes) == 2:
            matrix = np.concatenate([1 - matrix, matrix], axis=1)
            if self._positive == 0:
                matrix = np.ascontiguousarray(matrix[:, ::-1])
        if matrix.shape[1] != len(classes):
            raise BundleError(
                f"{self._source}: gives {matrix.shape[1]} probabilities a row, expected {len(classes)}"
            )
        return matrix

    def _labels(self, raw: Any) -> IntArray:
        try:
            return np.array(
                [self._class_index[label] for label in np.asarray(raw).reshape(-1).tolist()], np.int64
            )
        except KeyError as error:
            raise BundleError(
                f"{self._source}: answers class {error.args[0]!r}, expected {list(self._manifest.classes)}"
            ) from error


def _twice_if_single(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate((array, array)) if len(array) == 1 else array


def _filled(column: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """ONNX strings cannot be missing: they are served as the empty string."""
    return np.array(["" if value is None else value for value in column.tolist()], np.object_)


def _activate(matrix: Float32Array, activation: str) -> Float32Array:
    if activation == "none":
        return matrix
    wide = np.ascontiguousarray(matrix, np.float64)
    if activation == "sigmoid":
        with np.errstate(over="ignore"):
            shares = 1 / (1 + np.exp(-wide))
    else:
        powers = np.exp(wide - wide.max(axis=1, keepdims=True))
        shares = powers / np.add.accumulate(powers, axis=1)[:, -1:]
    activated: Float32Array = shares.astype(np.float32)
    return activated


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
