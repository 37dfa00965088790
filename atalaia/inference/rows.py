"""Rows a model is asked about, and what it answered, as columns."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ObjectArray = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Validated rows of one model.

    ``numeric`` is float64 ``(n, k)``: the numeric features in signature order, already cast to the served
    datatype and back, NaN where missing. ``strings`` holds each BYTES feature as str or None ``(n,)``,
    ``context`` every declared context column (float64 with NaN, or str or None), missing throughout where
    the request did not give it. ``event_time_ms`` is None where the request carries no time of its own.
    """

    numeric: FloatArray
    strings: dict[str, ObjectArray] = field(default_factory=dict)
    context: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    event_time_ms: IntArray | None = None

    def __len__(self) -> int:
        return len(self.numeric)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of ``n`` rows.

    A classifier gives ``label`` (indices into the manifest's classes, int64 ``(n,)``), ``probabilities``
    float32 ``(n, classes)`` and ``score`` (probability of the positive class when binary, of the predicted
    class otherwise). A regressor gives ``value``, which is also its ``score``. ``applicability`` is the
    squared Mahalanobis distance; ``abstained`` marks rows beyond the cutoff.
    """

    score: npt.NDArray[np.float32]
    applicability: npt.NDArray[np.float32]
    abstained: BoolArray
    label: IntArray | None = None
    probabilities: npt.NDArray[np.float32] | None = None
    value: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.score)
