"""scikit-learn's histogram gradient boosting as ONNX.

Own code, since skl2onnx 1.20 hands booleans to ONNX 1.19 and later, which want integers, for the side on
which missing values go.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, ValueInfoProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier

Codes = Mapping[str, float]
"""The number a model was trained on in place of each string; others, the empty one too, are missing."""


def to_onnx(model: HistGradientBoostingClassifier, features: int, classes: Sequence[str]) -> bytes:
    """A fitted model of two classes and numeric features; ``input`` in, ``label`` and ``probabilities`` out.

    Thresholds are rounded down to float32, so that float32 inputs take the branch they took in training.
    """
    taken = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, features])]
    return _pack([_ensemble(model, "input", classes)], taken, len(classes))


def to_onnx_by_column(
    model: HistGradientBoostingClassifier, columns: Mapping[str, Codes | None], classes: Sequence[str]
) -> bytes:
    """As `to_onnx`, with an input ``[n, 1]`` a feature, in the model's order: strings where it has codes."""
    taken, nodes, numbers = [], [], []
    for name, codes in columns.items():
        kind = TensorProto.FLOAT if codes is None else TensorProto.STRING
        taken.append(helper.make_tensor_value_info(name, kind, [None, 1]))
        numbers.append(name if codes is None else f"{name}_code")
        if codes is not None:
            nodes.append(_encoder(name, numbers[-1], codes))
    nodes.append(helper.make_node("Concat", numbers, ["features"], axis=1))
    return _pack([*nodes, _ensemble(model, "features", classes)], taken, len(classes))


def _encoder(name: str, output: str, codes: Codes) -> NodeProto:
    return helper.make_node(
        "LabelEncoder",
        [name],
        [output],
        domain="ai.onnx.ml",
        keys_strings=list(codes),
        values_floats=list(codes.values()),
        default_float=float("nan"),
    )


def _ensemble(model: HistGradientBoostingClassifier, features: str, classes: Sequence[str]) -> NodeProto:
    nodes: dict[str, Any] = {name: [] for name in _NODE_ATTRIBUTES}
    leaves: dict[str, Any] = {"class_treeids": [], "class_nodeids": [], "class_weights": []}
    for tree, records in enumerate(_trees(model)):
        for node, record in enumerate(records):
            _add_node(nodes, tree, node, record)
            if record["is_leaf"]:
                leaves["class_treeids"].append(tree)
                leaves["class_nodeids"].append(node)
                leaves["class_weights"].append(float(record["value"]))
    return helper.make_node(
        "TreeEnsembleClassifier",
        [features],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_strings=list(classes),
        base_values=[_baseline(model)],
        post_transform="LOGISTIC",
        class_ids=[0] * len(leaves["class_weights"]),
        **nodes,
        **leaves,
    )


def _pack(nodes: list[NodeProto], taken: list[ValueInfoProto], classes: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        "gradient_boosting",
        taken,
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, classes]),
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
