"""Basic metabolic panels, some of them contaminated with intravenous fluid.

The prior panel lies a log-ratio away, and so does the next; a contaminated sample is (1 - f) of blood and f
of fluid, f ~ min(Beta(1, 5) + .10, .8); everything is rounded as laboratories do. The blood is that of real
adults (`recipes.bmp_survey`) or drawn from figures (`simulate`); no file holds a person's panel before.

Milder than a hospital: the people are healthier than inpatients, and simulated tails are lighter.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
    FORMER,
    OLDEST,
    RACE_SHARES,
    RACES,
    RATIO_CORRELATION,
    RATIO_SDS,
    YOUNGEST,
    Laboratory,
    Triangle,
)
from recipes.bmp_people import FloatArray, IntArray, People

BoolArray = npt.NDArray[np.bool_]

DELTAS = tuple(f"{analyte}_delta_prior" for analyte in ANALYTES)
FEATURES = (*ANALYTES, *DELTAS)
CONTEXT = ("sex", "age", "race_eth")
TARGET = "sample"
CLEAN, CONTAMINATED = "clean", "contaminated"
CONTAMINATION = 0.03
USUAL_FLUIDS: Mapping[str, float] = {"NS": 4, "LR": 1}
"""Weights of the fluids that contaminate, by name in `recipes.bmp_figures.FLUIDS`: saline, and Ringer's."""
WITHOUT_PRIOR = 0.1

_TAIL_DEGREES = 6
"""Of the log-ratios: their excess kurtosis is about 3, which a t of 6 degrees of freedom has."""


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels as columns: ``features`` (n, 16) as `FEATURES`, NaN deltas where there is no prior.

    ``delta_post`` (n, 8) is the panel that came next less this one: no model knows it in time.
    """

    features: FloatArray
    delta_post: FloatArray
    sex: npt.NDArray[np.str_]
    age: FloatArray
    race_eth: npt.NDArray[np.str_]
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
            "race_eth": self.race_eth.astype(np.object_),
        }
        return Rows(numeric=cast_to_served(self.features, "FP32"), context=context)

    def write_csv(self, path: Path) -> None:
        """Features, context and the truth (column `TARGET`); missing deltas are empty cells."""
        decimals = (*DECIMALS, *DECIMALS)
        context = zip(self.sex, self.age, self.race_eth, strict=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*FEATURES, *CONTEXT, TARGET])
            for row, (sex, age, race), label in zip(self.features, context, self.labels, strict=True):
                cells = [
                    "" if np.isnan(value) else f"{value:.{places}f}"
                    for value, places in zip(row, decimals, strict=True)
                ]
                writer.writerow([*cells, sex, f"{age:.0f}", race, label])

    @property
    def labels(self) -> npt.NDArray[np.str_]:
        """The truth as the model's classes."""
        return np.where(self.contaminated, CONTAMINATED, CLEAN)


