"""Rows a model is asked about, and what it answered, as columns."""

from collections.abc import Sequence
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

    def part(self, start: int, stop: int) -> "Rows":
        """Rows ``start`` to ``stop``, without it."""
        cut = slice(start, stop)
        return Rows(
            numeric=self.numeric[cut],
            strings={name: values[cut] for name, values in self.strings.items()},
            context={name: values[cut] for name, values in self.context.items()},
            event_time_ms=None if self.event_time_ms is None else self.event_time_ms[cut],
        )


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

    def part(self, start: int, stop: int) -> "Predictions":
        """Rows ``start`` to ``stop``, without it."""
        cut = slice(start, stop)
        return Predictions(
            score=self.score[cut],
            applicability=self.applicability[cut],
            abstained=self.abstained[cut],
            label=None if self.label is None else self.label[cut],
            probabilities=None if self.probabilities is None else self.probabilities[cut],
            value=None if self.value is None else self.value[cut],
        )


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other; ``event_time_ms`` is dropped unless every part has it."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    known = [part.event_time_ms for part in parts if part.event_time_ms is not None]
    return Rows(
        numeric=np.concatenate([part.numeric for part in parts]),
        strings={name: np.concatenate([part.strings[name] for part in parts]) for name in first.strings},
        context={name: np.concatenate([part.context[name] for part in parts]) for name in first.context},
        event_time_ms=np.concatenate(known) if len(known) == len(parts) else None,
    )
