"""Trees and forests become ONNX that answers as they do, or nothing."""

import numpy as np
import onnxruntime
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from atalaia.errors import BundleError
from recipes.trees import to_onnx

ROWS = np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32)
HIGHER = (ROWS[:, 0] > ROWS[:, 1]).astype(np.int64)
MODELS: dict[str, DecisionTreeClassifier | RandomForestRegressor] = {
    "label": DecisionTreeClassifier(max_depth=3, random_state=0).fit(ROWS, HIGHER),
    "variable": RandomForestRegressor(n_estimators=20, random_state=0).fit(ROWS, ROWS.sum(axis=1)),
}


@pytest.mark.parametrize("output", MODELS)
def test_a_model_answers_as_scikit_learn_has_it(output: str) -> None:
    model = MODELS[output]
    session = onnxruntime.InferenceSession(to_onnx(model, ROWS), providers=["CPUExecutionProvider"])
    (answers,) = session.run([output], {"input": ROWS})
    assert np.asarray(answers).ravel() == pytest.approx(model.predict(ROWS), abs=1e-4)


@pytest.mark.parametrize("output", MODELS)
def test_a_model_that_answers_otherwise_is_refused(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[output]
    expected = model.predict(ROWS)
    expected[7] = 1 - expected[7]
    monkeypatch.setattr(model, "predict", lambda _rows: expected)
    with pytest.raises(BundleError, match="for row 7, where scikit-learn"):
        to_onnx(model, ROWS)
