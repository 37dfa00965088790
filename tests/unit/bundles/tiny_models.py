"""One small model of each kind people bring, as ONNX and a reference CSV."""

import csv
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skl2onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from atalaia.bundles.assemble import assemble_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.source import Source

ROWS = 600
Columns = dict[str, list[str]]


@dataclass(frozen=True)
class Tiny:
    """A model, its reference, and what the config has to say."""

    model: bytes
    columns: Columns
    config: str = ""

    def write(self, folder: Path, separator: str = ",") -> Source:
        """As files."""
        (folder / "model.onnx").write_bytes(self.model)
        write_csv(folder / "reference.csv", self.columns, separator)
        (folder / "config.toml").write_text(self.config)
        return Source(
            onnx=folder / "model.onnx",
            reference=folder / "reference.csv",
            target="target",
            name="tiny",
            version="1",
            config=folder / "config.toml",
        )

    def bundle(self, folder: Path) -> Bundle:
        """Assembled."""
        return assemble_bundle(self.write(folder), folder / "bundle")


def write_csv(path: Path, columns: Columns, separator: str = ",") -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def numbers(seed: int = 0, width: int = 4) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(ROWS, width)) @ rng.normal(size=(width, width))).round(2).astype(np.float32)


def as_columns(matrix: npt.NDArray[Any], target: npt.NDArray[Any]) -> Columns:
    columns = {f"x{j}": [str(value) for value in matrix[:, j]] for j in range(matrix.shape[1])}
    return columns | {"target": [str(value) for value in target]}


def _convert(model: object, types: Sequence[tuple[str, object]], **options: Any) -> bytes:
    content: bytes = skl2onnx.to_onnx(
        model, initial_types=types, target_opset=17, options=options or None
    ).SerializeToString()
    return content


@functools.cache
def tree() -> Tiny:
    x = numbers()
    y = np.digitize(x[:, 0] + x[:, 1], [-1, 1]) + 3
    model = DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, y)
    return Tiny(_convert(model, [("input", FloatTensorType([None, 4]))], zipmap=False), as_columns(x, y))


@functools.cache
def forest() -> Tiny:
    x = numbers(1)
    y = np.where(x[:, 0] * x[:, 1] > 0, "yes", "no")
    model = RandomForestClassifier(30, max_depth=6, random_state=0).fit(x, y)
    return Tiny(_convert(model, [("input", FloatTensorType([None, 4]))], zipmap=False), as_columns(x, y))


@functools.cache
def zipmap() -> Tiny:
    x = numbers(2)
    y = np.where(x[:, 0] > x[:, 1], 1, 0)
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(x, y)
    return Tiny(_convert(model, [("input", FloatTensorType([None, 4]))]), as_columns(x, y))


@functools.cache
def columns() -> Tiny:
    """Numbers and strings, one input a column; some strings are missing."""
    rng = np.random.default_rng(3)
    age, hours = rng.integers(17, 90, ROWS), rng.integers(1, 60, ROWS)
    work = rng.choice(["private", "state", "none", ""], ROWS)
    y = np.where(age + hours + 20 * (work == "state") + rng.normal(0, 10, ROWS) > 90, ">50K", "<=50K")
    frame = np.empty((ROWS, 3), np.object_)
    frame[:, 0], frame[:, 1], frame[:, 2] = age, hours, work
    encoder = ColumnTransformer(
        [("numbers", StandardScaler(), [0, 1]), ("words", OneHotEncoder(handle_unknown="ignore"), [2])]
    )
    model = make_pipeline(encoder, LogisticRegression(max_iter=500)).fit(frame, y)
    types = [
        ("age", FloatTensorType([None, 1])),
        ("hours", FloatTensorType([None, 1])),
        ("work", StringTensorType([None, 1])),
    ]
    return Tiny(
        _convert(model, types, zipmap=False),
        {
            "target": y.tolist(),
            "work": work.tolist(),
            "hours": [str(value) for value in hours],
            "age": [str(value) for value in age],
        },
    )


@functools.cache
def regressor() -> Tiny:
    x = numbers(4)
    y = (x[:, 0] * 2 + np.sin(x[:, 1])).round(3)
    model = RandomForestRegressor(20, max_depth=5, random_state=0).fit(x, y)
    return Tiny(_convert(model, [("input", FloatTensorType([None, 4]))]), as_columns(x, y))


@functools.cache
def double_regressor() -> Tiny:
    x = numbers(5).astype(np.float64)
    y = x @ np.array([1.0, 2.0, 3.0, 4.0]) + 0.5
    model = LinearRegression().fit(x, y)
    return Tiny(_convert(model, [("input", DoubleTensorType([None, 4]))]), as_columns(x, y))


def _gemm(width_out: int, target: npt.NDArray[Any], config: str) -> Tiny:
    """A neural network's export: logits and nothing else."""
    x = numbers(6)
    weights = np.random.default_rng(9).normal(size=(4, width_out)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "weights"], ["logits"])],
        "gemm",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, width_out])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Tiny(model.SerializeToString(), as_columns(x, target), config)


@functools.cache
def one_logit() -> Tiny:
    target = np.where(numbers(6)[:, 0] > 0, "b", "a")
    return _gemm(1, target, '[model]\nactivation = "sigmoid"\n')


@functools.cache
def three_logits() -> Tiny:
    target = np.digitize(numbers(6)[:, 0], [-1, 1])
    return _gemm(3, target, '[model]\nactivation = "softmax"\n')


@functools.cache
def flat_integers() -> Tiny:
    """Inputs of rank one and whole numbers; a single number out."""
    rng = np.random.default_rng(8)
    a, b = rng.integers(0, 50, ROWS), rng.integers(0, 5, ROWS)
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["value"], to=TensorProto.FLOAT),
        ],
        "sum",
        [helper.make_tensor_value_info(name, TensorProto.INT64, [None]) for name in ("a", "b")],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    columns = {
        "a": [str(value) for value in a],
        "b": [str(value) for value in b],
        "target": [str(value) for value in a + b],
    }
    return Tiny(model.SerializeToString(), columns)


KINDS: dict[str, Callable[[], Tiny]] = {
    "tree": tree,
    "forest": forest,
    "zipmap": zipmap,
    "columns": columns,
    "regressor": regressor,
    "double regressor": double_regressor,
    "one logit": one_logit,
    "three logits": three_logits,
    "flat integers": flat_integers,
}
