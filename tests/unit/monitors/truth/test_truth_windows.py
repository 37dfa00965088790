"""Windows of truth: revised by late labels, judged once mature, closed by the end of a replay."""

from typing import Any

import pytest

from atalaia.results import PerformanceResult
from tests.unit.monitors.truth.truth_log import (
    MINUTE,
    SECOND,
    TABLES,
    Bundles,
    Row,
    Told,
    Worker,
    clock,
    manifest_of,
    replayed,
    seen,
    told,
)

START = 1_700_000_040_000
"""A whole minute."""
LATER = 10 * SECOND


def rows(minute: int, count: int = 200, *, name: str = "r", **others: Any) -> list[Row]:
    """One row after the other, every other one of the positive class."""
    begin = START + minute * MINUTE
    return [
        Row(
            f"{name}{minute}-{place}",
            begin + place * (MINUTE // count),
            predicted=place % 2,
            score=0.75 if place % 2 else 0.25,
            **others,
        )
        for place in range(count)
    ]


def truth(given: list[Row], time_ms: int, *, wrong: int = 0) -> list[Told]:
    """Their labels, the first so many of them against the prediction."""
    return [
        told(row.id, "yes" if (row.predicted == 1) != (place < wrong) else "no", time_ms)
        for place, row in enumerate(given)
    ]


def one(worker: Worker, minute: int = 0) -> PerformanceResult:
    results = [
        result
        for result in worker.performance().values()
        if result.window.start.endswith(f":{14 + minute:02d}:00.000Z")
    ]
    assert len(results) == 1
    return results[0]


def statuses(worker: Worker, monitor: str = "performance") -> list[tuple[str, str, str | None]]:
    return [
        (event.subject, event.status, event.reason) for event in worker.alerts() if event.monitor == monitor
    ]


def started(**others: Any) -> Worker:
    tables = {**TABLES, **others.pop("tables", {})}
    tables["performance"] = {"calibration": False, **tables["performance"]}
    return Worker(Bundles.of(manifest_of(tables=tables, **others), accuracy=0.95))


def test_a_window_is_provisional_until_enough_labels_have_come() -> None:
    """::

    minute 0             1
           [------------)  + lateness
    labels      half of them    |      then .8 of them
                                closes, provisional
                                       judged
    """  # fmt: skip
    worker, given = started(), rows(0)
    labels = truth(given, START + MINUTE)
    worker.say([seen(START + MINUTE, *given)], [*labels[:100], clock(START + MINUTE)])
    assert worker.performance() == {}
    worker.say([seen(START + MINUTE + LATER)])
    assert (one(worker).provisional, one(worker).labelled, one(worker).revision) == (True, 100, 0)
    assert one(worker).judgements == []
    worker.say([], labels[100:159])
    assert one(worker).provisional
    worker.say([], labels[159:160])
    assert (one(worker).provisional, one(worker).coverage, one(worker).revision) == (False, 0.8, 2)
    assert [entry["metric"] for entry in one(worker).judgements] == ["accuracy"]
    worker.say([], labels[160:])
    assert (one(worker).labelled, one(worker).coverage) == (200, 1.0)


def test_a_window_is_not_judged_before_the_labels_have_come_to_its_end() -> None:
    worker, given = started(), rows(0)
    worker.say([seen(START + MINUTE + LATER, *given)], truth(given, START + SECOND))
    assert (one(worker).provisional, one(worker).coverage) == (True, 1.0)
    worker.say([], [clock(START + MINUTE - 1)])
    assert one(worker).provisional
    worker.say([], [clock(START + MINUTE)])
    assert not one(worker).provisional


def test_the_horizon_judges_what_labels_there_are() -> None:
    worker, given = started(), rows(0)
    worker.say([seen(START + MINUTE + LATER, *given)], [*truth(given[:20], START), clock(START + MINUTE)])
    assert one(worker).provisional
    end = START + MINUTE + 3 * MINUTE
    worker.say([seen(end)], [clock(end - 1)])
    assert one(worker).provisional
    worker.say([], [clock(end)])
    assert (one(worker).provisional, one(worker).labelled) == (False, 20)
    worker.say([], truth(given[20:], end))
    assert one(worker).labelled == 20


def test_what_coverage_is_usual_is_learnt_from_windows_past_their_horizon() -> None:
    """Half of the rows get a label; once that is known, four tenths of them are enough."""
    worker, closed = started(), []
    for minute in range(6):
        given = rows(minute)
        worker.say(
            [seen(START + (minute + 1) * MINUTE + LATER, *given)],
            [*truth(given[:100], START + minute * MINUTE), clock(START + (minute + 1) * MINUTE + LATER)],
        )
        closed.append(one(worker, minute).provisional)
    assert closed == [True, True, True, False, False, False]


def test_a_late_label_revises_a_past_window_and_withdraws_its_alert() -> None:
    """::

    minute    0              1              2
              [-- wrong ---)[--- wrong ---)
                                           fires
              corrected                         withdrawn
    """  # fmt: skip
    worker = started()
    both = [rows(minute) for minute in range(2)]
    for minute, given in enumerate(both):
        end = START + (minute + 1) * MINUTE + LATER
        worker.say([seen(end, *given)], [*truth(given, end - MINUTE, wrong=100), clock(end)])
    assert one(worker).metrics["accuracy"] == 0.5
    assert statuses(worker) == [("accuracy", "pending", None), ("accuracy", "firing", None)]
    evidence = worker.alerts()[-1].evidence["windows"][-1]
    assert evidence["value"] == 0.5
    assert evidence["low"] > 0.05
    change = worker.say([], truth(both[0], START + 2 * MINUTE))
    assert len([entry for entry in change.publications if entry.topic.name == "performance"]) == 1
    assert (one(worker).metrics["accuracy"], one(worker).revision) == (1.0, 1)
    assert statuses(worker)[2:] == [("accuracy", "resolved", "withdrawn"), ("accuracy", "pending", None)]


def test_a_label_says_who_a_row_is_of_and_moves_it_between_groups() -> None:
    worker, given = started(), rows(0)
    labels = truth(given, START + SECOND)
    worker.say([seen(START + MINUTE + LATER, *given)], [*labels, clock(START + MINUTE)])
    groups = {group.group["sex"]: group.n for group in next(iter(worker.fairness().values())).groups}
    assert groups == {"F": 200}
    moved = Told(
        tuple(
            type(message.labels[0])(message.labels[0].id, message.labels[0].label, context={"sex": "M"})
            for message in labels[:50]
        ),
        START + 2 * SECOND,
    )
    worker.say([], [moved])
    groups = {group.group["sex"]: group.n for group in next(iter(worker.fairness().values())).groups}
    assert groups == {"F": 150, "M": 50}
    worker.say([], truth(given[:50], START + 3 * SECOND))
    groups = {group.group["sex"]: group.n for group in next(iter(worker.fairness().values())).groups}
    assert groups == {"F": 200}


def test_the_end_of_a_replay_closes_what_is_open_without_a_verdict() -> None:
    """::

    replay   begin [-- minute 0 --)[-- minute 1, half |  end
    """
    worker = started()
    first, second = rows(0), rows(1)[:100]
    last = second[-1].time_ms
    worker.say([], [Told((), mark=replayed("begin", START))])
    now = START + 10_000 * MINUTE
    worker.say([seen(now, *first, marks=[replayed("begin", START)])])
    worker.say([], [*truth(first, START + MINUTE), Told((), mark=replayed("at", START + MINUTE))])
    worker.say([seen(now + SECOND, *second, marks=[replayed("at", last)])])
    worker.say([], [*truth(second, last), Told((), mark=replayed("end", last))])
    worker.say([seen(now + 2 * SECOND, marks=[replayed("end", last)])])
    assert (one(worker, 0).provisional, one(worker, 0).labelled) == (False, 200)
    assert (one(worker, 1).provisional, one(worker, 1).n, one(worker, 1).labelled) == (True, 100, 100)
    assert one(worker, 1).judgements == []
    # The wall clock goes on, past the horizon: what was left open is now final.
    worker.say([seen(now + MINUTE)], [clock(now + MINUTE)])
    assert not one(worker, 1).provisional


def test_a_second_replay_of_the_same_times_is_counted_by_itself() -> None:
    """::

    replay r   begin [-- 200 rows --) end
    replay s                                        begin [-- 60 rows --) end
    """
    worker = started()
    now = START + 10_000 * MINUTE
    for replay, given in (("r", rows(0)), ("s", [row._replace(id=f"s-{row.id}") for row in rows(0)[:60]])):
        begin, end = replayed("begin", START, replay), replayed("end", START + MINUTE, replay)
        worker.say([seen(now, *given, marks=[begin])], [Told((), mark=begin)])
        worker.say([], [*truth(given, START + MINUTE), Told((), mark=end)])
        worker.say([seen(now + SECOND, marks=[end])])
        now += MINUTE
        assert (one(worker, 0).n, one(worker, 0).labelled) == (len(given), len(given))


@pytest.mark.parametrize("labels_first", [True, False])
def test_labels_of_a_replay_count_whichever_topic_is_read_first(labels_first: bool) -> None:
    """The wall clock of the labels, before the replay's own, says nothing of a replay of the past."""
    worker, given = started(), rows(0)
    now = START + 10_000 * MINUTE
    labels = [
        clock(now - SECOND),
        Told((), mark=replayed("begin", START)),
        *truth(given, START + MINUTE),
        Told((), mark=replayed("end", START + MINUTE)),
        clock(now + 30 * SECOND),
    ]
    observed = [
        seen(now, marks=[replayed("begin", START)]),
        seen(now + SECOND, *given, marks=[replayed("at", START + MINUTE)]),
        seen(now + 2 * SECOND, marks=[replayed("end", START + MINUTE)]),
        seen(now + 60 * SECOND),
    ]
    worker.say([], labels if labels_first else labels[:1])
    for message in observed:
        worker.say([message])
    if not labels_first:
        assert (one(worker).labelled, one(worker).provisional) == (0, True)
        worker.say([], labels[1:])
    assert (one(worker).labelled, one(worker).provisional) == (200, False)


def test_a_window_with_hardly_a_label_is_an_alert_of_its_own() -> None:
    worker = started()
    given = rows(0)
    end = START + 4 * MINUTE + LATER
    worker.say([seen(end, *given)], [*truth(given[:80], START), clock(end)])
    assert statuses(worker, "coverage") == [("labels", "firing", None)]
    assert worker.alerts()[-1].evidence["windows"][0]["coverage"] == 0.4


def test_a_detector_that_may_alert_says_since_when_rows_go_wrong() -> None:
    detectors = [{"detector": "ddm", "column": "error", "alerts": True}]
    worker = started(tables={"performance": {**TABLES["performance"], "detectors": detectors}})
    given = rows(0, 600)
    labels = [
        told(row.id, ("no", "yes")[row.predicted if place < 400 and place % 10 else 1 - row.predicted], START)
        for place, row in enumerate(given)
    ]
    end = START + MINUTE + LATER
    worker.say([seen(end, *given)], [*labels, clock(end)])
    assert one(worker).detectors == []
    worker.restart()
    worker.say([seen(end + 3 * MINUTE)], [clock(end + 3 * MINUTE)])
    found = one(worker).detectors
    assert [entry.detector for entry in found] == ["ddm"] * len(found)
    turned = given[400].time_ms
    assert abs(_milliseconds(found[0].since) - turned) < 5 * SECOND
    assert ("error (ddm)", "firing", None) in statuses(worker, "drift")


@pytest.mark.parametrize("at_once", [True, False])
def test_detectors_know_all_windows_that_a_replay_has_passed_however_it_is_read(at_once: bool) -> None:
    """::

    minute 0             1             2        9
           [------------)[------------)         | a row, end      one batch, or one a message
                ^             ^ rows go wrong
    """
    detectors = [{"detector": "ddm", "column": "error"}]
    worker = started(tables={"performance": {**TABLES["performance"], "detectors": detectors}})
    first, second, last = rows(0, 600), rows(1, 600), rows(9)[:1]
    now = START + 10_000 * MINUTE
    given = [*first, *second, *last]
    labels = [
        told(row.id, ("no", "yes")[row.predicted ^ (place % 600 >= 300 or place % 10 == 0)], START)
        for place, row in enumerate(given)
    ]
    end = last[0].time_ms
    worker.say([], [Told((), mark=replayed("begin", START)), *labels, Told((), mark=replayed("end", end))])
    observed = [
        seen(now, *first, marks=[replayed("begin", START)]),
        seen(now + SECOND, *second, *last, marks=[replayed("at", end)]),
        seen(now + 2 * SECOND, marks=[replayed("end", end)]),
    ]
    for batch in [observed] if at_once else [[message] for message in observed]:
        worker.say(batch)
    found = [one(worker, minute).detectors for minute in (0, 1)]
    assert all(found), found
    turned = first[300].time_ms
    assert abs(_milliseconds(found[0][0].since) - turned) < 5 * SECOND


def _milliseconds(time: str) -> int:
    seconds, fraction = time.rstrip("Z").split(":")[-1].split(".")
    minutes = int(time.split(":")[1])
    return START + (minutes - 14) * MINUTE + int(seconds) * SECOND + int(fraction)


def test_labels_that_are_read_while_a_model_has_long_had_no_rows_wait_for_the_next() -> None:
    worker = Worker(Bundles.of(manifest_of()))
    worker.say([seen(START, Row("old", START))])
    before, after = START + 30 * MINUTE, START + 31 * MINUTE
    worker.say([seen(before)], [clock(before)])
    worker.say([], [told("new", "yes", after)])
    worker.restart()
    worker.say([seen(after, Row("new", after, predicted=1, score=0.75))])
    for time_ms in (after + 10 * MINUTE, after + 11 * MINUTE):
        worker.say([seen(time_ms)], [clock(time_ms)])
    latest = list(worker.performance().values())[-1]
    assert (latest.n, latest.labelled, latest.metrics["accuracy"]) == (1, 1, 1.0)
    assert worker.monitor.counts()["label_invalid"]["m",] == 0
