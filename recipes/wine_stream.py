"""The wines as a stream: passes over rows the model has not seen, then over stronger ones than it knows.

No drift: the 298 held-out rows, again and again in new order. Drift: the 408 rows above 11 % alcohol,
likewise. The thesis replays all 1191 rows up to 11 %, the training rows among them: `replay_of_the_thesis`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.wine import FEATURES, Float32Array, IntArray, Wines

TARGET = "quality"


@dataclass(frozen=True, slots=True)
class WineRows:
    """Wines in order: ``features`` (n, 11) as `recipes.wine.FEATURES`, and their mark."""

    features: Float32Array
    quality: IntArray

    def __len__(self) -> int:
        return len(self.features)

    def write_csv(self, path: Path) -> None:
        """For ``atalaia replay PATH --model wine --target quality``."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(name for name, _ in FEATURES), TARGET])
            for row, mark in zip(self.features, self.quality.tolist(), strict=True):
                writer.writerow([*(str(value) for value in row), mark])


def no_drift(wines: Wines, *, passes: int = 4, seed: int = 0) -> WineRows:
    """The 298 held-out rows, ``passes`` times, each time in a new order."""
    return _passes(wines.held_out, wines.held_out_quality, passes, seed)


def drift(wines: Wines, *, passes: int = 3, seed: int = 1) -> WineRows:
    """The 408 rows above 11 % alcohol, ``passes`` times, each time in a new order."""
    return _passes(wines.strong, wines.strong_quality, passes, seed)


def replay_of_the_thesis(wines: Wines, *, seed: int = 2) -> WineRows:
    """All 1191 rows up to 11 % alcohol once; on three quarters of them the tree was trained."""
    return _passes(wines.weak, wines.weak_quality, 1, seed)


def joined(*parts: WineRows) -> WineRows:
    """Rows one after the other."""
    return WineRows(
        np.concatenate([part.features for part in parts]), np.concatenate([part.quality for part in parts])
    )


def _passes(features: Float32Array, quality: IntArray, passes: int, seed: int) -> WineRows:
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(features)) for _ in range(passes)])
    return WineRows(features[order], quality[order])
