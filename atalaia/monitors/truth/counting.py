"""What is counted of rows and their labels, as vectors that add up, and what they come to."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from atalaia.bundles.figures import classifier
from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Reference
from atalaia.monitors.truth.layout import StructArray
from atalaia.statistics import coverage, regression
from atalaia.statistics.bins import IntArray, reference_of
from atalaia.statistics.drift import ColumnTests

LABEL_STEPS = 256
"""Quantiles of the reference by which the labels of a regressor are counted: D is at most 1/256 too small."""

Truth = npt.NDArray[Any]
"""Classes as places, -1 where unknown, or values, NaN where unknown."""


class Counting(Protocol):
    """Counts rows with their labels; vectors (length,) add up, and a row subtracted is gone."""

    length: int
    unknown: float

    def count(self, rows: StructArray, truth: Truth, abstained: npt.NDArray[np.bool_] | None) -> IntArray:
        """Rows (n,) with their labels."""

    def labels(self, counts: IntArray) -> IntArray | None:
        """Counts of the labels, as the tests of `label_tests` take them."""

    def labelled(self, counts: IntArray) -> tuple[int, int, int]:
        """Answered rows, those of them that are labelled, and abstained rows."""


class ClassifierCounting:
    """Of a classifier."""

    unknown = -1

    def __init__(self, manifest: Manifest, *, probabilities: bool) -> None:
        self.statistic = classifier(manifest, probabilities=probabilities)
        self.names = [str(label) for label in manifest.classes]
        self._probabilities = probabilities and len(manifest.classes) > 2
        self.length = self.statistic.length
        self._tests: ColumnTests | None = None
        self._a_label: IntArray | None = None

    def count(self, rows: StructArray, truth: Truth, abstained: npt.NDArray[np.bool_] | None) -> IntArray:
        """Rows (n,) with their labels."""
        return self.statistic.count(
            labels=truth.astype(np.int64),
            predicted=rows["predicted"].astype(np.int64),
            scores=rows["score"],
            probabilities=rows["probabilities"] if self._probabilities else None,
            abstained=abstained,
        )

    def label_tests(self, reference: Reference) -> ColumnTests | None:
        """The drift tests of the label; None where the reference has no labels."""
        known = reference.answers.labels
        if known is None or not (known >= 0).any():
            return None
        names = np.array(self.names, np.object_)
        self._tests = ColumnTests("label", reference_of(names[known[known >= 0].astype(np.int64)]))
        self._a_label = np.stack([self._tests.count(names[place : place + 1]) for place in range(len(names))])
        return self._tests

    def labels(self, counts: IntArray) -> IntArray | None:
        """Counts of the labels, as the tests of `label_tests` take them."""
        if self._a_label is None:
            return None
        answer: IntArray = self.statistic.confusion_matrix(counts).sum(axis=1) @ self._a_label
        return answer

    def labelled(self, counts: IntArray) -> tuple[int, int, int]:
        """Answered rows, those of them that are labelled, and abstained rows."""
        found = self.statistic.counts(counts)
        return found["rows"], found["labelled"], found["abstained"]


class RegressorCounting:
    """Of a regressor, whose output is its score."""

    unknown = float("nan")

    def __init__(self, reference: Reference) -> None:
        known = reference.answers.labels
        labels = np.zeros(0) if known is None else known[~np.isnan(known)].astype(np.float64)
        self._steps = _steps(labels)
        places = self._places(labels)
        self._tests = ColumnTests("label", reference_of(places)) if len(places) else None
        self.length = regression.LENGTH + (self._tests.width if self._tests else 0)

    def count(self, rows: StructArray, truth: Truth, abstained: npt.NDArray[np.bool_] | None) -> IntArray:
        """Rows (n,) with their labels."""
        said = rows["score"].astype(np.float64)
        counts = regression.count(labels=truth, predicted=said, abstained=abstained)
        if self._tests is None:
            return counts
        known = ~np.isnan(truth)
        used = truth[known if abstained is None else known & ~abstained]
        return np.concatenate([counts, self._tests.count(self._places(used))])

    def label_tests(self, reference: Reference) -> ColumnTests | None:  # noqa: ARG002 -- as of a classifier
        """The drift tests of the label; None where the reference has no labels."""
        return self._tests

    def labels(self, counts: IntArray) -> IntArray | None:
        """Counts of the labels, as the tests of `label_tests` take them."""
        return counts[regression.LENGTH :] if self._tests else None

    def labelled(self, counts: IntArray) -> tuple[int, int, int]:
        """Answered rows, those of them that are labelled, and abstained rows."""
        found = regression.counts(counts[: regression.LENGTH])
        return found["rows"], found["labelled"], found["abstained"]

    def _places(self, labels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The first quantile not below each label, as its place; one more for those above the last."""
        return np.searchsorted(self._steps, labels, side="left").astype(np.float64)


def count_delays(label_ms: IntArray, row_ms: IntArray) -> IntArray:
    """State of the times between rows and their labels."""
    return coverage.count_delays(label_ms - row_ms)


def _steps(labels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    distinct = np.unique(labels)
    if len(distinct) <= LABEL_STEPS:
        return distinct
    ranks = np.linspace(0, len(labels) - 1, LABEL_STEPS).astype(np.int64)
    return np.unique(np.sort(labels)[ranks])
