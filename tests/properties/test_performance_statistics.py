"""Counts merge, split, reorder and are taken back to the last bit; metrics are the reference libraries'."""

import itertools
import math
import warnings
from collections.abc import Iterator
from functools import reduce

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from atalaia.statistics import calibration, groups, regression
from atalaia.statistics.fairness import Fairness, FairnessResult
from atalaia.statistics.group_errors import GroupErrors
from atalaia.statistics.groups import Attribute, Counts
from atalaia.statistics.performance import Classification
from atalaia.statistics.sums import UNIT, WIDE, logarithm

Columns = dict[str, np.ndarray]

SEEDS = st.integers(0, 2**32 - 1)
FINITE = st.floats(-1e40, 1e40, allow_nan=False)


@st.composite
def classified(draw: st.DrawFn, *, classes: int | None = None, labelled: bool = False) -> tuple[int, Columns]:
    """Rows of a classifier of two to five classes: some unlabelled, some abstained, some certain."""
    if classes is None:
        classes = draw(st.integers(2, 5))
    rows = draw(st.integers(1, 120))
    generator = np.random.default_rng(draw(SEEDS))
    sharpness = draw(st.sampled_from([0.02, 0.3, 1.0, 5.0]))
    probabilities = generator.dirichlet(np.full(classes, sharpness), rows)
    if draw(st.booleans()):
        probabilities = np.round(probabilities, 1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(classes, p=row) for row in probabilities])
    if not labelled:
        labels = np.where(generator.random(rows) < 0.2, -1, labels)
    predicted = probabilities.argmax(axis=1)
    scores = probabilities[:, 1] if classes == 2 else probabilities.max(axis=1)
    abstained = np.zeros(rows, np.bool_) if labelled else generator.random(rows) < 0.1
    return classes, {
        "labels": labels,
        "predicted": predicted,
        "scores": scores,
        "probabilities": probabilities,
        "abstained": abstained,
    }


@st.composite
def cuts(draw: st.DrawFn, rows: int) -> list[np.ndarray]:
    """The rows in some order, in some number of parts, some of them empty."""
    order = np.random.default_rng(draw(SEEDS)).permutation(rows)
    edges = [0, *sorted(draw(st.lists(st.integers(0, rows), max_size=6))), rows]
    return [order[start:stop] for start, stop in itertools.pairwise(edges)]


