"""What the topic `performance` holds."""

from typing import Any

from atalaia.results.base import Result
from atalaia.results.drift import DetectorResult, DriftColumn


class PerformanceResult(Result, frozen=True, kw_only=True):
    """How well a version does in a window, of the answered rows whose truth has come.

    ``n`` counts answered rows, ``labelled`` those of them with a label. ``metrics`` are named as in
    scikit-learn, None where undefined; ``reference`` are the same of the bundle's held-out rows.
    ``provisional`` until coverage or the horizon allows a verdict. ``drift`` is that of the label,
    ``detectors`` those of the error.
    """

    n: int
    labelled: int
    metrics: dict[str, float | None]
    reference: dict[str, float | None]
    abstained: int = 0
    coverage: float | None = None
    coverage_by_class: list[float | None]
    delay: dict[str, float | None]
    confusion_matrix: list[list[int]]
    classes: list[str | int]
    biased: bool = False
    weighted: dict[str, float | None]
    judgements: list[dict[str, Any]]
    drift: list[DriftColumn]
    detectors: list[DetectorResult]
    why: str | None = None
