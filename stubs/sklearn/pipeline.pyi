from typing import Any, Self

import numpy as np
import numpy.typing as npt

class Pipeline:
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803
    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]: ...  # noqa: N803

def make_pipeline(*steps: object) -> Pipeline: ...
