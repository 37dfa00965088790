"""Our export of gradient boosting answers as scikit-learn does."""

import numpy as np
import onnxruntime
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from recipes.gradient_boosting import to_onnx


def test_answers_are_scikit_learns_missing_values_included() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 5)).round(1).astype(np.float32)
    x[rng.random(x.shape) < 0.15] = np.nan
    y = np.nan_to_num(x[:, 0], nan=1.0) * np.nan_to_num(x[:, 1], nan=-1.0) > 0
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=9, random_state=0).fit(x, y)
    session = onnxruntime.InferenceSession(to_onnx(model, 5, ["no", "yes"]))
    label, probabilities = session.run(None, {"input": x})
    expected = model.predict_proba(x)
    assert probabilities == pytest.approx(expected, abs=1e-6)
    assert label.tolist() == np.where(expected[:, 1] > 0.5, "yes", "no").tolist()
