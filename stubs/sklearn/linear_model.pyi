from typing import Any, Self

import numpy as np
import numpy.typing as npt

class LogisticRegression:
    def __init__(self, *, max_iter: int = ...) -> None: ...
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803

class LinearRegression:
    def __init__(self) -> None: ...
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803
    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]: ...  # noqa: N803
