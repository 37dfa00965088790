from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

class HistGradientBoostingClassifier:
    classes_: npt.NDArray[Any]
    def __init__(
        self,
        *,
        learning_rate: float = ...,
        max_iter: int = ...,
        max_leaf_nodes: int = ...,
        monotonic_cst: Sequence[int] | None = ...,
        early_stopping: bool = ...,
        random_state: int | None = ...,
    ) -> None: ...
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803
    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]: ...  # noqa: N803

class RandomForestClassifier:
    classes_: npt.NDArray[Any]
    def __init__(
        self, n_estimators: int = ..., *, max_depth: int | None = ..., random_state: int | None = ...
    ) -> None: ...
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803
    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]: ...  # noqa: N803
    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]: ...  # noqa: N803

class RandomForestRegressor:
    def __init__(
        self, n_estimators: int = ..., *, max_depth: int | None = ..., random_state: int | None = ...
    ) -> None: ...
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803
    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]: ...  # noqa: N803
