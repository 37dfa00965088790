from typing import Any, Self

import numpy as np
import numpy.typing as npt

class DecisionTreeClassifier:
    classes_: npt.NDArray[Any]
    def __init__(
        self,
        *,
        max_depth: int | None = ...,
        min_samples_split: int = ...,
        min_samples_leaf: int = ...,
        random_state: int | None = ...,
    ) -> None: ...
    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self: ...  # noqa: N803
    def score(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> float: ...  # noqa: N803
    def predict(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]: ...  # noqa: N803
    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]: ...  # noqa: N803
    def get_n_leaves(self) -> int: ...
