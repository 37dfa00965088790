"""Two small models: a numeric classifier of one tensor; a regressor of columns with strings and gaps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto, checker, helper, numpy_helper

from atalaia.bundles.build import build_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.inference.rows import Rows

ROWS = 400


def numeric_bundle(folder: Path, *, version: str = "1", monitors: Mapping[str, Any] | None = None) -> Bundle:
    """``panel``: two numbers, three classes, two context columns."""
    rng = np.random.default_rng(1)
    numeric = rng.normal(size=(ROWS, 2)).astype(np.float32).astype(np.float64)
    weights = numpy_helper.from_array(np.array([[1, -1, 0], [0, 1, -1]], np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Softmax", ["s"], ["p"])],
        "panel",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 3])],
        [weights],
    )
    manifest = Manifest(
        name="panel",
        version=version,
        task="classification",
        model=ModelFile(inputs="tensor", probabilities="p"),
        features=(Feature("sodium", unit="mmol/L"), Feature("potassium")),
        context=(
            ContextColumn("sex", categories=("F", "M")),
            ContextColumn("age", datatype="FP64", bands=(30.0, 50.0)),
        ),
        classes=(3, 4, 5),
        monitors=dict(monitors or {}),
    )
    return build_bundle(folder, manifest=manifest, model=_serialized(graph), rows=Rows(numeric=numeric))


def mixed_bundle(folder: Path, *, name: str = "loan") -> Bundle:
    """``loan``: a regressor of a number that may be missing, a whole number and a category."""
    rng = np.random.default_rng(2)
    numeric = np.column_stack([rng.normal(size=ROWS), rng.integers(0, 9, ROWS)])
    numeric[:, 0] = numeric[:, 0].astype(np.float32)
    numeric[::20, 0] = np.nan
    colours = np.array(["red", "green"], np.object_)[rng.integers(0, 2, ROWS)]
    nodes = [
        helper.make_node("IsNaN", ["income"], ["absent"]),
        helper.make_node("Where", ["absent", "zero", "income"], ["present"]),
        helper.make_node("Cast", ["children"], ["counted"], to=TensorProto.FLOAT),
        helper.make_node(
            "LabelEncoder",
            ["colour"],
            ["coded"],
            domain="ai.onnx.ml",
            keys_strings=["red", "green"],
            values_floats=[1.0, 2.0],
            default_float=0.0,
        ),
        helper.make_node("Sum", ["present", "counted", "coded"], ["value"]),
    ]
    graph = helper.make_graph(
        nodes,
        "loan",
        [
            helper.make_tensor_value_info("income", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("children", TensorProto.INT64, [None, 1]),
            helper.make_tensor_value_info("colour", TensorProto.STRING, [None, 1]),
        ],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.zeros((1, 1), np.float32), "zero")],
    )
    manifest = Manifest(
        name=name,
        version="7",
        task="regression",
        model=ModelFile(inputs="columns", value="value"),
        features=(
            Feature("income", missing=True),
            Feature("children", datatype="INT64"),
            Feature("colour", datatype="BYTES", categories=("red", "green")),
        ),
    )
    rows = Rows(numeric=numeric, strings={"colour": colours})
    return build_bundle(folder, manifest=manifest, model=_serialized(graph), rows=rows)


def _serialized(graph: GraphProto) -> bytes:
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=9,
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())
