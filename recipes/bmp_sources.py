"""Where metabolic panels come from: the survey's files, or figures where there are none."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

import numpy as np

from recipes.bmp_figures import FORMER, NEW
from recipes.bmp_panels import CONTAMINATION, Panels, draw_panels, simulate
from recipes.bmp_people import FloatArray, People
from recipes.bmp_survey import NEW_CYCLE, TRAINING_CYCLES, Survey, bootstrap

KERNEL, WIDE_KERNEL = 0.3, 1.0
"""Noise on bootstrapped log-ratios, in their SDs; the wide one lets no model learn a triple by heart."""
WIDE_SPREAD = 1.2
SIMULATED_REFERENCE = 10_000

Contamination = float | Mapping[str, float]


class Mixture(TypedDict, total=False):
    """What contaminates, and how many panels have none before; see `recipes.bmp_panels.simulate`."""

    fluids: Mapping[str, float]
    without_prior: float


class Source(Protocol):
    """Panels for each purpose; the same arguments give the same panels."""

    name: str
    apart: str
    """How what is learned from is kept from what is held out."""

    def training(self, n: int, seed: int, *, widened: bool = False) -> Panels:
        """To learn from: people and log-ratios that are nowhere else.

        With ``widened``, panels of a person differ more than they do, so that a model stays on the safe side.
        """

    def reference(self, seed: int) -> Panels:
        """What later panels are held against: the former laboratory's."""

    def stationary(
        self, n: int, seed: int, contamination: Contamination = CONTAMINATION, **mixture: Unpack[Mixture]
    ) -> Panels:
        """As the reference, other people."""

    def new_laboratory(self, n: int, seed: int, contamination: Contamination = CONTAMINATION) -> Panels:
        """From the new laboratory."""


class RealPanels:
    """Real adults of the survey; deltas bootstrapped from inpatient triples.

    Training: cycles 2001-2014 and two of three triples. All else: cycles since 2015, and the triples left.

    Raises
    ------
    BundleError
        when a file cannot be read.
    """

    name = "adults of NHANES 2001-2018 (public domain), deltas bootstrapped from 119 inpatient triples"
    apart = (
        "trained on 2001-2014 and two of three triples; reference one half of 2015-2016, held out the other, "
        "both with the triples left"
    )

    def __init__(self, data_dir: Path) -> None:
        survey = Survey.read(data_dir)
        self._training = survey.adults(*TRAINING_CYCLES)
        self._reference, self._stationary = survey.halves()
        self._new = survey.adults(NEW_CYCLE)
        self._training_ratios = survey.training_ratios()
        self._ratios = survey.held_out_ratios()

    def training(self, n: int, seed: int, *, widened: bool = False) -> Panels:
        """See `Source`."""
        kernel = WIDE_KERNEL if widened else KERNEL
        return _draw(self._training, self._training_ratios, n, seed, kernel=kernel)

    def reference(self, seed: int) -> Panels:
        """Each person of one half of 2015-2016, once."""
        return _draw(self._reference, self._ratios, len(self._reference), seed)

    def stationary(
        self, n: int, seed: int, contamination: Contamination = CONTAMINATION, **mixture: Unpack[Mixture]
    ) -> Panels:
        """The other half of 2015-2016, again and again in new order."""
        return _draw(self._stationary, self._ratios, n, seed, contamination=contamination, **mixture)

    def new_laboratory(self, n: int, seed: int, contamination: Contamination = CONTAMINATION) -> Panels:
        """Cycle 2017-2018, again and again in new order; prior panels are of the new laboratory too."""
        return _draw(self._new, self._ratios, n, seed, contamination=contamination)


class SimulatedPanels:
    """Panels from the figures in `recipes.bmp_figures`: no download."""

    name = "simulated from the figures in recipes/bmp_figures.py (NHANES 2015-2018, inpatient triples)"
    apart = "other seeds"

    def training(self, n: int, seed: int, *, widened: bool = False) -> Panels:
        """See `Source`."""
        return simulate(n, seed, spread=WIDE_SPREAD if widened else 1.0)

    def reference(self, seed: int) -> Panels:
        """See `Source`."""
        return simulate(SIMULATED_REFERENCE, seed)

    def stationary(
        self, n: int, seed: int, contamination: Contamination = CONTAMINATION, **mixture: Unpack[Mixture]
    ) -> Panels:
        """See `Source`."""
        return simulate(n, seed, laboratory=FORMER, contamination=contamination, **mixture)

    def new_laboratory(self, n: int, seed: int, contamination: Contamination = CONTAMINATION) -> Panels:
        """See `Source`."""
        return simulate(n, seed, laboratory=NEW, contamination=contamination)


@lru_cache(maxsize=1)
def source_of(data_dir: Path | None) -> Source:
    """Real panels where there is a data folder, else simulated ones.

    Raises
    ------
    BundleError
        when the folder lacks a file.
    """
    return SimulatedPanels() if data_dir is None else RealPanels(data_dir)


def _draw(
    people: People,
    ratios: FloatArray,
    n: int,
    seed: int,
    *,
    kernel: float = KERNEL,
    contamination: Contamination = CONTAMINATION,
    **mixture: Unpack[Mixture],
) -> Panels:
    rng = np.random.default_rng(seed)
    chosen = people.again_and_again(rng, n)
    drawn = bootstrap(rng, ratios, n, kernel=kernel)
    return draw_panels(rng, chosen, drawn, contamination=contamination, **mixture)
