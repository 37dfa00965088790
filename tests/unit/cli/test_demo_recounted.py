"""Fairness counted again: as fairlearn and SciPy count it, and as it is published."""

from collections.abc import Callable
from typing import Any

import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats.contingency import relative_risk

from atalaia.demo.recounted import compare, differing, tally
from tests.unit.cli.demo_people import people, published

Record = dict[str, Any]
RATES = {
    "flag_rate": fairlearn.selection_rate,
    "tpr": fairlearn.true_positive_rate,
    "tnr": fairlearn.true_negative_rate,
    "fpr": fairlearn.false_positive_rate,
    "fnr": fairlearn.false_negative_rate,
}


def test_rates_of_groups_are_those_of_fairlearn() -> None:
    rows = people()
    answered = rows.take(~rows.abstained)
    compared = 0
    for name, members in tally(rows).items():
        values = zip(*(answered.attributes[one].tolist() for one in name.split(" & ")), strict=True)
        frame = fairlearn.MetricFrame(
            metrics=RATES,
            y_true=answered.truth,
            y_pred=answered.flagged,
            sensitive_features=[" & ".join(several) for several in values],
        )
        assert set(members) == set(frame.by_group.index)
        for (group, counted), rate in ((one, rate) for one in members.items() for rate in RATES):
            successes, trials = counted.rates[rate]
            if trials:  # fairlearn calls a rate without any 0
                assert successes / trials == pytest.approx(frame.by_group.loc[group, rate], abs=1e-12)
                compared += 1
    assert compared > 100


def test_the_widest_gaps_are_those_of_fairlearn_and_the_interval_of_a_ratio_is_that_of_scipy() -> None:
    rows = people()
    answered = rows.take(~rows.abstained)
    given = answered.truth, answered.flagged
    figures = {name: counted for name, _, counted in compare(published(rows), rows)}
    for metric, function in (
        ("flag_rate_difference", fairlearn.demographic_parity_difference),
        ("flag_rate_ratio", fairlearn.demographic_parity_ratio),
        ("equalized_odds_difference", fairlearn.equalized_odds_difference),
        ("equalized_odds_ratio", fairlearn.equalized_odds_ratio),
        ("tpr_difference", fairlearn.equal_opportunity_difference),
    ):
        expected = function(*given, sensitive_features=answered.attributes["sex"].tolist())
        assert figures[f"widest {metric} by sex"] == pytest.approx(expected, abs=1e-12)
    women, men = (tally(rows)["sex"][sex].rates["flag_rate"] for sex in "FM")
    bounds = relative_risk(*women, *men).confidence_interval(0.999)
    assert figures["flag_rate_ratio by sex low"] == pytest.approx(bounds.low, abs=1e-9)
    assert figures["flag_rate_ratio by sex high"] == pytest.approx(bounds.high, abs=1e-9)


@given(rows=st.integers(1, 80), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_whatever_the_rows_all_that_is_published_of_them_is_counted_alike(rows: int, seed: int) -> None:
    some = people(rows, seed)
    figures = compare(published(some), some)
    assert differing(figures) == []
    assert len(figures) > 100


def _group(field: str, by: float) -> Callable[[Record], None]:
    def change(result: Record) -> None:
        result["groups"][1][field] = result["groups"][1][field] + by

    return change


def _gap(field: str) -> Callable[[Record], None]:
    def change(result: Record) -> None:
        gap = next(gap for gap in result["gaps"] if gap["metric"] == "tpr_difference")
        gap[field] += 2e-9

    return change


def _bound(result: Record) -> None:
    result["groups"][0]["intervals"]["tpr"][1] -= 2e-9


def _one_group_less(result: Record) -> None:
    del result["groups"][-1]


def _another_group(result: Record) -> None:
    result["groups"][0]["group"]["sex"] = "X"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_group("tp", 1), "M tp"),
        (_group("labelled", -1), "M labelled"),
        (_group("prevalence", 2e-9), "M prevalence"),
        (_bound, "F tpr high"),
        (_gap("value"), "tpr_difference by sex value"),
        (_gap("low"), "tpr_difference by sex low"),
        (_gap("value"), "widest tpr_difference by sex"),
        (_one_group_less, "groups"),
        (_another_group, "X n"),
    ],
)
def test_a_figure_that_is_off_is_named(change: Callable[[Record], None], found: str) -> None:
    rows = people()
    result = published(rows)
    change(result)
    assert found in [words.partition(":")[0] for words in differing(compare(result, rows))]


def test_a_gap_that_is_right_but_not_the_widest_is_named() -> None:
    rows = people()
    result = published(rows)
    subject = "flag_rate_difference by race"
    gap = next(gap for gap in result["gaps"] if f"{gap['metric']} by {gap['attribute']}" == subject)
    members = tally(rows)["race"]
    (middle,) = set(members) - set(gap["between"])
    gap["between"][1] = middle
    result["gaps"] = [gap]
    counted = {name: figure for name, _, figure in compare(result, rows)}
    gap.update({field: counted[f"{subject} {field}"] for field in ("value", "low", "high")})
    (found,) = differing(compare(result, rows))
    assert found.startswith(f"widest {subject}: ")
