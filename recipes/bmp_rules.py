"""The thesis's rules of thumb for contaminated panels: the baseline beside the model.

Real time: chloride up by more than 7.7, potassium down by more than 0.7 and calcium down by more than 1.7
since the panel before. Retrospective: chloride's rise among the highest 5 % and its fall to the next panel
among the lowest 5 %, calcium the other way round; the quantiles are those of the training panels. Where a
delta is missing, a rule does not flag.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from recipes.bmp_figures import ANALYTES
from recipes.bmp_panels import FEATURES, BoolArray, Panels
from recipes.bmp_people import FloatArray


def real_time_rule(panels: Panels) -> BoolArray:
    """What can be said when the panel comes."""
    return (
        (_since_prior(panels, "chloride") > 7.7)
        & (_since_prior(panels, "potassium_plas") < -0.7)
        & (_since_prior(panels, "calcium") < -1.7)
    )


@dataclass(frozen=True, slots=True)
class RetrospectiveRule:
    """What can be said once the next panel has come."""

    chloride_rise: float
    chloride_fall: float
    calcium_fall: float
    calcium_rise: float

    @classmethod
    def fit(cls, training: Panels) -> Self:
        """Quantiles of the training panels."""
        return cls(
            chloride_rise=float(np.nanquantile(_since_prior(training, "chloride"), 0.95)),
            chloride_fall=float(np.nanquantile(_to_next(training, "chloride"), 0.05)),
            calcium_fall=float(np.nanquantile(_since_prior(training, "calcium"), 0.05)),
            calcium_rise=float(np.nanquantile(_to_next(training, "calcium"), 0.95)),
        )

    def __call__(self, panels: Panels) -> BoolArray:
        """Which panels it flags."""
        return (
            (_since_prior(panels, "chloride") > self.chloride_rise)
            & (_to_next(panels, "chloride") < self.chloride_fall)
            & (_since_prior(panels, "calcium") < self.calcium_fall)
            & (_to_next(panels, "calcium") > self.calcium_rise)
        )


def _since_prior(panels: Panels, analyte: str) -> FloatArray:
    return panels.features[:, FEATURES.index(f"{analyte}_delta_prior")]


def _to_next(panels: Panels, analyte: str) -> FloatArray:
    return panels.delta_post[:, ANALYTES.index(analyte)]
