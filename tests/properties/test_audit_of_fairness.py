"""The gaps and errors the monitors publish, the audit finds in the rows; another pair or sum it names."""

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atalaia.auditing import fairness_figures, group_gaps
from atalaia.auditing.comparison import mismatches
from atalaia.auditing.error_groups import Answers, described
from atalaia.auditing.fairness_figures import Decided, Members
from atalaia.auditing.published import latest
from atalaia.bundles.manifest import Manifest
from atalaia.records import Label
from atalaia.statistics.fairness import Fairness
from atalaia.statistics.gaps import ALERTABLE, Gap, Rule
from atalaia.statistics.group_errors import GroupErrors
from atalaia.statistics.groups import Attribute
from atalaia.topics import FAIRNESS, PERFORMANCE
from tests.properties import test_truth_monitor as truth
from tests.properties.test_audit_of_monitors import labels_of, published_by_truth, recount, told_by, wrong
from tests.unit.monitors.truth.truth_log import Bundles, Told, manifest_of

VALUES: dict[Any, Any] = {"no": 0.25, "yes": 1.5}
"""What a label of a classifier is to a regressor."""


@st.composite
def decided(draw: st.DrawFn, *, large: bool = False) -> Decided:
    """Rows of up to five groups, of which some are alike and some have labels of one kind alone."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size_of = st.sampled_from([40, 90] if large else [1, 8, 40, 40, 90])
    sizes = draw(st.lists(size_of, min_size=2 if large else 1, max_size=5))
    shown = [draw(st.sampled_from([1.0, 0.4] if large else [1.0, 1.0, 0.4, 0.0])) for _ in sizes]
    favoured = [draw(st.sampled_from([0.0, 0.3, 0.5, 0.9])) for _ in sizes]
    columns: dict[str, list[Any]] = {name: [] for name in ("sex", "flagged", "truth", "abstained")}
    for place, size in enumerate(sizes):
        columns["sex"] += [f"g{place}"] * size
        columns["flagged"] += (np.arange(size) < favoured[place] * size).tolist()
        known = random.uniform(size=size) < shown[place]
        columns["truth"] += np.where(known, random.integers(0, 2, size), -1).tolist()
        columns["abstained"] += (random.uniform(size=size) < 0.1).tolist()
    return Decided(
        {"sex": columns["sex"]},
        np.array(columns["flagged"], np.bool_),
        np.array(columns["truth"], np.int64),
        np.array(columns["abstained"], np.bool_),
    )


def told_gaps(rows: Decided, rule: Rule) -> dict[str, list[dict[str, Any]]]:
    """What the monitors' own statistic says, by metric."""
    watch = Fairness([Attribute("sex")], rule=rule)
    sex = np.array(rows.attributes["sex"], np.object_)
    counts = watch.count({"sex": sex}, flagged=rows.flagged, truth=rows.truth, abstained=rows.abstained)
    answer: dict[str, list[dict[str, Any]]] = {}
    for gap in watch.result(counts).gaps:
        figures = {name: getattr(gap, name) for name in Gap.__slots__}
        answer.setdefault(gap.metric, []).append({**figures, "between": list(gap.between)})
    return answer


def differing(metric: str, members: Members, told: list[dict[str, Any]], rule: Rule) -> bool:
    own = fairness_figures.Rule(**dataclasses.asdict(rule))
    return bool(list(mismatches(told, group_gaps.expected(metric, members, told, own))))


@settings(deadline=None, max_examples=150)
@given(decided(), st.sampled_from([Rule(), Rule(rows=5, outcomes=1, may_alert=ALERTABLE)]))
def test_the_widest_and_the_surest_pair_are_told_and_no_others(rows: Decided, rule: Rule) -> None:
    members = fairness_figures.groups(rows, depth=1)["sex"]
    gaps = told_gaps(rows, rule)
    assert gaps.keys() == set(group_gaps.METRICS)
    for metric, told in gaps.items():
        assert not differing(metric, members, told, rule), metric
        assert differing(metric, members, [], rule)
        assert differing(metric, members, [*told, told[-1]], rule)
        if told[0]["value"] is None:
            continue
        assert differing(metric, members, [{**told[0], "value": told[0]["value"] + 1e-6}, *told[1:]], rule)
        if len(told) == 2:
            assert differing(metric, members, told[::-1], rule)
            assert differing(metric, members, told[:1], rule) or told[0]["low"] == told[1]["low"]


