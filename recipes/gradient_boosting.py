"""scikit-learn's histogram gradient boosting as ONNX.

Own code, since skl2onnx 1.20 hands booleans to ONNX 1.19 and later, which want integers, for the side on
which missing values go.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier


def to_onnx(model: HistGradientBoostingClassifier, features: int, classes: Sequence[str]) -> bytes:
    """A fitted model of two classes and numeric features; ``input`` in, ``label`` and ``probabilities`` out.

    Thresholds are rounded down to float32, so that float32 inputs take the branch they took in training.
    """
    nodes: dict[str, Any] = {name: [] for name in _NODE_ATTRIBUTES}
    leaves: dict[str, Any] = {"class_treeids": [], "class_nodeids": [], "class_weights": []}
    for tree, records in enumerate(_trees(model)):
        for node, record in enumerate(records):
            _add_node(nodes, tree, node, record)
            if record["is_leaf"]:
                leaves["class_treeids"].append(tree)
                leaves["class_nodeids"].append(node)
                leaves["class_weights"].append(float(record["value"]))
    ensemble = helper.make_node(
        "TreeEnsembleClassifier",
        ["input"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_strings=list(classes),
        base_values=[_baseline(model)],
        post_transform="LOGISTIC",
        class_ids=[0] * len(leaves["class_weights"]),
        **nodes,
        **leaves,
    )
    graph = helper.make_graph(
        [ensemble],
        "gradient_boosting",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, features])],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(classes)]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


_NODE_ATTRIBUTES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)


def _trees(model: HistGradientBoostingClassifier) -> Iterator[npt.NDArray[Any]]:
    """The node tables; scikit-learn has no public way to them."""
    for (predictor,) in vars(model)["_predictors"]:
        yield predictor.nodes


def _baseline(model: HistGradientBoostingClassifier) -> float:
    return float(np.ravel(vars(model)["_baseline_prediction"])[0])


def _add_node(nodes: dict[str, list[Any]], tree: int, node: int, record: Any) -> None:
    leaf = bool(record["is_leaf"])
    values = (
        tree,
        node,
        0 if leaf else int(record["feature_idx"]),
        "LEAF" if leaf else "BRANCH_LEQ",
        0.0 if leaf else _rounded_down(float(record["num_threshold"])),
        0 if leaf else int(record["left"]),
        0 if leaf else int(record["right"]),
        0 if leaf else int(record["missing_go_to_left"]),
    )
    for name, value in zip(_NODE_ATTRIBUTES, values, strict=True):
        nodes[name].append(value)


def _rounded_down(threshold: float) -> float:
    nearest = np.float32(threshold)
    return float(nearest if nearest <= threshold else np.nextafter(nearest, np.float32(-np.inf)))
