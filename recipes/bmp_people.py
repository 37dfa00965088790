"""Who the panels are of, and what is in their blood."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class People:
    """People as columns; ``blood`` (n, 8) in the order and units of `recipes.bmp_figures.ANALYTES`."""

    sex: npt.NDArray[np.str_]
    age: FloatArray
    race_eth: npt.NDArray[np.str_]
    blood: FloatArray

    def __len__(self) -> int:
        return len(self.blood)

    def take(self, which: IntArray) -> "People":
        """Some of them, in that order."""
        return People(self.sex[which], self.age[which], self.race_eth[which], self.blood[which])

    def again_and_again(self, rng: np.random.Generator, n: int) -> "People":
        """n of them: all in a new order, as often as it takes."""
        passes = [rng.permutation(len(self)) for _ in range(-(-n // len(self)))]
        return self.take(np.concatenate(passes)[:n].astype(np.int64))


def log_ratio_noise(rng: np.random.Generator, spreads: FloatArray, n: int) -> FloatArray:
    """Independent normal noise (n, columns) of the spreads given."""
    return rng.standard_normal((n, len(spreads))) * spreads
