"""Simulated basic metabolic panels, some of them contaminated with intravenous fluid.

No patient's row: panels are drawn from figures (`recipes.bmp_figures`), log-normal within sex and age band;
the prior panel lies a multivariate-t log-ratio away; a contaminated sample is (1 - f) of blood and f of
fluid, f ~ min(Beta(1, 5) + .10, .8); everything is rounded as laboratories do.

Milder than a hospital: the people are healthier than inpatients, and their tails lighter.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atalaia.inference.columns import cast_to_served
from atalaia.inference.rows import Rows
from recipes.bmp_figures import (
    AGE_BANDS,
    ANALYTES,
    DECIMALS,
    FLUIDS,
    LOG_CORRELATION,
    LOG_MEANS,
    LOG_SDS,
    OLDEST,
    RATIO_CORRELATION,
    RATIO_SDS,
    SHARES,
    YOUNGEST,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DELTAS = tuple(f"{analyte}_delta_prior" for analyte in ANALYTES)
FEATURES = (*ANALYTES, *DELTAS)
TARGET = "sample"
CLEAN, CONTAMINATED = "clean", "contaminated"

_TAIL_DEGREES = 6
"""Of the log-ratios: their excess kurtosis is about 3, which a t of 6 degrees of freedom has."""


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels as columns: ``features`` (n, 16) as `FEATURES`, NaN deltas where there is no prior."""

    features: FloatArray
    sex: npt.NDArray[np.str_]
    age: FloatArray
    contaminated: BoolArray
    fraction: FloatArray
    fluid: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.features)

    def rows(self) -> Rows:
        """As the model is asked about them."""
        context: dict[str, npt.NDArray[np.object_] | FloatArray] = {
            "sex": self.sex.astype(np.object_),
            "age": self.age,
        }
        return Rows(numeric=cast_to_served(self.features, "FP32"), context=context)

    def write_csv(self, path: Path) -> None:
        """Features, context and the truth (column `TARGET`); missing deltas are empty cells."""
        decimals = (*DECIMALS, *DECIMALS)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*FEATURES, "sex", "age", TARGET])
            for row, sex, age, label in zip(self.features, self.sex, self.age, self.labels, strict=True):
                cells = [
                    "" if np.isnan(value) else f"{value:.{places}f}"
                    for value, places in zip(row, decimals, strict=True)
                ]
                writer.writerow([*cells, sex, f"{age:.0f}", label])

    @property
    def labels(self) -> npt.NDArray[np.str_]:
        """The truth as the model's classes."""
        return np.where(self.contaminated, CONTAMINATED, CLEAN)


def simulate(
    n: int,
    seed: int = 0,
    *,
    contamination: float = 0.03,
    fluids: Mapping[str, float] | None = None,
    without_prior: float = 0.1,
    shift: Mapping[str, float] | None = None,
) -> Panels:
    """Draw n panels; the same arguments give the same panels.

    Parameters
    ----------
    contamination : share of contaminated panels
    fluids : weights by name in `recipes.bmp_figures.FLUIDS` (default: saline 4, lactated Ringer's 1)
    without_prior : share of panels of people never seen before, whose deltas are missing
    shift : by analyte, added to every blood value before rounding, as a new instrument would

    >>> panels = simulate(1000, seed=1)
    >>> panels.features.shape, bool(panels.contaminated.mean() < 0.1)
    ((1000, 16), True)
    """
    rng = np.random.default_rng(seed)
    sex, age, blood = _people(rng, n)
    ratios = _log_ratios(rng, n)
    prior = _reported(blood / np.exp(ratios))
    for analyte, offset in (shift or {}).items():
        blood[:, ANALYTES.index(analyte)] += offset
    contaminated = rng.random(n) < contamination
    fluid, fraction = _contamination(rng, contaminated, fluids or {"NS": 4, "LR": 1})
    composition = np.array([FLUIDS.get(name, (0.0,) * len(ANALYTES)) for name in fluid.tolist()]).reshape(
        n, -1
    )
    current = _reported(blood + fraction[:, None] * (composition - blood))
    deltas = _reported(current - prior)
    deltas[rng.random(n) < without_prior] = np.nan
    return Panels(np.hstack([current, deltas]), sex, age, contaminated, fraction, fluid)


def _people(rng: np.random.Generator, n: int) -> tuple[npt.NDArray[np.str_], FloatArray, FloatArray]:
    """Sex, age and what is in the blood."""
    groups = list(SHARES)
    shares = np.array([SHARES[group] for group in groups])
    drawn = rng.choice(len(groups), size=n, p=shares / shares.sum())
    edges = np.array([YOUNGEST, *AGE_BANDS, OLDEST + 1])
    bands = np.array([band for _, band in groups])[drawn]
    age = np.floor(edges[bands] + rng.random(n) * (edges[bands + 1] - edges[bands]))
    normal = rng.standard_normal((n, len(ANALYTES))) @ _root(LOG_CORRELATION).T
    means = np.array([LOG_MEANS[group] for group in groups])[drawn]
    spreads = np.array([LOG_SDS[group] for group in groups])[drawn]
    blood: FloatArray = np.exp(means + spreads * normal)
    return np.array([sex for sex, _ in groups])[drawn], age, blood


def _log_ratios(rng: np.random.Generator, n: int) -> FloatArray:
    """log(current / prior), multivariate t with the SDs and correlations of inpatient pairs."""
    normal = rng.standard_normal((n, len(ANALYTES))) @ _root(RATIO_CORRELATION).T
    width = np.sqrt((_TAIL_DEGREES - 2) / rng.chisquare(_TAIL_DEGREES, n))
    ratios: FloatArray = np.array(RATIO_SDS) * normal * width[:, None]
    return ratios


def _contamination(
    rng: np.random.Generator, contaminated: BoolArray, fluids: Mapping[str, float]
) -> tuple[npt.NDArray[np.str_], FloatArray]:
    n = len(contaminated)
    weights = np.array(list(fluids.values()), np.float64)
    names = rng.choice(list(fluids), size=n, p=weights / weights.sum())
    fraction = np.minimum(rng.beta(1, 5, n) + 0.10, 0.8)
    return np.where(contaminated, names, ""), np.where(contaminated, fraction, 0.0)


def _reported(values: FloatArray) -> FloatArray:
    return np.column_stack([np.round(values[:, j], places) for j, places in enumerate(DECIMALS)])


def _root(lower: tuple[tuple[float, ...], ...]) -> FloatArray:
    """Square root of the correlation matrix whose lower triangle is given."""
    matrix = np.eye(len(lower) + 1)
    for row, values in enumerate(lower, start=1):
        matrix[row, :row] = matrix[:row, row] = values
    return np.linalg.cholesky(matrix).astype(np.float64)
