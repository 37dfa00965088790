"""The audit finds whatever is not what the log says, and says of what it cannot tell any more why."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from atalaia.alerts import AlertEvent
from atalaia.auditing.drift_windows import run_of
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.promised import reached
from atalaia.auditing.published import Published, latest, order, read_result
from atalaia.auditing.recount import Checked, Recount
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import monitor_settings
from atalaia.monitors.units import Models
from atalaia.records import MonitorChange, Observation
from atalaia.topics import DRIFT, FAIRNESS, PERFORMANCE
from tests.unit.monitors.drift_log import HOUR, Bundles, Reader, make_watched, reach, section
from tests.unit.monitors.drift_log import message as drift_message
from tests.unit.monitors.truth import truth_log
from tests.unit.monitors.truth.truth_log import MINUTE, Row, Worker, clock, manifest_of, seen, told

START = 1_700_000_040_000
SETTINGS = {
    "minimum_window_rows": 50,
    "minimum_reference_rows": 100,
    "earlier": ["1h"],
    "detectors": [],
    "pane": "20m",
}


class Case:
    """A log, what was published of it, and what recounts it."""

    events: Sequence[AlertEvent] = ()

    def __init__(
        self, log: list[Observation], results: list[Published], models: Models, labels: LabelLog
    ) -> None:
        self.log, self.results, self.models, self.labels = log, results, models, labels

    def audit(self, results: list[Published] | None = None, **more: Any) -> list[Checked]:
        cuts = [order(one) for one in self.results]
        positions = reached({"all": cuts}).get("all")
        told_by = {} if positions is None else {one.place.monitor: positions for one in self.results}
        given = list(latest(self.results if results is None else results).values())
        recount = Recount(given, models=self.models, labels=self.labels, **{"reached": told_by, **more})
        for offset, observation in enumerate(self.log):
            recount.take(offset, observation)
        return recount.finish(len(self.log))

    def changed(self, change: Callable[[dict[str, Any]], None], at: int = -1) -> list[Published]:
        """The results with one of them changed."""
        results = list(self.results)
        body = msgspec.to_builtins(results[at].result)
        change(body)
        results[at] = read_result(results[at].place.monitor, msgspec.json.encode(body))
        return results


def drift_case() -> Case:
    watched = make_watched(drift=SETTINGS, rows=500)
    reader = Reader(Bundles({("m", "1"): watched}))
    log = []
    for hour in range(6):
        times = hour * HOUR + np.arange(120) * 20_000
        changed = hour >= 3
        rows = section(
            times,
            watched=watched,
            seed=hour,
            shift=1.5 * changed,
            partition=hour % 4,
            score=np.random.default_rng(hour).uniform(size=120) ** (4 if changed else 1),
        )
        log += [drift_message(rows), reach((hour + 1) * HOUR + 2 * 60_000)]
    for observation in log:
        reader.take(observation)
    results = [read_result(DRIFT.name, msgspec.json.encode(result)) for result in reader.results]
    case = Case(log, results, reader.bundles, LabelLog())
    case.events = reader.events
    return case


def truth_case(
    manifest: Manifest | None = None,
    sexes: Sequence[str] = ("F", "M"),
    *,
    rows: int = 60,
    told_of_others: float = 1.0,
    held_out: Any = None,
) -> Case:
    """Of a classifier of two classes, unless another version is given; of a regressor labels are numbers.

    Of rows that are not flagged a share is told, ``held_out`` are the labels of the reference.
    """
    manifest = manifest_of() if manifest is None else manifest
    regression, labels_told = not manifest.classes, manifest.classes or (-0.3, 0.1, 1.7)
    bundles = truth_log.Bundles.of(manifest, labels=held_out)
    worker, labels, log = Worker(bundles), LabelLog(), []
    random = np.random.default_rng(0)
    position = 0
    for minute in range(4):
        time_ms = START + minute * MINUTE
        several = [
            Row(
                f"{minute}-{place}",
                time_ms + place * 30_000 // rows,
                predicted=int(random.integers(0, 2)),
                score=float(random.choice([0.25, 0.75])),
                sex=str(random.choice(sexes)),
                abstained=place % 20 == 19,
            )
            for place in range(rows)
        ]
        truths = [
            told(row.id, random.choice(labels_told).item(), time_ms + 40_000)
            for row in several[:-5]
            if row.predicted == 1 or random.uniform() < told_of_others
        ]
        messages = [*truths, clock(time_ms + 59_000)]
        log.append(seen(time_ms + 30_000, *several, regression=regression))
        worker.say([log[-1]], messages)
        for entry in messages:
            if entry.mark is not None:
                labels.mark(position, entry.mark)
            else:
                value = msgspec.json.encode(list(entry.labels))
                labels.add("m", position, value, written_ms=entry.written_ms)
            position += 1
    for time_ms in (START + 9 * MINUTE, START + 10 * MINUTE):
        log.append(seen(time_ms))
        labels.mark(position, clock(time_ms).mark)  # type: ignore[arg-type]
        worker.say([log[-1]], [clock(time_ms)])
        position += 1
    results = [
        read_result(entry.topic.name, entry.value)
        for entry in worker.published
        if entry.topic in (PERFORMANCE, FAIRNESS)
    ]
    return Case(log, results, bundles, labels)


def found(checked: list[Checked]) -> list[str]:
    return [mismatch.path for one in checked for mismatch in one.mismatches]


def column(body: dict[str, Any], name: str = "a", test: str = "ks") -> dict[str, Any]:
    wanted = (column for column in body["columns"] if (column["column"], column["test"]) == (name, test))
    return next(wanted)


def test_what_the_monitors_say_is_found_again() -> None:
    for case in (drift_case(), truth_case()):
        checked = case.audit()
        assert len(checked) >= 4
        assert not found(checked)
        assert not [one for one in checked if one.reason]
    last = drift_case().results[-1].body
    assert last["drifted"]
    assert column(last)["drifted"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda body: body.update(n=body["n"] + 1), "n"),
        (lambda body: column(body).update(statistic=column(body)["statistic"] + 1e-6), "columns"),
        (lambda body: column(body).update(p_value=0.5), "columns"),
        (lambda body: column(body).update(p_adjusted=None), "columns"),
        (lambda body: column(body).update(n=1), "columns"),
        (lambda body: column(body).update(hit=False), "columns"),
        (lambda body: column(body, "score").update(effect=0.9), "columns"),
        (lambda body: column(body, "class", "chi2").update(statistic=3.0), "columns"),
        (lambda body: column(body).update(drifted=False), "drifted"),
        (lambda body: body["judged"].update(n=7), "judged"),
        (lambda body: body["judged"].update(hits=[]), "judged"),
        (lambda body: body["against_earlier"][0].update(statistic=0.9), "against_earlier"),
        (lambda body: body["against_earlier"].clear(), "against_earlier"),
        (lambda body: body["columns"].remove(column(body, test="psi")), "columns.length"),
        (lambda body: column(body).update(decides=False), "columns"),
        (lambda body: column(body)["grew"].update(share=column(body)["grew"]["share"] + 1e-6), "columns"),
        (lambda body: column(body)["shrank"].update(low=column(body)["grew"]["low"]), "columns"),
        (lambda body: column(body).update(grew=column(body)["shrank"]), "columns"),
        (lambda body: column(body).update(grew=None), "columns"),
        (lambda body: column(body).update(since="1970-01-01T03:20:00.000Z"), "columns"),
        (lambda body: column(body).update(since=None), "columns"),
        (lambda body: column(body, "class", "chi2")["grew"].update(category="yes"), "columns"),
        (lambda body: column(body, "class", "chi2").update(since="1970-01-01T03:20:00.000Z"), "columns"),
        (lambda body: column(body, test="psi").update(since="1970-01-01T03:00:00.000Z"), "columns"),
        (lambda body: body["judged"]["window"].update(start="1970-01-01T04:50:00.000Z"), "judged"),
    ],
)
def test_a_figure_of_drift_that_is_not_what_the_rows_say_is_named(
    change: Callable[[dict[str, Any]], None], path: str
) -> None:
    case = drift_case()
    named = found(case.audit(case.changed(change)))
    assert named
    assert all(one.startswith(path) for one in named), named


def gaps(body: dict[str, Any], metric: str) -> list[dict[str, Any]]:
    return [gap for gap in body["gaps"] if gap["metric"] == metric]


def find(case: Case, monitor: str) -> int:
    """The last result of a monitor."""
    return max(at for at, one in enumerate(case.results) if one.place.monitor == monitor)


@pytest.mark.parametrize(
    ("monitor", "change"),
    [
        ("performance", lambda body: body.update(labelled=body["labelled"] - 1)),
        ("performance", lambda body: body["metrics"].update(accuracy=0.123)),
        ("performance", lambda body: body["metrics"].update(roc_auc=0.999)),
        ("performance", lambda body: body["metrics"].update(brier_score_loss=0.5)),
        ("performance", lambda body: body["metrics"].update(f1_macro=None)),
        ("performance", lambda body: body["confusion_matrix"][0].__setitem__(0, 99)),
        ("performance", lambda body: body["delay"].update(p90_seconds=1.0)),
        ("performance", lambda body: body["weighted"].update(accuracy=0.1)),
        ("performance", lambda body: body.update(coverage=1.0)),
        ("fairness", lambda body: body.update(n=1)),
        ("fairness", lambda body: body["groups"][0].update(tp=99)),
        ("fairness", lambda body: body["groups"][0]["intervals"].update(tpr=[0.0, 1.0])),
        ("fairness", lambda body: body["groups"].pop()),
        ("fairness", lambda body: body["gaps"][0].update(value=0.77)),
        ("fairness", lambda body: body["gaps"][0].update(low=-0.99)),
        ("fairness", lambda body: body["gaps"].remove(gaps(body, "npv_ratio")[0])),
        ("fairness", lambda body: body["gaps"].append(gaps(body, "npv_ratio")[0])),
        ("fairness", lambda body: gaps(body, "fpr_difference")[0]["between"].reverse()),
        ("fairness", lambda body: gaps(body, "fpr_difference")[0].update(attribute="age")),
        ("fairness", lambda body: gaps(body, "equalized_odds_ratio")[0].update(value=0.5)),
        ("fairness", lambda body: gaps(body, "equalized_odds_difference")[0].update(high=0.5)),
        ("fairness", lambda body: gaps(body, "equalized_odds_difference")[0].update(hit=True)),
        ("fairness", lambda body: body["errors"].append({"group": {"sex": "F"}})),
    ],
)
def test_a_figure_of_truth_that_is_not_what_rows_and_labels_say_is_named(
    monitor: str, change: Callable[[dict[str, Any]], None]
) -> None:
    case = truth_case()
    checked = case.audit(case.changed(change, find(case, monitor)))
    assert found(checked)
    assert {one.place.monitor for one in checked if one.mismatches} == {monitor}


@pytest.mark.parametrize(
    ("classes", "change"),
    [
        ((), lambda errors: errors[0].update(bias=errors[0]["bias"] + 1e-6)),
        ((), lambda errors: errors[0].update(mean_absolute_error=errors[1]["mean_absolute_error"])),
        ((), lambda errors: errors[0].update(n=errors[0]["n"] - 1)),
        ((), lambda errors: errors.pop()),
        ((), lambda errors: errors.append(errors[0])),
        (("no", "yes", "maybe"), lambda errors: errors[0].update(accuracy=0.5)),
        (("no", "yes", "maybe"), lambda errors: errors[1].update(labelled=3)),
        (("no", "yes", "maybe"), lambda errors: errors[1].update(abstained=99)),
    ],
)
def test_an_error_of_a_group_that_is_not_what_the_rows_say_is_named(
    classes: tuple[str, ...], change: Callable[[list[dict[str, Any]]], None]
) -> None:
    case = truth_case(manifest_of(classes=classes))
    assert not found(case.audit())
    named = found(case.audit(case.changed(lambda body: change(body["errors"]), find(case, "fairness"))))
    assert named
    assert all(one.startswith("errors") for one in named), named


def test_an_alert_that_does_not_follow_from_what_has_drifted_is_named() -> None:
    case = drift_case()
    told_all: dict[str, Any] = {"reached": {DRIFT.name: (len(case.log), -1)}}
    firing = {event.fingerprint: event for event in case.events}
    assert not found(case.audit(alerts=firing, **told_all))
    assert found(case.audit(alerts={}, **told_all)) == ["alert"]
    over = {name: msgspec.structs.replace(event, status="resolved") for name, event in firing.items()}
    assert found(case.audit(alerts=over, **told_all)) == ["alert"]
    lapsed = {name: msgspec.structs.replace(event, reason="lapsed") for name, event in over.items()}
    assert not found(case.audit(alerts=lapsed, **told_all))


@pytest.mark.parametrize("make", [drift_case, truth_case])
def test_a_window_that_has_no_result_is_named(make: Callable[[], Case]) -> None:
    case = make()
    gone = case.results[0].place
    checked = case.audit([one for one in case.results if one.place != gone])
    assert [(one.place, one.published) for one in checked if one.mismatches] == [(gone, None)]


def test_a_result_that_lacks_labels_told_long_since_is_named() -> None:
    bundles, labels = truth_log.Bundles.of(manifest_of()), LabelLog()
    worker = Worker(bundles)
    log = [seen(START, Row("a", START), Row("b", START + 1)), seen(START + 2 * MINUTE)]
    late = [told("a", "yes", START + 2 * MINUTE), clock(START + 3 * MINUTE), clock(START + 4 * MINUTE)]
    worker.say(log)
    for position, entry in enumerate(late):
        worker.say([], [entry])
        if entry.mark is None:
            labels.add("m", position, msgspec.json.encode(list(entry.labels)), written_ms=entry.written_ms)
        else:
            labels.mark(position, entry.mark)
    # A window more, so that what came before it has been told.
    log += [seen(START + 20 * MINUTE, Row("c", START + 20 * MINUTE)), seen(START + 25 * MINUTE)]
    for observation in log[2:]:
        worker.say([observation])
    results = [
        read_result(entry.topic.name, entry.value) for entry in worker.published if entry.topic is PERFORMANCE
    ]
    case = Case(log, results, bundles, labels)
    assert not found(case.audit())
    first = [one for one in results if one.place == results[0].place]
    assert [first[0].body["labelled"], first[-1].body["labelled"]] == [0, 1]
    stale = [one for one in results if one.place != first[0].place or one is first[0]]
    assert found(case.audit(stale)) == ["labelled by now"]
    # Once a replay has begun, nothing of these rows is told any more.
    case.log.append(seen(START + 26 * MINUTE, marks=[truth_log.replayed("begin", START)]))
    assert not found(case.audit(stale, reached={"performance": (len(case.log), 3)}))


def test_a_result_that_lacks_rows_told_long_since_is_named() -> None:
    watched = make_watched(drift={**SETTINGS, "window": "2h", "step": "1h", "minimum_window": "2h"}, rows=500)
    reader = Reader(Bundles({("m", "1"): watched}))
    log = [
        drift_message(section([HOUR + 1, HOUR + 2], watched=watched)),
        reach(2 * HOUR + 120_000),
        drift_message(section([HOUR + 3], watched=watched, offset=5)),
        reach(2 * HOUR + 180_000),
        reach(9 * HOUR),
        reach(10 * HOUR),
        drift_message(section([11 * HOUR], watched=watched, offset=9)),
        reach(20 * HOUR),
    ]
    for observation in log:
        reader.take(observation)
    results = [read_result(DRIFT.name, msgspec.json.encode(result)) for result in reader.results]
    case = Case(log, results, reader.bundles, LabelLog())
    assert not found(case.audit())
    first = [one for one in results if one.place == results[0].place]
    assert [one.body["n"] for one in first] == [2, 3]
    stale = [one for one in results if one is not first[1]]
    assert found(case.audit(stale)) == ["cut"]


def test_rows_are_let_go_only_once_no_window_is_judged_or_localised_with_them() -> None:
    """Of few rows an hour with days between, so that a run is long and begins long before its last window."""
    watched = make_watched(drift={**SETTINGS, "earlier": []}, rows=500)
    reader = Reader(Bundles({("m", "1"): watched}))
    log = []
    for day in range(12):
        begins = day * 24 * HOUR
        rows = section(begins + np.arange(20) * 60_000, watched=watched, seed=day, shift=3.0 * (day >= 6))
        log += [drift_message(rows), reach(begins + 2 * HOUR)]
    for observation in log:
        reader.take(observation)
    results = [read_result(DRIFT.name, msgspec.json.encode(result)) for result in reader.results]
    runs = [run for one in results if (run := run_of(one.body)) is not None]
    assert max(run.end_ms - run.start_ms for run in runs) > 48 * HOUR
    assert any(column["since"] for column in results[-1].body["columns"])
    checked = Case(log, results, reader.bundles, LabelLog()).audit(forget_every=1)
    assert not found(checked)


def test_what_came_before_the_first_row_that_is_left_is_not_held_against_a_window() -> None:
    case = drift_case()
    log, begins = case.log, 5
    recount = Recount(case.results, models=case.models, labels=LabelLog(), begins=begins)
    for offset, observation in enumerate(log):
        if offset == begins:  # written once its rows were there: until then others may have expired
            written_ms = 2 * HOUR + 45 * 60_000
            ranges = [msgspec.structs.replace(one, time_ms=written_ms) for one in observation.ranges]
            recount.take(offset, msgspec.structs.replace(observation, ranges=ranges))
        elif offset > begins:
            recount.take(offset, observation)
    checked = recount.finish(len(log))
    assert not found(checked)
    verified = [one.published for one in checked if one.reason is None]
    assert [one.place.window.start_ms // HOUR for one in verified if one is not None] == [3, 4, 5]
    first = next(one for one in verified if one is not None)
    assert first.body["against_earlier"]
    assert any(entry["since"] for entry in first.body["columns"])


def test_windows_whose_evidence_is_gone_are_unverifiable_and_no_difference() -> None:
    case = drift_case()
    expired = case.audit(begins=1)
    assert not found(expired)
    assert {one.reason for one in expired} == {"observations before position 1 have expired"}
    incomplete = case.audit(case.changed(lambda body: body.update(incomplete=True)))
    assert "expired when it was counted" in str(incomplete[-1].reason)
    missing = case.audit(case.changed(lambda body: body.update(bundle="sha256:other")))
    assert "its bundle, sha256:other, is missing" in [one.reason for one in missing]
    unknown = case.audit(case.changed(lambda body: body.update(configuration="other")))
    assert "the settings other are not known any more" in [one.reason for one in unknown]
    beyond = case.audit(case.changed(lambda body: body["cut"].update(observations=999)))
    assert "lies beyond the end" in str(beyond[-1].reason)
    truth = truth_case()
    labels = truth.audit(labels_begin_ms=START - 2 * MINUTE)
    assert {one.reason for one in labels if one.reason} == {
        "labels that may have been of its rows have expired"
    }
    assert not found(labels)
    # Labels come three minutes after their rows at most: windows from then on have all of theirs.
    assert {one.place.window.start_ms for one in labels if one.reason is None} == {
        START + MINUTE,
        START + 2 * MINUTE,
        START + 3 * MINUTE,
    }


def test_windows_are_recounted_under_what_was_set_last_and_nothing_from_before() -> None:
    bundles, labels = truth_log.Bundles.of(manifest_of()), LabelLog()
    worker = Worker(bundles)
    tables = [{"performance": {"maximum_drop": 0.2}}, {"fairness": {"difference": 0.2}}]
    changes = [MonitorChange("m", table, "2026-01-01T00:00:00Z") for table in tables]
    log = [
        seen(START, Row("a", START)),
        seen(START, changes=changes[:1]),
        seen(START, changes=changes[1:]),
        seen(START + MINUTE, Row("b", START + 1)),
        seen(START + 20 * MINUTE),
        seen(START + 25 * MINUTE),
    ]
    for observation in log:
        worker.say([observation])
    results = [
        read_result(entry.topic.name, entry.value)
        for entry in worker.published
        if entry.topic in (PERFORMANCE, FAIRNESS)
    ]
    last = monitor_settings(truth_log.TABLES, [tables[-1]])
    assert {one.result.configuration for one in results} == {last.digest}
    checked = Case(log, results, bundles, labels).audit()
    assert checked
    assert not [one for one in checked if one.reason or one.mismatches]