@settings(deadline=None, max_examples=15)  # fairlearn takes a quarter of a second each
@given(decided(large=True))
def test_equalised_odds_are_those_of_fairlearn(rows: Decided) -> None:
    known = (rows.truth >= 0) & ~rows.abstained
    sex = np.array(rows.attributes["sex"], np.object_)[known]
    kept = Decided({"sex": sex.tolist()}, rows.flagged[known], rows.truth[known], rows.abstained[known])
    both = [set(kept.truth[sex == name].tolist()) == {0, 1} for name in set(sex.tolist())]
    assume(all(both))  # fairlearn calls a rate without rows 0
    members = fairness_figures.groups(kept, depth=1)["sex"]
    gaps, rule = told_gaps(kept, Rule()), fairness_figures.Rule(**dataclasses.asdict(Rule()))
    given_ = {"y_true": kept.truth, "y_pred": kept.flagged.astype(int), "sensitive_features": sex}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = fairlearn.equalized_odds_difference(**given_)
        ratio = fairlearn.equalized_odds_ratio(**given_)
    found = group_gaps.expected("equalized_odds_difference", members, gaps["equalized_odds_difference"], rule)
    assert found[0]["value"] == pytest.approx(expected, abs=1e-12)
    found = group_gaps.expected("equalized_odds_ratio", members, gaps["equalized_odds_ratio"], rule)
    if found[0]["value"] is None:
        assert np.isnan(ratio)
    elif not np.isnan(ratio):
        assert found[0]["value"] == pytest.approx(ratio, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 3))
def test_errors_of_groups_and_intersections_are_those_of_the_monitor(seed: int, n: int, depth: int) -> None:
    random = np.random.default_rng(seed)
    names = ("sex", "age", "site")
    told = {name: random.choice(["a", "b", "missing"], n).tolist() for name in names}
    labels = np.where(
        random.uniform(size=n) < 0.3, np.nan, random.normal(size=n) * 10.0 ** random.integers(9)
    )
    said, abstained = random.normal(size=n).astype(np.float32), random.uniform(size=n) < 0.2
    watch = GroupErrors([Attribute(name) for name in names], depth=depth)
    columns = {name: np.array(values, np.object_) for name, values in told.items()}
    counts = watch.count(columns, labels=labels, predicted=said.astype(np.float64), abstained=abstained)
    published = [dataclasses.asdict(group) for group in watch.result(counts)]
    answers = Answers(told, said, labels, ~np.isnan(labels) & ~abstained, abstained, classes=False)
    found = list(described(answers, depth=depth))

    def ordered(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(groups, key=lambda entry: sorted(entry["group"].items()))

    assert not list(mismatches(ordered(published), ordered(found)))


def of_values(log: truth.Log) -> truth.Log:
    """The same log of a regressor."""

    def changed(label: Label) -> Label:
        return Label(label.id, VALUES.get(label.label, label.label), label.row, label.time, label.context)

    told = [
        Told(tuple(changed(label) for label in message.labels), message.written_ms, message.mark)
        for message in log.truth
    ]
    return dataclasses.replace(log, truth=told, regression=True)


@pytest.mark.parametrize("classes", [(), ("no", "yes", "maybe")])
@settings(deadline=None, max_examples=20)
@given(log=truth.logs())
def test_errors_by_group_are_what_rows_and_labels_come_to(log: truth.Log, classes: tuple[str, ...]) -> None:
    def version(number: str) -> Manifest:
        return manifest_of(classes=classes, version=number)

    log = log if classes else of_values(log)
    bundles = Bundles.of(version("1"), version("2"))
    results = published_by_truth(truth.read(log, kills=True, bundles=bundles))
    assert not wrong(recount(results, log.messages, bundles, labels_of(log.truth)))
    told = told_by(results, PERFORMANCE.name, FAIRNESS.name)
    last = list(latest(results).values())
    assert not wrong(recount(last, log.messages, bundles, labels_of(log.truth), reached=told))
    errors = [entry for one in results for entry in one.body.get("errors", [])]
    assert all(("accuracy" in entry) == bool(classes) for entry in errors)
    assert errors or not any(one.place.monitor == "fairness" for one in results)
