"""What a window of `performance` or of `fairness` comes to, from its rows and their labels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing import drift_figures, fairness_figures, performance_figures
from atalaia.auditing.gathered import Labelled, Selection, attribute_values, column, values
from atalaia.auditing.performance_figures import Answered
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.units import Watched
from atalaia.records import ModelObservation

Figures = dict[str, Any]
AnyArray = npt.NDArray[Any]

_LEVEL = 0.999
_FEWEST_ROWS = 30
_LEAST_SHIFT = 0.02
_LARGEST_RISE = 0.10
_LABEL_STEPS = 256


def unknown_truth(manifest: Manifest) -> Any:
    """What stands for a label that is not known."""
    return math.nan if manifest.task == "regression" else -1


def counted(rows: Labelled) -> Figures:
    """Rows by what became of them, which is enough to tell which rows a result is of."""
    return {"n": int((~rows.abstained).sum()), "labelled": int(rows.known.sum())}


def performance(
    selection: Selection, rows: Labelled, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> Figures:
    """All of a result that follows from its rows; ``body`` is the result, for what it says of its bounds."""
    manifest = watched.manifest
    figures = counted(rows)
    figures |= {
        "abstained": int(rows.abstained.sum()),
        "coverage": figures["labelled"] / figures["n"] if figures["n"] else None,
        "delay": performance_figures.delays(rows.waited_ms),
    }
    known, scores = rows.known, column(selection, lambda section: section.score.numpy())
    if manifest.task == "regression":
        truth, said = rows.truth[known], scores[known].astype(np.float64)
        figures["metrics"] = performance_figures.regression(truth, said)
        held_out = _held_out_errors(watched)
        figures["judgements"] = _rise(truth, said, held_out, settings) if body["why"] is None else []
        return figures | _label_drift(truth, watched, settings, body)
    predicted = column(selection, lambda section: _array(section.label))
    answered = Answered(
        labels=rows.truth[known].astype(np.int64),
        predicted=predicted[known].astype(np.int64),
        scores=scores[known],
        probabilities=_probabilities(selection, known, manifest),
        classes=len(manifest.classes),
        positive=_positive(manifest),
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
        figures["judgements"] = _judgements(answered, watched, settings, uneven=uneven)
    names = np.array([str(name) for name in manifest.classes], np.object_)
    return figures | _label_drift(names[answered.labels], watched, settings, body)


def fairness(
    selection: Selection, rows: Labelled, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> tuple[Figures, Figures]:
    """Groups by their values and gaps by metric, attribute and pair, and what the result says of the same."""
    manifest, set_ = watched.manifest, settings.fairness
    attributes = protected(manifest, settings)
    n = len(rows.truth)
    told = {
        name: attribute_values(
            _context(selection, name),
            ((place, context.get(name)) for place, context in rows.contexts.items()),
            bands=bands,
            n=n,
        )
        for name, bands in attributes.items()
    }
    favourable = favourable_of(manifest, settings)
    if favourable is None:
        return counted(rows), {name: body[name] for name in ("n", "labelled")}
    flagged, truth = _decided(selection, rows, manifest, favourable)
    decided = fairness_figures.Decided(told, flagged, truth, rows.abstained)
    members = fairness_figures.groups(decided, depth=set_.depth)
    rule = fairness_figures.Rule(set_.may_alert, set_.difference, set_.ratio, set_.rows, set_.outcomes)
    groups = {
        _key(entry["group"]): entry
        for entry in (
            fairness_figures.described(name, key, group)
            for name, of_name in members.items()
            for key, group in of_name.items()
        )
    }
    expected = counted(rows) | {"groups": groups, "gaps": {}, "widest": {}}
    published = {name: body[name] for name in ("n", "labelled")}
    published |= {
        "groups": {_key(entry["group"]): entry for entry in body["groups"]},
        "gaps": {},
        "widest": {},
    }
    if len(groups) != len(body["groups"]):
        expected["number of groups"], published["number of groups"] = len(groups), len(body["groups"])
    for gap in body["gaps"]:
        _add_gap(gap, members, rule, expected, published, mature=body["why"] is None)
    return expected, published


def protected(manifest: Manifest, settings: MonitorSettings) -> dict[str, tuple[float, ...]]:
    """The protected attributes of a version and their bands: as set, else as its bundle declares them."""
    named = settings.fairness.attributes
    return {
        entry.name: tuple(entry.bands or ())
        for entry in manifest.context
        if (entry.protected if named is None else entry.name in named)
    }


def favourable_of(manifest: Manifest, settings: MonitorSettings) -> float | None:
    """The favourable class's place, or the least favourable value; None where there is none."""
    declared = settings.fairness.favourable
    if manifest.task == "regression":
        return float(declared) if isinstance(declared, int | float) else None
    chosen = manifest.positive_class if declared is None else declared
    return float(manifest.classes.index(chosen)) if chosen in manifest.classes else None


