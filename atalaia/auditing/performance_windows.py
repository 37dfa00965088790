"""What a window of `performance` comes to, from its rows and their labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing import drift_figures, fairness_figures, localised, performance_figures
from atalaia.auditing.gathered import Labelled, Selection, column, counted
from atalaia.auditing.performance_figures import Answered
from atalaia.auditing.performance_verdicts import (
    held_out_errors,
    held_out_metrics,
    judgements,
    positive_of,
    rise,
)
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.units import Watched
from atalaia.records import ModelObservation

Figures = dict[str, Any]
AnyArray = npt.NDArray[Any]

_FEWEST_ROWS = 30
_FEWEST_LABELS = 100
_LABEL_STEPS = 256


def performance(
    selection: Selection, rows: Labelled, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> Figures:
    """All of a result that follows from its rows; ``body`` is the result, for what it says of its bounds."""
    manifest = watched.manifest
    figures: Figures = dict(counted(rows))
    figures |= {
        "abstained": int(rows.abstained.sum()),
        "coverage": figures["labelled"] / figures["n"] if figures["n"] else None,
        "delay": performance_figures.delays(rows.waited_ms),
        "classes": list(manifest.classes),
        "reference": held_out_metrics(watched, body["reference"].get("roc_auc_bound")),
    }
    known, scores = rows.known, column(selection, lambda section: section.score.numpy())
    if manifest.task == "regression":
        truth, said = rows.truth[known], scores[known].astype(np.float64)
        figures["metrics"] = performance_figures.regression(truth, said)
        held_out = held_out_errors(watched)
        figures["judgements"] = rise(truth, said, held_out, settings) if body["why"] is None else []
        return figures | _label_drift(truth, watched, settings, body)
    predicted = column(selection, lambda section: _array(section.label))
    answered = Answered(
        labels=rows.truth[known].astype(np.int64),
        predicted=predicted[known].astype(np.int64),
        scores=scores[known],
        probabilities=_probabilities(selection, known, manifest),
        classes=len(manifest.classes),
        positive=positive_of(manifest),
    )
    said_class = predicted[~rows.abstained].astype(np.int64)
    labelled = known[~rows.abstained]
    bound = body["metrics"].get("roc_auc_bound")
    shares = performance_figures.coverage_by_class(said_class, labelled, answered.classes)
    weights = np.array([1 / share if share else 0.0 for share in shares])
    uneven = fairness_figures.is_uneven(_large_shares(said_class, labelled, answered.classes))
    figures |= {
        "metrics": performance_figures.classification(answered) | performance_figures.area(answered, bound),
        "confusion_matrix": _matrix(answered),
        "coverage_by_class": shares,
        "biased": uneven,
        "weighted": performance_figures.table_metrics(
            answered.labels,
            answered.predicted,
            positive=answered.positive,
            weights=weights[answered.predicted],
        ),
    }
    if body["why"] is None:
        figures["judgements"] = judgements(answered, watched, settings, uneven=uneven)
    names = np.array([str(name) for name in manifest.classes], np.object_)
    return figures | _label_drift(names[answered.labels], watched, settings, body)


def _array(found: Any) -> AnyArray | None:
    return None if found is None else found.numpy()


def _probabilities(selection: Selection, known: npt.NDArray[np.bool_], manifest: Manifest) -> AnyArray | None:
    def read(section: ModelObservation) -> AnyArray | None:
        return _array(section.probabilities)

    if len(manifest.classes) <= 2 or any(read(chunk.section) is None for chunk, _ in selection):
        return None
    return column(selection, read)[known]


def _matrix(rows: Answered) -> list[list[int]]:
    if not len(rows.labels):
        return [[0] * rows.classes for _ in range(rows.classes)]
    return performance_figures.confusion(rows.labels, rows.predicted, rows.classes)


def _large_shares(predicted: AnyArray, labelled: AnyArray, classes: int) -> list[float]:
    shares = performance_figures.coverage_by_class(predicted, labelled, classes)
    return [
        share
        for place, share in enumerate(shares)
        if share is not None and int((predicted == place).sum()) >= _FEWEST_ROWS
    ]


def _label_drift(
    labels: AnyArray, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> Figures:
    """The tests of the label; a window that is not judged may have none."""
    sample, reference = _label_samples(labels, watched)
    if not reference.rows:
        return {"drift": []}
    if body["why"] is not None and not body["drift"]:
        return {}
    tests = [
        {"column": "label", "test": test, "decides": decides, "earlier": None, **localised.NOWHERE}
        | (drift_figures.measure(test, sample, reference) or {})
        for test, decides in drift_figures.tests_of(reference).items()
    ]
    _adjust(tests, settings, rows=sample.rows, reference_rows=reference.rows)
    return {"drift": tests}


def _adjust(tests: Sequence[Figures], settings: MonitorSettings, *, rows: int, reference_rows: int) -> None:
    """The p-values corrected for their family, which too few rows leave empty, and what is a hit."""
    drift = settings.drift
    enough = rows >= drift.minimum_window_rows and reference_rows >= drift.minimum_reference_rows
    for test in tests:
        test |= {"p_adjusted": None, "hit": False, "drifted": False}
    family = [
        test
        for test in tests
        if enough and test["decides"] and test["p_value"] is not None and test["n"] >= _FEWEST_LABELS
    ]
    corrected = drift_figures.adjusted([test["p_value"] for test in family])
    for test, p_adjusted in zip(family, corrected, strict=True):
        hit = p_adjusted <= drift.q and drift_figures.is_large(test, drift.effect, drift.ratio)
        test |= {"p_adjusted": p_adjusted, "hit": hit, "drifted": hit}


def _label_samples(labels: AnyArray, watched: Watched) -> tuple[drift_figures.Sample, drift_figures.Sample]:
    known = watched.reference.answers.labels
    if watched.manifest.task != "regression":
        names = np.array([str(name) for name in watched.manifest.classes], np.object_)
        held = np.zeros(0, np.int64) if known is None else known[known >= 0].astype(np.int64)
        return drift_figures.Sample.of(labels), drift_figures.Sample.of(names[held])
    held_values = np.zeros(0) if known is None else known[~np.isnan(known)].astype(np.float64)
    steps = np.unique(held_values)
    if len(steps) > _LABEL_STEPS:
        ranks = np.linspace(0, len(held_values) - 1, _LABEL_STEPS).astype(np.int64)
        steps = np.unique(np.sort(held_values)[ranks])
    places = [np.searchsorted(steps, some, "left").astype(np.float64) for some in (labels, held_values)]
    return drift_figures.Sample.of(places[0]), drift_figures.Sample.of(places[1])