def _taken(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _classified(model: Classification, columns: Columns) -> np.ndarray:
    return model.count(
        labels=columns["labels"],
        predicted=columns["predicted"],
        scores=columns["scores"],
        probabilities=columns["probabilities"],
        abstained=columns["abstained"],
    )


def _regressed(columns: Columns) -> np.ndarray:
    return regression.count(
        labels=columns["labels"], predicted=columns["predicted"], abstained=columns["abstained"]
    )


@given(given_=classified(), data=st.data())
@settings(deadline=None)
def test_a_classifiers_parts_add_up_in_any_order(given_: tuple[int, Columns], data: st.DataObject) -> None:
    classes, columns = given_
    model = Classification(classes=classes)
    whole = _classified(model, columns)
    parts = data.draw(cuts(len(columns["labels"])))
    merged = sum(_classified(model, _taken(columns, part)) for part in parts)
    assert np.array_equal(merged, whole)


@given(given_=classified(), data=st.data())
@settings(deadline=None)
def test_a_corrected_label_leaves_no_trace(given_: tuple[int, Columns], data: st.DataObject) -> None:
    classes, columns = given_
    model = Classification(classes=classes)
    row = np.array([data.draw(st.integers(0, len(columns["labels"]) - 1))])
    corrected = {**columns, "labels": columns["labels"].copy()}
    corrected["labels"][row] = data.draw(st.integers(-1, classes - 1))
    state = _classified(model, columns)
    state = state - _classified(model, _taken(columns, row))
    state = state + _classified(model, _taken(corrected, row))
    assert np.array_equal(state, _classified(model, corrected))


@given(given_=classified())
@settings(deadline=None)
def test_abstained_and_unlabelled_rows_take_part_in_no_metric(given_: tuple[int, Columns]) -> None:
    classes, columns = given_
    model = Classification(classes=classes)
    used = _taken(columns, ~columns["abstained"] & (columns["labels"] >= 0))
    assert model.metrics(_classified(model, columns)) == model.metrics(_classified(model, used))


@given(given_=classified(labelled=True))
@settings(deadline=None, max_examples=200)
def test_a_classifiers_metrics_are_scikit_learns(given_: tuple[int, Columns]) -> None:
    classes, columns = given_
    labels, predicted, scores = columns["labels"], columns["predicted"], columns["scores"]
    probabilities, every = columns["probabilities"], range(classes)
    model = Classification(classes=classes)
    state = _classified(model, columns)
    found = model.metrics(state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes not predicted, not there, or alone
        matrix = sklearn.confusion_matrix(labels, predicted, labels=every)
        expected = {
            "accuracy": sklearn.accuracy_score(labels, predicted),
            "balanced_accuracy": sklearn.balanced_accuracy_score(labels, predicted),
            "log_loss": sklearn.log_loss(labels, probabilities, labels=every),
        }
        for average in ("macro", "weighted"):
            three = sklearn.precision_recall_fscore_support(
                labels, predicted, average=average, zero_division=0.0
            )
            for name, value in zip(("precision", "recall", "f1"), three, strict=False):
                expected[f"{name}_{average}"] = value
        truth = labels if classes > 2 else labels == 1
        given_as = probabilities if classes > 2 else scores
        among = every if classes > 2 else None
        expected["brier_score_loss"] = sklearn.brier_score_loss(truth, given_as, labels=among)
        correlation = sklearn.matthews_corrcoef(labels, predicted)
    assert np.array_equal(model.confusion_matrix(state), matrix)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if found["matthews_corrcoef"] is None:
        assert len(set(labels)) == 1 or len(set(predicted)) == 1
    else:
        assert found["matthews_corrcoef"] == pytest.approx(correlation, abs=1e-12)


@given(given_=classified(classes=2, labelled=True))
@settings(deadline=None, max_examples=200)
def test_the_metrics_of_two_classes_are_scikit_learns(given_: tuple[int, Columns]) -> None:
    _, columns = given_
    labels, predicted, scores = columns["labels"], columns["predicted"], columns["scores"]
    model = Classification(classes=2)
    found = model.metrics(model.count(labels=labels, predicted=predicted, scores=scores))
    nan = float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        three = sklearn.precision_recall_fscore_support(
            labels, predicted, average="binary", zero_division=nan
        )
    for name, value in zip(("precision", "recall", "f1"), three, strict=False):
        assert found[name] == (None if math.isnan(value) else pytest.approx(value, rel=1e-12))
    if found["roc_auc"] is None or found["roc_auc_bound"] is None:
        assert len(set(labels)) == 1
    else:
        exact = sklearn.roc_auc_score(labels, scores)
        assert abs(found["roc_auc"] - exact) <= found["roc_auc_bound"] + 1e-12


@given(given_=classified(classes=2, labelled=True))
@settings(deadline=None)
def test_float32_is_clipped_as_scikit_learn_clips_it(given_: tuple[int, Columns]) -> None:
    _, columns = given_
    scores = columns["scores"].astype(np.float32)
    probabilities = np.column_stack([1 - scores, scores])
    model = Classification(classes=2)
    found = model.metrics(
        model.count(
            labels=columns["labels"],
            predicted=columns["predicted"],
            scores=scores,
            probabilities=probabilities,
        )
    )
    expected = sklearn.log_loss(columns["labels"], probabilities, labels=[0, 1])
    assert found["log_loss"] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@st.composite
def regressed(draw: st.DrawFn) -> Columns:
    rows = draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(SEEDS))
    labels = generator.normal(
        draw(st.sampled_from([0.0, 5.0, 1e6])), draw(st.sampled_from([1e-3, 1.0, 1e9])), rows
    )
    predicted = labels + generator.normal(0, 0.5, rows) * np.abs(labels).mean()
    odd = generator.random(rows) < 0.1
    labels[odd] = draw(st.lists(FINITE, min_size=1, max_size=1))[0]
    if draw(st.booleans()):
        labels[generator.random(rows) < 0.2] = np.nan
    return {"labels": labels, "predicted": predicted, "abstained": generator.random(rows) < 0.1}


@given(columns=regressed(), data=st.data())
@settings(deadline=None)
def test_a_regressors_parts_add_up_in_any_order_and_are_taken_back(
    columns: Columns, data: st.DataObject
) -> None:
    whole = _regressed(columns)
    parts = [_regressed(_taken(columns, part)) for part in data.draw(cuts(len(columns["labels"])))]
    assert np.array_equal(sum(parts), whole)
    assert np.array_equal(whole - parts[0], sum(parts[1:], np.zeros_like(whole)))


@given(columns=regressed())
@settings(deadline=None)
def test_abstained_and_unlabelled_rows_take_part_in_no_error(columns: Columns) -> None:
    used = _taken(columns, ~columns["abstained"] & ~np.isnan(columns["labels"]))
    assert regression.metrics(_regressed(columns)) == regression.metrics(_regressed(used))


@given(columns=regressed())
@settings(deadline=None, max_examples=200)
def test_a_regressors_metrics_are_scikit_learns(columns: Columns) -> None:
    used = ~columns["abstained"] & ~np.isnan(columns["labels"])
    assume(used.any())
    labels, predicted = columns["labels"][used], columns["predicted"][used]
    found = regression.metrics(_regressed(columns))
    expected = {
        "mean_absolute_error": sklearn.mean_absolute_error(labels, predicted),
        "root_mean_squared_error": sklearn.root_mean_squared_error(labels, predicted),
    }
    if (labels != 0).all():
        percentage = sklearn.mean_absolute_percentage_error(labels, predicted)
        expected["mean_absolute_percentage_error"] = percentage
    else:
        assert found["mean_absolute_percentage_error"] is None
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert found["bias"] == pytest.approx(
        (predicted - labels).mean(), rel=1e-9, abs=1e-9 * np.abs(labels).max()
    )
    if len(set(labels.tolist())) > 1:
        assert found["r2_score"] == pytest.approx(sklearn.r2_score(labels, predicted), rel=1e-6, abs=1e-6)


@st.composite
def grouped(draw: st.DrawFn, *, labelled: bool = False) -> Columns:
    rows = draw(st.integers(1, 200))
    generator = np.random.default_rng(draw(SEEDS))
    sexes = np.array(["F", "M", "X", None], object)[: draw(st.integers(1, 4))]
    truth = generator.integers(0 if labelled else -1, 2, rows)
    return {
        "sex": sexes[generator.integers(0, len(sexes), rows)],
        "age": np.where(generator.random(rows) < 0.1, np.nan, generator.uniform(18, 90, rows)),
        "flagged": generator.random(rows) < draw(st.sampled_from([0.0, 0.3, 0.9])),
        "truth": truth,
        "abstained": np.zeros(rows, np.bool_) if labelled else generator.random(rows) < 0.1,
    }


WATCH = Fairness([Attribute("sex"), Attribute("age", bands=(30.0, 50.0, 70.0))])


def _counted(columns: Columns) -> Counts:
    return WATCH.count(
        {name: columns[name] for name in ("sex", "age")},
        flagged=columns["flagged"],
        truth=columns["truth"],
        abstained=columns["abstained"],
    )


def _same(first: Counts, second: Counts) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


@given(columns=grouped(), data=st.data())
@settings(deadline=None)
def test_groups_add_up_in_any_order_and_are_taken_back(columns: Columns, data: st.DataObject) -> None:
    whole = _counted(columns)
    parts = [_counted(_taken(columns, part)) for part in data.draw(cuts(len(columns["sex"])))]
    nothing: Counts = {}
    assert _same(reduce(groups.add, parts, nothing), whole)
    assert _same(groups.subtract(whole, parts[0]), reduce(groups.add, parts[1:], nothing))
    assert groups.subtract(whole, whole) == {}


@given(columns=grouped(labelled=True))
@settings(deadline=None, max_examples=12)  # fairlearn takes a quarter of a second each
def test_groups_and_gaps_are_fairlearns(columns: Columns) -> None:
    result = WATCH.result(_counted(columns))
    sensitive = {
        "sex": [value or "missing" for value in columns["sex"].tolist()],
        "age": [_band(value) for value in columns["age"].tolist()],
    }
    truth, flagged = columns["truth"], columns["flagged"].astype(np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for attribute, features in (
            ("sex", sensitive["sex"]),
            ("age", sensitive["age"]),
            (
                "sex & age",
                [" & ".join(both) for both in zip(sensitive["sex"], sensitive["age"], strict=True)],
            ),
        ):
            _check_groups(result, attribute, truth, flagged, features)
            _check_gaps(result, attribute, truth, flagged, features)


def _check_groups(
    result: FairnessResult, attribute: str, truth: np.ndarray, flagged: np.ndarray, features: list[str]
) -> None:
    rates = {
        "n": fairlearn.count,
        "flag_rate": fairlearn.selection_rate,
        "tpr": fairlearn.true_positive_rate,
        "tnr": fairlearn.true_negative_rate,
        "fpr": fairlearn.false_positive_rate,
        "fnr": fairlearn.false_negative_rate,
        "accuracy": sklearn.accuracy_score,
    }
    expected = fairlearn.MetricFrame(
        metrics=rates, y_true=truth, y_pred=flagged, sensitive_features=features
    ).by_group
    found = {
        " & ".join(group.group.values()): group
        for group in result.groups
        if " & ".join(group.group) == attribute
    }
    assert set(found) == set(expected.index)
    for name, group in found.items():
        for rate in rates:
            value = getattr(group, rate)
            if value is None:  # fairlearn calls a rate without a denominator 0
                outcome = 1 if rate in {"tpr", "fnr"} else 0
                assert group.labelled == 0 or outcome not in set(truth[np.array(features) == name])
            else:
                assert value == pytest.approx(expected.loc[name, rate], abs=1e-12)


def _check_gaps(
    result: FairnessResult, attribute: str, truth: np.ndarray, flagged: np.ndarray, features: list[str]
) -> None:
    widest: dict[str, float | None] = {}
    for gap in result.gaps:
        if gap.attribute == attribute:
            widest.setdefault(gap.metric, gap.value)
    if len(set(features)) < 2:
        assert set(widest.values()) == {None}
        return
    everyone = all({0, 1} <= set(truth[np.array(features) == name].tolist()) for name in set(features))
    if flagged.any():
        expected = fairlearn.demographic_parity_ratio(truth, flagged, sensitive_features=features)
        assert widest["flag_rate_ratio"] == pytest.approx(expected, abs=1e-12)
    for metric, function in (
        ("flag_rate_difference", fairlearn.demographic_parity_difference),
        ("equalized_odds_difference", fairlearn.equalized_odds_difference),
        ("tpr_difference", fairlearn.equal_opportunity_difference),
    ):
        if everyone or metric == "flag_rate_difference":  # else a rate is undefined, which fairlearn calls 0
            assert widest[metric] == pytest.approx(
                function(truth, flagged, sensitive_features=features), abs=1e-12
            )


def _band(age: float) -> str:
    if math.isnan(age):
        return "missing"
    return "<30" if age < 30 else "[30, 50)" if age < 50 else "[50, 70)" if age < 70 else ">=70"


@given(columns=regressed(), data=st.data())
@settings(deadline=None)
def test_errors_by_group_add_up_and_are_taken_back(columns: Columns, data: st.DataObject) -> None:
    watch = GroupErrors([Attribute("sex")])
    sex = np.random.default_rng(0).choice(["F", "M"], len(columns["labels"])).astype(object)

    def counted(rows: np.ndarray) -> Counts:
        taken = _taken(columns, rows)
        return watch.count(
            {"sex": sex[rows]},
            labels=taken["labels"],
            predicted=taken["predicted"],
            abstained=taken["abstained"],
        )

    parts = [counted(part) for part in data.draw(cuts(len(sex)))]
    whole, nothing = counted(np.arange(len(sex))), dict[groups.Key, np.ndarray]()
    assert _same(reduce(groups.add, parts, nothing), whole)
    assert groups.subtract(whole, whole) == {}


@given(values=st.lists(st.floats(-1e60, 1e60, allow_subnormal=False), max_size=50), seed=SEEDS)
def test_wide_sums_are_those_of_fsum_in_any_order(values: list[float], seed: int) -> None:
    values = [value if abs(value) > 1e-50 else 0.0 for value in values]
    numbers = np.array(values)
    digits = WIDE.count(numbers)
    assert WIDE.total(digits) == math.fsum(values)
    shuffled = np.random.default_rng(seed).permutation(numbers)
    assert np.array_equal(WIDE.count(shuffled), digits)


@given(values=st.lists(st.one_of(st.floats(0, 1, width=32), st.floats(0, 40)), max_size=50))
def test_sums_of_about_one_lose_nothing_that_matters(values: list[float]) -> None:
    found = UNIT.total(UNIT.count(np.array(values)))
    assert found == pytest.approx(math.fsum(values), rel=1e-15, abs=1e-25)


def _codes(rows: int, cells: int) -> Iterator[int]:
    return itertools.islice(itertools.cycle(range(cells)), rows)


@given(values=st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=60), cells=st.integers(1, 5))
def test_sums_by_code_are_the_sums_of_each_code(values: list[float], cells: int) -> None:
    numbers = np.array(values)
    codes = np.fromiter(_codes(len(values), cells), np.int64, len(values))
    for sums in (WIDE, UNIT):
        together = sums.count(numbers, codes, cells).reshape(cells, sums.limbs)
        for cell in range(cells):
            assert np.array_equal(together[cell], sums.count(numbers[codes == cell]))


@given(values=st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=50))
def test_logarithms_are_within_two_units_of_the_last_place(values: list[float]) -> None:
    numbers = np.array(values)
    expected = np.array([math.log(value) for value in values])
    assert (np.abs(logarithm(numbers) - expected) <= 2 * np.spacing(np.abs(expected))).all()
    assert logarithm(numbers[:1])[0] == logarithm(numbers)[0]


@given(given_=classified(classes=2, labelled=True), data=st.data())
@settings(deadline=None)
def test_calibration_adds_up(given_: tuple[int, Columns], data: st.DataObject) -> None:
    _, columns = given_
    events = columns["labels"] == 1
    whole = calibration.count(columns["scores"], events)
    parts = data.draw(cuts(len(events)))
    merged = sum(calibration.count(columns["scores"][part], events[part]) for part in parts)
    assert np.array_equal(merged, whole)