def concatenate(parts: Sequence[Panels]) -> Panels:
    """Panels one after the other."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Panels)
    }
    return Panels(**columns)


def simulate(
    n: int,
    seed: int = 0,
    *,
    laboratory: Laboratory = FORMER,
    contamination: float | Mapping[str, float] = CONTAMINATION,
    fluids: Mapping[str, float] = USUAL_FLUIDS,
    without_prior: float = WITHOUT_PRIOR,
    shift: Mapping[str, float] | None = None,
    spread: float = 1.0,
) -> Panels:
    """Draw n panels from figures; the same arguments give the same panels.

    Parameters
    ----------
    laboratory : the people, and who measured them
    contamination : share of contaminated panels, of all or by sex
    fluids : weights by name in `recipes.bmp_figures.FLUIDS`
    without_prior : share of panels of people never seen before, whose deltas are missing
    shift : by analyte, added to every blood value before rounding, but not to the prior panel
    spread : times the usual spread of the log-ratios

    >>> panels = simulate(1000, seed=1)
    >>> panels.features.shape, bool(panels.contaminated.mean() < 0.1)
    ((1000, 16), True)
    """
    rng = np.random.default_rng(seed)
    people = _people(rng, n, laboratory)
    ratios = spread * _log_ratios(rng, n)
    return draw_panels(
        rng,
        people,
        ratios,
        contamination=contamination,
        fluids=fluids,
        without_prior=without_prior,
        shift=shift,
    )


def draw_panels(
    rng: np.random.Generator,
    people: People,
    ratios: FloatArray,
    *,
    contamination: float | Mapping[str, float] = CONTAMINATION,
    fluids: Mapping[str, float] = USUAL_FLUIDS,
    without_prior: float = WITHOUT_PRIOR,
    shift: Mapping[str, float] | None = None,
) -> Panels:
    """A panel each of some people, as `simulate` does.

    Parameters
    ----------
    ratios : log(current / prior) and log(next / current), (n, 16)
    """
    n = len(people)
    blood = people.blood.copy()
    prior, after = reported(blood / np.exp(ratios[:, :8])), reported(blood * np.exp(ratios[:, 8:]))
    for analyte, offset in (shift or {}).items():
        blood[:, ANALYTES.index(analyte)] += offset
    contaminated = rng.random(n) < _rates(contamination, people)
    fluid, fraction = _contamination(rng, contaminated, fluids)
    composition = np.array([FLUIDS.get(name, (0.0,) * len(ANALYTES)) for name in fluid.tolist()])
    current = reported(blood + fraction[:, None] * (composition.reshape(n, -1) - blood))
    deltas = reported(current - prior)
    # Exactly so many: a reference that is off by luck makes stationary windows hits.
    deltas[rng.permutation(n) < round(n * without_prior)] = np.nan
    return Panels(
        features=np.hstack([current, deltas]),
        delta_post=reported(after - current),
        sex=people.sex,
        age=people.age,
        race_eth=people.race_eth,
        contaminated=contaminated,
        fraction=fraction,
        fluid=fluid,
    )


def reported(values: FloatArray) -> FloatArray:
    """Analytes (n, 8), rounded as laboratories report them."""
    return np.column_stack([np.round(values[:, j], places) for j, places in enumerate(DECIMALS)])


def _people(rng: np.random.Generator, n: int, laboratory: Laboratory) -> People:
    groups = list(laboratory.shares)
    drawn = _choice(rng, [laboratory.shares[group] for group in groups], n)
    edges = np.array([YOUNGEST, *AGE_BANDS, OLDEST + 1])
    bands = np.array([band for _, band in groups])[drawn]
    age = np.floor(edges[bands] + rng.random(n) * (edges[bands + 1] - edges[bands]))
    normal = rng.standard_normal((n, len(ANALYTES))) @ _root(laboratory.log_correlation).T
    means = np.array([laboratory.log_means[group] for group in groups])[drawn]
    spreads = np.array([laboratory.log_sds[group] for group in groups])[drawn]
    races = np.array(RACES)[_choice(rng, RACE_SHARES, n)]
    sexes = np.array([sex for sex, _ in groups])[drawn]
    return People(sexes, age, races, np.exp(means + spreads * normal))


def _choice(rng: np.random.Generator, weights: Sequence[float], n: int) -> IntArray:
    shares = np.array(weights, np.float64)
    return rng.choice(len(shares), size=n, p=shares / shares.sum())


def _log_ratios(rng: np.random.Generator, n: int) -> FloatArray:
    """Multivariate t with the SDs and correlations of inpatient panels that follow one another."""
    normal = rng.standard_normal((n, len(RATIO_SDS))) @ _root(RATIO_CORRELATION).T
    width = np.sqrt((_TAIL_DEGREES - 2) / rng.chisquare(_TAIL_DEGREES, n))
    ratios: FloatArray = np.array(RATIO_SDS) * normal * width[:, None]
    return ratios


def _rates(contamination: float | Mapping[str, float], people: People) -> FloatArray:
    if isinstance(contamination, Mapping):
        return np.array([contamination[sex] for sex in people.sex.tolist()], np.float64)
    return np.full(len(people), contamination)


def _contamination(
    rng: np.random.Generator, contaminated: BoolArray, fluids: Mapping[str, float]
) -> tuple[npt.NDArray[np.str_], FloatArray]:
    n = len(contaminated)
    names = np.array(list(fluids))[_choice(rng, list(fluids.values()), n)]
    fraction = np.minimum(rng.beta(1, 5, n) + 0.10, 0.8)
    return np.where(contaminated, names, ""), np.where(contaminated, fraction, 0.0)


def _root(lower: Triangle) -> FloatArray:
    """Square root of the correlation matrix whose lower triangle is given."""
    matrix = np.eye(len(lower) + 1)
    for row, values in enumerate(lower, start=1):
        matrix[row, :row] = matrix[:row, row] = values
    return np.linalg.cholesky(matrix).astype(np.float64)
