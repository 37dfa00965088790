"""What the monitors publish: one result a window of a model's version and role, and its revisions."""

from atalaia.results.base import Cut, Result, ResultWindow
from atalaia.results.drift import DetectorResult, DriftColumn, DriftResult, JudgedRun, Range
from atalaia.results.fairness import FairnessGap, FairnessGroup, FairnessResult
from atalaia.results.performance import PerformanceResult

__all__ = [
    "Cut",
    "DetectorResult",
    "DriftColumn",
    "DriftResult",
    "FairnessGap",
    "FairnessGroup",
    "FairnessResult",
    "JudgedRun",
    "PerformanceResult",
    "Range",
    "Result",
    "ResultWindow",
]
