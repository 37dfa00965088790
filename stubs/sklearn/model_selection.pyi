from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

def train_test_split(
    *arrays: npt.NDArray[Any], test_size: float | None = ..., random_state: int | None = ...
) -> list[npt.NDArray[Any]]: ...

class KFold:
    def __init__(
        self, n_splits: int = ..., *, shuffle: bool = ..., random_state: int | None = ...
    ) -> None: ...
    def split(self, X: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]: ...  # noqa: N803
