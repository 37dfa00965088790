"""What an ONNX file says of itself: its inputs, outputs and classes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import onnx
import onnxruntime
from onnx.external_data_helper import convert_model_from_external_data, uses_external_data

from atalaia.bundles.manifest import ClassLabel, Datatype
from atalaia.bundles.onnx_model import open_session, served_datatype
from atalaia.errors import BundleError

_CLASS_ATTRIBUTES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


@dataclass(frozen=True, slots=True)
class Input:
    """An input: ``width`` is its number of columns, None where the file leaves it open; 1 for rank one."""

    name: str
    datatype: Datatype
    width: int | None


@dataclass(frozen=True, slots=True)
class Output:
    """An output: labels (integers or strings), or numbers (a tensor, or one map a row)."""

    name: str
    is_label: bool
    width: int | None


@dataclass(frozen=True, slots=True)
class OnnxSignature:
    """An ONNX file, with weights it keeps in other files taken in."""

    path: Path
    content: bytes
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    classes: tuple[ClassLabel, ...]
    producer: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises
        ------
        BundleError
            when it is no model, or takes what requests cannot carry.
        """
        model, content = _load(path)
        session = open_session(content, str(path))
        return cls(
            path=path,
            content=content,
            inputs=tuple(_input(path, tensor) for tensor in session.get_inputs()),
            outputs=tuple(_output(tensor) for tensor in session.get_outputs()),
            classes=_classes(model),
            producer=f"{model.producer_name} {model.producer_version}".strip(),
        )

    @property
    def sha256(self) -> str:
        """Of the model as it is packed."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def labels(self) -> list[Output]:
        """Outputs that may hold the class."""
        return [output for output in self.outputs if output.is_label]

    @property
    def numbers(self) -> list[Output]:
        """Outputs that may hold probabilities or the value."""
        return [output for output in self.outputs if not output.is_label]


def _load(path: Path) -> tuple[onnx.ModelProto, bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror})") from error
    try:
        model = onnx.load_model_from_string(content)
        if any(uses_external_data(tensor) for tensor in model.graph.initializer):
            model = onnx.load(path)
            convert_model_from_external_data(model)
            content = model.SerializeToString()
    except Exception as error:
        raise BundleError(f"{path} is not an ONNX model: {error}") from error
    return model, content


def _input(path: Path, tensor: onnxruntime.NodeArg) -> Input:
    datatype = served_datatype(tensor.type)
    if datatype is None or len(tensor.shape) not in (1, 2):
        raise BundleError(
            f"{path}: input {tensor.name!r} is {tensor.type} of shape {tensor.shape}; expected a tensor of "
            "numbers or strings, [rows, columns] or [rows]"
        )
    if isinstance(tensor.shape[0], int):
        raise BundleError(
            f"{path}: input {tensor.name!r} takes exactly {tensor.shape[0]} rows; export the model with "
            "an open batch dimension"
        )
    if len(tensor.shape) == 1:
        return Input(tensor.name, datatype, 1)
    width = tensor.shape[1]
    return Input(tensor.name, datatype, width if isinstance(width, int) else None)


def _output(tensor: onnxruntime.NodeArg) -> Output:
    is_map = tensor.type.startswith("seq(map(")
    datatype = None if is_map else served_datatype(tensor.type)
    is_label = datatype is not None and not datatype.startswith("FP")
    last = tensor.shape[-1] if tensor.shape and len(tensor.shape) > 1 else 1
    width = last if isinstance(last, int) and not is_map else None
    return Output(tensor.name, is_label, width)


def _classes(model: onnx.ModelProto) -> tuple[ClassLabel, ...]:
    """The class labels in the graph's attributes; none where its nodes name different ones."""
    found: set[tuple[ClassLabel, ...]] = set()
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in _CLASS_ATTRIBUTES:
                texts: list[ClassLabel] = [text.decode() for text in attribute.strings]
                found.add(tuple(texts or attribute.ints))
    found.discard(())
    return found.pop() if len(found) == 1 else ()
