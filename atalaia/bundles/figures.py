"""How well a model did on its reference rows: the figures later windows are held against."""

import numpy as np

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Answers
from atalaia.inference.rows import BoolArray
from atalaia.statistics import regression
from atalaia.statistics.bins import IntArray
from atalaia.statistics.performance import Classification

Figures = dict[str, float | None]


def performance(manifest: Manifest, answers: Answers, abstained: BoolArray) -> Figures:
    """Figures over the rows that are answered and labelled; None where undefined.

    ``rows``, ``answered`` and ``labelled`` come first, then metrics under the names they have in the results
    of windows (`atalaia.statistics.performance`, `atalaia.statistics.regression`).
    """
    state = held_out(manifest, answers, abstained)
    if manifest.task == "regression":
        counts, metrics = regression.counts(state), regression.metrics(state)
    else:
        counter = classifier(manifest, probabilities=answers.probabilities is not None)
        counts, metrics = counter.counts(state), counter.metrics(state)
    figures: Figures = {
        "rows": float(len(abstained)),
        "answered": float(counts["rows"]),
        "labelled": float(counts["labelled"]),
    }
    return figures | metrics if counts["labelled"] else figures


def held_out(manifest: Manifest, answers: Answers, abstained: BoolArray) -> IntArray:
    """The state of the reference rows, as windows have it: what drops and calibration are judged against.

    It is one of `classifier`, or of `atalaia.statistics.regression`.
    """
    rows = len(answers.scores)
    if manifest.task == "regression":
        labels = np.full(rows, np.nan) if answers.labels is None else answers.labels.astype(np.float64)
        return regression.count(
            labels=labels, predicted=answers.scores.astype(np.float64), abstained=abstained
        )
    counter = classifier(manifest, probabilities=answers.probabilities is not None)
    given = answers.probabilities if len(manifest.classes) > 2 else None
    known = np.full(rows, -1) if answers.labels is None else answers.labels.astype(np.int64)
    predicted = np.zeros(rows, np.int64) if answers.predicted is None else answers.predicted
    return counter.count(
        labels=known if answers.predicted is not None else np.full(rows, -1),
        predicted=predicted.astype(np.int64),
        scores=answers.scores,
        probabilities=given,
        abstained=abstained,
    )


def classifier(manifest: Manifest, *, probabilities: bool) -> Classification:
    """What counts a classifier's rows; ``probabilities`` says whether it gives those of all classes."""
    positive = manifest.positive_class
    return Classification(
        classes=len(manifest.classes),
        positive=None if positive is None else manifest.classes.index(positive),
        probabilities=probabilities,
    )
