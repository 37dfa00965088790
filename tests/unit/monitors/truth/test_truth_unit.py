"""What a unit of truth does with what does not fit: missing, unknown, foreign, too much, changed."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from atalaia.monitors.configuration import monitor_settings
from atalaia.monitors.units import PartitionMonitor
from atalaia.records import MonitorChange
from atalaia.topics import DEAD_LETTERS, LABELS, OBSERVATIONS
from tests.unit.monitors.truth.test_truth_windows import LATER, START, one, rows, started, truth
from tests.unit.monitors.truth.truth_log import (
    MINUTE,
    SECOND,
    TABLES,
    UNIT,
    Bundles,
    Row,
    Told,
    Worker,
    clock,
    labels,
    manifest_of,
    observations,
    seen,
    told,
)

END = START + MINUTE + LATER


def counted(worker: Worker, name: str) -> float:
    return sum(worker.monitor.counts()[name].values())


def letters(worker: Worker) -> list[str]:
    return [
        dict(entry.headers)["reason"].decode() for entry in worker.published if entry.topic is DEAD_LETTERS
    ]


def changed(**tables: Any) -> MonitorChange:
    return MonitorChange("m", tables, "2026-01-01T00:00:00Z")


def test_labels_that_come_before_their_model_is_seen_wait_for_it() -> None:
    worker, given = started(), rows(0)
    worker.say([], [*truth(given, START), clock(START)])
    worker.restart()
    worker.say([seen(END, *given)], [clock(END)])
    assert (one(worker).labelled, one(worker).provisional) == (200, False)
    assert counted(worker, "unknown_model") == 0


def test_labels_of_a_model_nobody_ever_sees_are_counted_and_forgotten() -> None:
    worker = started()
    worker.say([], [clock(START), Told(truth(rows(0), START)[0].labels, START, model="other")])
    worker.say([], [clock(START + 61 * MINUTE)])
    assert counted(worker, "unknown_model") == 1


def test_labels_on_a_foreign_partition_are_sent_on_with_the_time_they_were_accepted() -> None:
    worker = Worker(Bundles.of(manifest_of()), partition=1, partition_of=lambda model: int(model != "m"))
    change = worker.say([], [told("a", "yes", START)])
    (moved,) = change.publications
    assert (moved.topic, moved.key) == (LABELS, "m")
    assert moved.headers == (("accepted", str(START).encode()),)
    assert counted(worker, "moved") == 1


def test_labels_that_are_no_class_are_counted_and_change_nothing() -> None:
    worker, given = started(), rows(0)
    worker.say([seen(END, *given)], [told(given[0].id, "maybe", START), told(given[1].id, None, START)])
    assert counted(worker, "label_invalid") == 2
    assert one(worker).labelled == 0


def test_what_cannot_be_read_is_a_dead_letter_and_no_stop() -> None:
    worker = started()
    wrong = Told((), START)
    worker.say([], [wrong])
    records = [record._replace(value=b"{") for record in _records(worker, END)]
    worker.take(*records)
    assert letters(worker) == ["not_readable", "not_readable"]


def _records(worker: Worker, time_ms: int) -> list[Any]:
    return [
        *observations([seen(time_ms)], start=worker.ends[OBSERVATIONS.name]),
        *labels([told("a", "yes", START)], start=worker.ends[LABELS.name]),
    ]


def test_rows_of_a_missing_bundle_are_dead_letters() -> None:
    worker = started()
    worker.say([seen(END, Row("a", START, version="9"))])
    assert letters(worker) == ["bundle_missing"]
    assert worker.performance() == {}


def test_beyond_the_bound_rows_are_shed_and_their_range_published() -> None:
    worker = started(tables={"labels": {"horizon": "3m", "most_rows": 150}})
    given = rows(0)
    worker.say([seen(END, *given)], [*truth(given, START), clock(END)])
    assert (one(worker).n, one(worker).labelled) == (200, 150)
    assert letters(worker) == ["label_shed"]
    assert counted(worker, "join_shed_predictions") == 50
    # Time makes room again.
    later = START + 60 * MINUTE
    for step in range(8):
        worker.say([seen(later + step * MINUTE)], [clock(later + step * MINUTE)])
    assert worker.monitor.counts().get("join_held_rows", {}) == {}


def test_thresholds_change_from_the_next_message_on_and_the_counts_go_on() -> None:
    worker, given = started(), rows(0)
    worker.say([seen(START + MINUTE, *given)], [*truth(given, START, wrong=20), clock(START)])
    before = worker.bundles.known["1"].manifest
    worker.say([seen(START, changes=[changed(performance={"maximum_drop": 0.5})])])
    worker.say([seen(END)], [clock(END)])
    assert (one(worker).n, one(worker).labelled) == (200, 200)
    assert one(worker).configuration != worker_digest(before.monitors)


def worker_digest(tables: dict[str, Any]) -> str:
    return monitor_settings(tables).digest


def test_other_windows_begin_anew_and_what_was_open_is_closed_as_it_is() -> None:
    worker, given = started(), rows(0)
    worker.say([seen(START + 30 * SECOND, *given[:50])], truth(given[:50], START))
    worker.say([seen(START, changes=[changed(performance={"window": "2m"})])])
    assert (one(worker).n, one(worker).provisional) == (50, True)
    worker.restart()
    worker.say([seen(START + 3 * MINUTE, *given[50:])], truth(given, START))
    assert counted(worker, "label_retired") == 0
    longer = [result for result in worker.performance().values() if result.window.end.endswith("16:00.000Z")]
    assert [(result.n, result.labelled) for result in longer] == [(150, 150)]


def test_a_change_that_makes_no_sense_is_a_dead_letter_and_not_taken() -> None:
    worker, given = started(), rows(0)
    worker.say([seen(START, changes=[changed(performance="nothing")])])
    worker.say([seen(END, *given)])
    assert letters(worker) == ["settings_wrong"]
    assert one(worker).n == 200


def test_started_within_the_log_changes_from_before_hold_and_the_first_windows_are_incomplete() -> None:
    bundles = Bundles.of(manifest_of())
    early = changed(performance={"window": "2m", "lateness": "10s"})
    bundles.changed = [
        MonitorChange("m", early.monitors, early.changed_at, offset=3),
        MonitorChange("m", {"performance": {"window": "7m"}}, early.changed_at, offset=30),
    ]
    worker = Worker(bundles, positions={OBSERVATIONS.name: 10})
    worker.say([seen(START + 20 * SECOND, *rows(0)[:10])])
    worker.say([seen(START + 2 * MINUTE + LATER, *rows(1))])
    worker.say([seen(START + 6 * MINUTE, *rows(5))], [clock(START + 6 * MINUTE)])
    results = list(worker.performance().values())
    assert [result.incomplete for result in results] == [True, False][: len(results)]


def test_lost_positions_make_the_windows_around_them_incomplete() -> None:
    worker = started()
    worker.say([seen(START, *rows(0)[:1])])
    worker.say([seen(START + 30 * SECOND)])
    worker.monitor.lose(OBSERVATIONS, 2, 5)
    worker.say([seen(START + 40 * SECOND)])
    worker.say([seen(START + 10 * MINUTE, *rows(8))])
    worker.say([seen(START + 20 * MINUTE)])
    assert [(one(worker, minute).incomplete) for minute in (0, 8)] == [True, False]


def test_streams_long_without_rows_are_forgotten_and_leave_nothing_behind() -> None:
    worker, given = started(tables={"labels": {"horizon": "3m", "most_rows": 500}}), rows(0)
    worker.say([seen(END, *given)], [*truth(given, START), clock(END)])
    later = START + 60 * MINUTE
    for step in range(8):
        worker.say([seen(later + step * MINUTE)], [clock(later + step * MINUTE)])
    loaded = worker.store.load(UNIT)
    assert set(loaded.panes) == set()
    assert worker.monitor.counts().get("join_held_rows", {}) == {}


@pytest.mark.parametrize("task", ["three classes", "regression"])
def test_other_tasks(task: str) -> None:
    classes = ("a", "b", "c") if task == "three classes" else ()
    worker = Worker(Bundles.of(manifest_of(classes=classes, tables=TABLES)))
    rng = np.random.default_rng(0)
    given, labels, right = [], [], 0
    for place in range(300):
        truth_of: Any
        if classes:
            probabilities = tuple(rng.dirichlet(np.ones(3)).astype(np.float32).tolist())
            predicted = int(np.argmax(probabilities))
            truth_of = classes[int(rng.integers(0, 3))]
            right += classes[predicted] == truth_of
            row = Row(f"{place}", START + place, predicted, max(probabilities), probabilities=probabilities)
        else:
            row, truth_of = Row(f"{place}", START + place, score=float(rng.normal())), float(rng.normal())
        given.append(row)
        labels.append(told(row.id, truth_of, START))
    regression = not classes
    worker.say([seen(END, *given, regression=regression)], [*labels, clock(END)])
    result, fairness = one(worker), next(iter(worker.fairness().values()))
    assert (result.labelled, result.provisional) == (300, False)
    assert fairness.gaps == []
    assert fairness.why is not None
    if classes:
        assert result.metrics["accuracy"] == right / 300
        assert fairness.errors[0]["accuracy"] == pytest.approx(right / 300)
    else:
        error = np.mean(
            [
                abs(float(np.float32(row.score)) - float(str(label.labels[0].label)))
                for row, label in zip(given, labels, strict=True)
            ]
        )
        assert result.metrics["mean_absolute_error"] == pytest.approx(error)
        assert [entry["metric"] for entry in result.judgements] == ["mean_absolute_error"]
        assert fairness.errors[0]["mean_absolute_error"] == pytest.approx(error)


def test_it_is_a_monitor_of_a_partition() -> None:
    monitor: PartitionMonitor = Worker(Bundles.of(manifest_of())).monitor
    assert monitor.topics == (OBSERVATIONS, LABELS)


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    score = rng.random(600).astype(np.float32)
    label = (rng.random(600) < score).astype(np.int64)
    given = [
        Row(f"{place}", START + place, int(score[place] >= 0.5), float(score[place])) for place in range(600)
    ]
    worker = Worker(Bundles.of(manifest_of()))
    truths = [told(row.id, ("no", "yes")[label[place]], START) for place, row in enumerate(given)]
    worker.say([seen(END, *given)], [*truths, clock(END)])
    found, said = one(worker).metrics, (score >= 0.5).astype(np.int64)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(label, said, average="macro")
    expected = {
        "accuracy": metrics.accuracy_score(label, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, said),
        "matthews_corrcoef": metrics.matthews_corrcoef(label, said),
        "precision_macro": precision,
        "recall_macro": recall,
        "f1_macro": f1,
        "log_loss": metrics.log_loss(label, score.astype(np.float64)),
        "brier_score_loss": metrics.brier_score_loss(label, score.astype(np.float64)),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    area, bound = found["roc_auc"], found["roc_auc_bound"]
    assert area is not None
    assert bound is not None
    assert abs(area - metrics.roc_auc_score(label, score)) <= bound + 1e-12
