"""Our export of gradient boosting answers as scikit-learn does."""

import numpy as np
import onnxruntime
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from recipes.gradient_boosting import to_onnx, to_onnx_by_column


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


def test_strings_are_coded_inside_and_others_are_missing() -> None:
    rng = np.random.default_rng(1)
    codes = {"low": 0.0, "middle": 1.0, "high": 2.0}
    words = rng.choice(["low", "middle", "high", "", "unheard of"], 3000)
    number = rng.normal(size=3000)
    coded = np.array([codes.get(word, np.nan) for word in words.tolist()])
    x = np.column_stack([number, coded]).astype(np.float32)
    y = np.nan_to_num(coded, nan=-1.0) + number > 0.5
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=7, random_state=0).fit(x, y)
    content = to_onnx_by_column(model, {"number": None, "word": codes}, ["no", "yes"])
    session = onnxruntime.InferenceSession(content)
    assert [(given.name, given.type) for given in session.get_inputs()] == [
        ("number", "tensor(float)"),
        ("word", "tensor(string)"),
    ]
    fed = {"number": x[:, :1], "word": words.astype(np.object_)[:, None]}
    (probabilities,) = session.run(["probabilities"], fed)
    assert probabilities == pytest.approx(model.predict_proba(x), abs=1e-6)
