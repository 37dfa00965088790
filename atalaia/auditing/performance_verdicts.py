"""What a window of `performance` says of a drop, by textbook formulas over rows."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing import fairness_figures, performance_figures
from atalaia.auditing.performance_figures import Answered
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.units import Watched

Figures = dict[str, Any]
AnyArray = npt.NDArray[Any]

_LEVEL = 0.999
_LEAST_SHIFT = 0.02
_LARGEST_RISE = 0.10


def positive_of(manifest: Manifest) -> int | None:
    """The place of the positive class of two."""
    if len(manifest.classes) != 2:
        return None
    return 1 if manifest.positive_class is None else manifest.classes.index(manifest.positive_class)


def judgements(rows: Answered, watched: Watched, settings: MonitorSettings, *, uneven: bool) -> list[Figures]:
    """Each metric that is judged: its drop below the held-out rows, and calibration."""
    set_, held_out = settings.performance, _held_out(watched)
    now, then = _rates(rows), _rates(held_out)
    answer = []
    for metric in (name for name in set_.metrics if name in now):
        (k, n), (k0, n0) = now[metric], then[metric]
        judgement: Figures = {"metric": metric, "value": k / n if n else None}
        judgement["reference"] = k0 / n0 if n0 else None
        if n and n0:
            low, high = fairness_figures.newcombe(k0, n0, k, n, _LEVEL)
            biased = uneven and metric in ("accuracy", "recall", "specificity", "negative_predictive_value")
            judged = n >= set_.minimum_labelled_rows and not biased
            judgement |= {"change": k0 / n0 - k / n, "low": low, "high": high, "judged": judged}
            judgement["hit"] = judged and low > set_.maximum_drop
        answer.append(judgement)
    if set_.calibration:
        answer.append(_calibration(rows, held_out, set_.minimum_labelled_rows))
    return answer


def _calibration(rows: Answered, held_out: Answered, minimum_rows: int) -> Figures:
    z = performance_figures.classification(rows)["calibration_z"]
    reference = performance_figures.classification(held_out)["calibration_z"]
    judgement: Figures = {"metric": "calibration", "value": z, "reference": reference}
    if len(rows.labels) < minimum_rows or z is None:
        return judgement | {"judged": False, "hit": False}
    width = fairness_figures.normal_quantile(_LEVEL)
    off = abs(z) > width
    if not len(held_out.labels):
        return judgement | {"judged": True, "hit": off}
    (now, spread, n), (then, spread_then, m) = _residual(rows), _residual(held_out)
    shift, half = now - then, width * math.sqrt(spread / n + spread_then / m)
    moved = abs(shift) >= _LEAST_SHIFT and not shift - half <= 0 <= shift + half
    judgement |= {"change": shift, "low": shift - half, "high": shift + half}
    return judgement | {"judged": True, "hit": off and moved}


def _residual(rows: Answered) -> tuple[float, float, int]:
    rest: npt.NDArray[np.float64] = rows.event - np.clip(rows.scores.astype(np.float64), 0.0, 1.0)
    mean = math.fsum(rest.tolist()) / len(rest)
    return mean, max(math.fsum((rest * rest).tolist()) / len(rest) - mean * mean, 0.0), len(rest)


def rise(
    truth: AnyArray, said: AnyArray, held_out: npt.NDArray[np.float64], settings: MonitorSettings
) -> list[Figures]:
    """The rise of a regressor\'s mean absolute error."""
    judgement: Figures = {"metric": "mean_absolute_error"}
    if len(truth) < settings.performance.minimum_labelled_rows or not len(held_out):
        return [judgement | {"judged": False, "hit": False}]
    errors = np.abs(said - truth)
    now, then = float(errors.mean()), float(held_out.mean())
    half = fairness_figures.normal_quantile(_LEVEL) * math.sqrt(
        float(errors.var()) / len(errors) + float(held_out.var()) / len(held_out)
    )
    low, high = now - then - half, now - then + half
    hit = low > _LARGEST_RISE * then
    return [
        judgement
        | {"value": now, "reference": then, "change": now - then, "low": low, "high": high}
        | {"judged": True, "hit": hit}
    ]


def _rates(rows: Answered) -> dict[str, tuple[int, int]]:
    labels, said = rows.labels, rows.predicted
    rates = {"accuracy": (int((labels == said).sum()), len(labels))}
    if rows.positive is not None:
        for place, by_truth, by_said in (
            (rows.positive, "recall", "precision"),
            (1 - rows.positive, "specificity", "negative_predictive_value"),
        ):
            both = int(((labels == place) & (said == place)).sum())
            rates[by_truth] = both, int((labels == place).sum())
            rates[by_said] = both, int((said == place).sum())
    return rates


def _held_out(watched: Watched) -> Answered:
    """The labelled, answered rows of the bundle's reference."""
    answers, manifest = watched.reference.answers, watched.manifest
    rows = len(answers.scores)
    labels = np.full(rows, -1) if answers.labels is None else answers.labels.astype(np.int64)
    predicted = np.zeros(rows, np.int64) if answers.predicted is None else answers.predicted
    known = (labels >= 0) & ~watched.reference.abstained
    if answers.predicted is None:
        known = np.zeros(rows, np.bool_)
    given = answers.probabilities if len(manifest.classes) > 2 else None
    return Answered(
        labels=labels[known],
        predicted=predicted[known].astype(np.int64),
        scores=answers.scores[known],
        probabilities=None if given is None else given[known],
        classes=len(manifest.classes),
        positive=positive_of(manifest),
    )


def held_out_metrics(watched: Watched, bound: float | None) -> Figures:
    """The metrics of the bundle's held-out rows, none where there are none; ``bound`` as of `area`."""
    if watched.manifest.task == "regression":
        truth, said = _held_out_values(watched)
        return performance_figures.regression(truth, said) if len(truth) else {}
    rows = _held_out(watched)
    if not len(rows.labels):
        return {}
    return performance_figures.classification(rows) | performance_figures.area(rows, bound)


def held_out_errors(watched: Watched) -> npt.NDArray[np.float64]:
    """The absolute errors of the labelled, answered rows of the bundle's reference."""
    truth, said = _held_out_values(watched)
    return np.abs(said - truth)


def _held_out_values(watched: Watched) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Labels, and what was said, of the labelled, answered rows of the bundle's reference."""
    answers = watched.reference.answers
    if answers.labels is None:
        return np.zeros(0), np.zeros(0)
    labels = answers.labels.astype(np.float64)
    known = ~np.isnan(labels) & ~watched.reference.abstained
    return labels[known], answers.scores[known].astype(np.float64)
