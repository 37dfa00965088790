"""Models whose answers are known: a line with a shift of its own, and a table that fails beyond its end."""

from pathlib import Path

import numpy as np
from onnx import GraphProto, TensorProto, checker, helper, numpy_helper

from atalaia.bundles.build import build_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.inference.rows import Rows

ROWS = 300
TABLE = 10


def line_bundle(folder: Path, name: str, *, version: str = "1", shift: float = 0.0) -> Bundle:
    """A regressor of ``a`` and ``b`` that answers ``a + b + shift``; ``sex`` and ``age`` beside them."""
    numeric = np.random.default_rng(1).normal(size=(ROWS, 2)).astype(np.float32).astype(np.float64)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["sum"]),
            helper.make_node("Add", ["sum", "shift"], ["value"]),
        ],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [
            numpy_helper.from_array(np.ones((2, 1), np.float32), "w"),
            numpy_helper.from_array(np.array([shift], np.float32), "shift"),
        ],
    )
    manifest = Manifest(
        name=name,
        version=version,
        task="regression",
        model=ModelFile(inputs="tensor", value="value"),
        features=(Feature("a"), Feature("b")),
        context=(
            ContextColumn("sex", categories=("F", "M")),
            ContextColumn("age", datatype="FP64", bands=(30.0, 50.0)),
        ),
    )
    return build_bundle(folder, manifest=manifest, model=_serialized(graph), rows=Rows(numeric=numeric))


def table_bundle(folder: Path, name: str) -> Bundle:
    """A regressor that looks ``place`` up in a table of ten: beyond its end the model itself fails."""
    numeric = np.random.default_rng(2).integers(0, TABLE, (ROWS, 1)).astype(np.float64)
    numeric[0] = 0.0
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "place"], ["value"]),
        ],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.arange(TABLE, dtype=np.float32) * 2, "table")],
    )
    manifest = Manifest(
        name=name,
        version="1",
        task="regression",
        model=ModelFile(inputs="tensor", value="value"),
        features=(Feature("place"),),
    )
    return build_bundle(folder, manifest=manifest, model=_serialized(graph), rows=Rows(numeric=numeric))


def _serialized(graph: GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())
