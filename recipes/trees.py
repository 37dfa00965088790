"""scikit-learn's trees and forests as ONNX, by skl2onnx, held against scikit-learn."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from atalaia.errors import BundleError

_MOST_OFF = 1e-4
"""Of a number; ONNX adds up the trees of a forest in float32."""


def to_onnx(model: DecisionTreeClassifier | RandomForestRegressor, rows: npt.NDArray[np.float32]) -> bytes:
    """A fitted model: ``input`` in, ``label`` and ``probabilities`` of a tree, ``variable`` of a forest out.

    Raises
    ------
    BundleError
        when it does not answer as scikit-learn does for each of ``rows`` (n, features).
    """
    classifies = isinstance(model, DecisionTreeClassifier)
    options: dict[str, Any] = {"zipmap": False} if classifies else {}
    inputs = [("input", FloatTensorType([None, rows.shape[1]]))]
    converted: bytes = skl2onnx.to_onnx(
        model, initial_types=inputs, options=options, target_opset=17
    ).SerializeToString()
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    (answers,) = session.run(["label" if classifies else "variable"], {"input": rows})
    expected = model.predict(rows)
    right = answers == expected if classifies else np.abs(answers[:, 0] - expected) <= _MOST_OFF
    if not np.all(right):
        wrong = int(np.argmin(right))
        raise BundleError(
            f"skl2onnx {skl2onnx.__version__} made a model that answers {answers[wrong]} for row {wrong}, "
            f"where scikit-learn's answers {expected[wrong]}"
        )
    return converted