def _add_gap(
    gap: Mapping[str, Any],
    members: Mapping[str, fairness_figures.Members],
    rule: fairness_figures.Rule,
    expected: Figures,
    published: Figures,
    *,
    mature: bool,
) -> None:
    """Put a published gap, and what it should be, under one name."""
    metric, attribute = gap["metric"], gap["attribute"]
    if metric.startswith("equalized_odds") or attribute not in members:
        return  # the worse of two that are compared by themselves
    name = f"{metric} by {attribute}"
    if name not in published["widest"]:  # the first of a metric is the widest
        published["widest"][name] = gap["value"]
        expected["widest"][name] = fairness_figures.widest(metric, members[attribute])
    if gap["value"] is None:
        return
    found = fairness_figures.gap(metric, members[attribute], gap["between"], rule)
    if not mature:
        found |= {"judged": False, "hit": False}
    name = f"{name} between {' and '.join(gap['between'])}"
    published["gaps"][name], expected["gaps"][name] = gap, found


def _key(group: Mapping[str, str]) -> str:
    return " & ".join(f"{name}={value}" for name, value in sorted(group.items()))


def _decided(
    selection: Selection, rows: Labelled, manifest: Manifest, favourable: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    if manifest.task == "regression":
        said = column(selection, lambda section: section.score.numpy()).astype(np.float64)
        truth = np.where(np.isnan(rows.truth), -1, rows.truth >= favourable)
        return said >= favourable, truth.astype(np.int64)
    predicted = column(selection, lambda section: _array(section.label))
    truth = np.where(rows.truth < 0, -1, rows.truth == favourable)
    return predicted == favourable, truth.astype(np.int64)


def _context(selection: Selection, name: str) -> AnyArray | None:
    """A context column of the rows; missing in messages that lack it."""
    parts: list[AnyArray] = []
    for chunk, inside in selection:
        found = chunk.section.context.get(name)
        whole = np.full(len(inside), None, np.object_) if found is None else values(found)
        parts.append(whole[inside].astype(np.object_))
    return np.concatenate(parts) if parts else None


def _array(found: Any) -> AnyArray | None:
    return None if found is None else found.numpy()


def _probabilities(selection: Selection, known: npt.NDArray[np.bool_], manifest: Manifest) -> AnyArray | None:
    def read(section: ModelObservation) -> AnyArray | None:
        return _array(section.probabilities)

    if len(manifest.classes) <= 2 or any(read(chunk.section) is None for chunk, _ in selection):
        return None
    return column(selection, read)[known]


def _positive(manifest: Manifest) -> int | None:
    if len(manifest.classes) != 2:
        return None
    return 1 if manifest.positive_class is None else manifest.classes.index(manifest.positive_class)


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


def _judgements(
    rows: Answered, watched: Watched, settings: MonitorSettings, *, uneven: bool
) -> list[Figures]:
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


def _rise(
    truth: AnyArray, said: AnyArray, held_out: npt.NDArray[np.float64], settings: MonitorSettings
) -> list[Figures]:
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
        positive=_positive(manifest),
    )


def _held_out_errors(watched: Watched) -> npt.NDArray[np.float64]:
    answers = watched.reference.answers
    if answers.labels is None:
        return np.zeros(0)
    labels = answers.labels.astype(np.float64)
    known = ~np.isnan(labels) & ~watched.reference.abstained
    errors: npt.NDArray[np.float64] = np.abs(answers.scores[known].astype(np.float64) - labels[known])
    return errors


def _label_drift(
    labels: AnyArray, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> Figures:
    """The tests of the label that the result has."""
    if not body["drift"]:
        return {}
    sample, reference = _label_samples(labels, watched)
    tests = []
    for published in body["drift"]:
        found = drift_figures.measure(published["test"], sample, reference)
        tests.append({"test": published["test"]} | (found or {}))
    _adjust(tests, body["drift"], settings)
    return {"drift": tests}


def _adjust(
    tests: Sequence[Figures], published: Sequence[Mapping[str, Any]], settings: MonitorSettings
) -> None:
    """The p-values corrected for the family the result names."""
    family = [place for place, one in enumerate(published) if one["p_adjusted"] is not None]
    p_values = [tests[place]["p_value"] for place in family]
    for place, adjusted in zip(family, drift_figures.adjusted(p_values), strict=True):
        tests[place]["p_adjusted"] = adjusted
        large = drift_figures.is_large(tests[place], settings.drift.effect, settings.drift.ratio)
        tests[place]["hit"] = adjusted <= settings.drift.q and large


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
