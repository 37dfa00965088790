"""Detections and alerts that do not follow from the log are named, whoever's they are."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from atalaia.alerts import AlertEvent
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.published import Published, latest, order, read_result
from atalaia.auditing.recount import Checked, Recount
from atalaia.monitors.units import Models
from atalaia.records import Observation, TimeMark
from atalaia.topics import DRIFT, FAIRNESS, PERFORMANCE
from tests.unit.monitors.drift_log import (
    HOUR,
    Bundles,
    Reader,
    changed,
    make_watched,
    message,
    reach,
    section,
)
from tests.unit.monitors.truth import truth_log
from tests.unit.monitors.truth.truth_log import (
    MINUTE,
    SECOND,
    TABLES,
    Row,
    Told,
    Worker,
    clock,
    replayed,
    seen,
    told,
)

START = 1_700_000_040_000
FAR = 1 << 40


class Case:
    """A log, what was published of it, and the alerts it led to."""

    def __init__(
        self,
        log: list[Observation],
        results: list[Published],
        events: list[AlertEvent],
        models: Models,
        truth: list[Told],
    ) -> None:
        self.log, self.results, self.models, self.truth = log, results, models, truth
        self.events: dict[str, AlertEvent | None] = {event.fingerprint: event for event in events}
        self.last = list(latest(results).values())

    def audit(
        self,
        results: list[Published] | None = None,
        events: dict[str, AlertEvent | None] | None = None,
        told: tuple[int, int] = (FAR, FAR),
    ) -> list[Checked]:
        labels = LabelLog()
        for position, entry in enumerate(self.truth):
            if entry.mark is None:
                value = msgspec.json.encode(list(entry.labels))
                labels.add(entry.model, position, value, written_ms=entry.written_ms)
            else:
                labels.mark(position, entry.mark)
        recount = Recount(
            self.last if results is None else results,
            models=self.models,
            labels=labels,
            alerts=self.events if events is None else events,
            reached={one.place.monitor: told for one in self.last},
        )
        for offset, observation in enumerate(self.log):
            recount.take(offset, observation)
        return recount.finish(len(self.log))

    def changed(self, change: Callable[[list[dict[str, Any]]], Any]) -> list[Published]:
        """The last results, the detections of the first that has any changed."""
        at = next(at for at, one in enumerate(self.last) if one.body.get("detectors"))
        body = msgspec.to_builtins(self.last[at].result)
        change(body["detectors"])
        results = list(self.last)
        results[at] = read_result(results[at].place.monitor, msgspec.json.encode(body))
        return results


def found(checked: list[Checked]) -> list[str]:
    assert not [one.reason for one in checked if one.reason is not None]
    return [mismatch.path for one in checked for mismatch in one.mismatches]


DETECTORS = [
    {"detector": "adwin", "column": "score", "alerts": True},
    {"detector": "page_hinkley", "column": "applicability", "parameters": {"threshold": 20.0}},
]


def drift_case(**more: Any) -> Case:
    """Scores that jump in the third hour, with rows of a canary beside them and some that come late."""
    drift = {"detectors": DETECTORS, "earlier": [], "columns": ["score", "applicability"], **more}
    watched = make_watched(drift=drift, rows=500)
    canary = make_watched(version="2", drift=drift, rows=500, seed=1)
    reader = Reader(Bundles({("m", "1"): watched, ("m", "2"): canary}))
    random = np.random.default_rng(0)
    log = [reach(0)]
    for hour in range(6):
        times = hour * HOUR + random.permutation(300) * 12_000
        scores = random.uniform(size=300) * (0.2 if hour == 2 else 1.0)
        for part in np.array_split(np.arange(300), 6):
            rows = section(
                times[part],
                watched=watched,
                seed=hour,
                score=scores[part],
                partition=random.integers(0, 4, len(part)).tolist(),
                offset=1000 * hour + int(part[0]),
                abstained=random.random(len(part)) < 0.1,
            )
            beside = section(
                times[part][:9] + 5, watched=canary, role="canary", seed=hour, offset=9000 * hour
            )
            log.append(message(rows, beside))
        log.append(reach((hour + 1) * HOUR + 90_000))
    return read_drift(reader, log)


def read_drift(reader: Reader, log: list[Observation]) -> Case:
    for observation in log:
        reader.take(observation)
    results = [read_result(DRIFT.name, msgspec.json.encode(result)) for result in reader.results]
    return Case(log, results, reader.events, reader.bundles, [])


TAMPERED: list[tuple[Callable[[list[dict[str, Any]]], Any], str]] = [
    (lambda told: told.pop(), "detectors.length"),
    (lambda told: told.append(told[0]), "detectors.length"),
    (lambda told: told[0].update(at="1970-01-01T02:00:07.000Z"), "detectors[0].at"),
    (lambda told: told[0].update(rows=told[0]["rows"] + 1), "detectors[0].rows"),
    (lambda told: told[0].update(column="other"), "detectors[0].column"),
    (lambda told: told[0].update(detector="eddm"), "detectors[0].detector"),
    (lambda told: told[0].update(since="1970-01-01T00:00:00.000Z"), "detectors[0].since"),
    (lambda told: told[0].update(since=told[0]["at"]), "detectors[0].since"),
]


@pytest.mark.parametrize(("change", "path"), TAMPERED)
def test_a_detection_of_drift_that_rows_do_not_lead_to_is_named(
    change: Callable[[list[dict[str, Any]]], Any], path: str
) -> None:
    case = drift_case()
    assert not found(case.audit())
    assert found(case.audit(case.changed(change))) == [path]


def test_the_alert_of_a_detector_of_drift_is_folded_again() -> None:
    case = drift_case()
    (mark,) = [
        mark for mark, event in case.events.items() if event and event.subject == "detector/score/adwin"
    ]
    last = case.events[mark]
    assert last is not None
    assert last.status == "resolved"
    firing = msgspec.structs.replace(last, status="firing", reason=None)
    assert found(case.audit(events={**case.events, mark: firing})) == ["alert on detector/score/adwin"]


REPLAY = [TimeMark("begin", 0, "m", "r", 4), TimeMark("end", FAR, "m", "r", 4)]


def test_a_replay_and_a_long_pause_begin_detectors_anew() -> None:
    case = drift_case()
    models = case.models
    assert isinstance(models, Bundles)
    begin, end = (message(marks=[mark]) for mark in REPLAY)
    for log in (
        [begin, *case.log[1:], end],
        [*case.log[:15], begin, *case.log[1:], end, reach(200 * HOUR)],
        [*case.log, reach(100 * HOUR), *_later(case.log[1:], 100 * HOUR)],
    ):
        again = read_drift(Reader(models), log)
        having = [one for one in again.last if one.body["detectors"]]
        assert having
        assert not found(again.audit())
        assert found(again.audit(again.changed(lambda told: told.pop()))) == ["detectors.length"]


def _later(log: list[Observation], by_ms: int) -> list[Observation]:
    """The same, at later times."""
    answer = []
    for one in log:
        models = [
            msgspec.structs.replace(
                rows, event_time_ms=type(rows.event_time_ms).of(rows.event_time_ms.numpy() + by_ms)
            )
            for rows in one.models
        ]
        ranges = [
            msgspec.structs.replace(entry, time_ms=entry.time_ms + by_ms) if entry.at_end else entry
            for entry in one.ranges
        ]
        answer.append(msgspec.structs.replace(one, models=models, ranges=ranges))
    return answer


def test_after_a_change_of_settings_nothing_is_said_of_detectors() -> None:
    case = drift_case()
    models = case.models
    assert isinstance(models, Bundles)
    again = read_drift(Reader(models), [case.log[0], changed("m", {"hits": 1}), *case.log[1:]])
    assert not found(again.audit(again.changed(lambda told: told.pop())))


ERRORS = [
    {"detector": "ddm", "column": "error", "parameters": {"warm_start": 10}, "alerts": True},
    {"detector": "page_hinkley", "column": "error", "parameters": {"threshold": 8.0}},
]
SENSITIVE: dict[str, Any] = {
    **TABLES,
    "performance": {**TABLES["performance"], "minimum_labelled_rows": 20, "detectors": ERRORS},
    "fairness": {**TABLES["fairness"], "attributes": ["sex"], "rows": 10, "outcomes": 1},
    "drift": {"minimum_window_rows": 50, "minimum_reference_rows": 100},
}


def truth_case(*, minutes: int = 8, replay: bool = False) -> Case:
    """Everything goes wrong in the fourth minute: errors, one sex alone flagged, all true; then no labels."""
    bundles = truth_log.Bundles.of(truth_log.manifest_of(tables=SENSITIVE))
    worker, log, truth = Worker(bundles), list[Observation](), list[Told]()
    random = np.random.default_rng(0)
    for minute in range(minutes):
        time_ms, bad = START + minute * MINUTE, minute >= 3
        rows = [_row(f"{minute}-{n}", time_ms + n * 250, random, bad=bad) for n in range(200)]
        begun = [replayed("begin", START)] if replay and not minute else []
        log.append(seen(time_ms + 30 * SECOND, *rows, marks=[*begun, *_at(time_ms + 30 * SECOND, replay)]))
        labelled = rows if minute < 6 else []
        said = [
            told(
                row.id, "yes" if bad or (row.predicted == 1) != (n % 10 == 0) else "no", time_ms + 55 * SECOND
            )
            for n, row in enumerate(labelled)
        ]
        truth += [*(Told((), mark=mark) for mark in begun), *said, _clock(time_ms + 59 * SECOND, replay)]
        worker.say(log[-1:], truth[-len(said) - 1 - len(begun) :])
    for minute in range(minutes + 1, 14):
        time_ms = START + minute * MINUTE
        log.append(seen(time_ms, marks=_at(time_ms, replay)))
        truth.append(_clock(time_ms, replay))
        worker.say(log[-1:], truth[-1:])
    results = [
        read_result(entry.topic.name, entry.value)
        for entry in worker.published
        if entry.topic in (PERFORMANCE, FAIRNESS)
    ]
    return Case(log, results, worker.alerts(), bundles, truth)


def _at(time_ms: int, replay: bool) -> list[TimeMark]:
    return [replayed("at", time_ms)] if replay else []


def _clock(time_ms: int, replay: bool) -> Told:
    return Told((), mark=replayed("at", time_ms)) if replay else clock(time_ms)


def _row(name: str, time_ms: int, random: np.random.Generator, *, bad: bool) -> Row:
    sex = str(random.choice(["F", "M"]))
    predicted = int(sex == "F") if bad else int(random.integers(0, 2))
    return Row(name, time_ms, predicted=predicted, score=0.75 if predicted else 0.25, sex=sex)


@pytest.mark.parametrize(("change", "path"), TAMPERED)
def test_a_detection_of_errors_that_rows_and_labels_do_not_lead_to_is_named(
    change: Callable[[list[dict[str, Any]]], Any], path: str
) -> None:
    case = truth_case()
    assert not found(case.audit())
    assert found(case.audit(case.changed(change))) == [path]


def test_a_detection_that_should_have_been_told_by_now_is_named() -> None:
    case = truth_case()
    having = next(one for one in case.last if one.body.get("detectors"))
    earlier = [one for one in case.results if one.place == having.place and not one.body["detectors"]]
    stale = [earlier[-1] if one is having else one for one in case.last]
    assert order(earlier[-1]) < order(having)
    assert "detectors.length by now" in found(case.audit(stale))


def test_in_a_replay_the_detections_of_errors_that_are_told_are_held_against_those_found() -> None:
    case = truth_case(replay=True)
    assert [one.body["detectors"] for one in case.last if one.body.get("detectors")]
    assert not found(case.audit())
    assert found(case.audit(case.changed(TAMPERED[2][0]))) == ["detectors[0].at"]
    assert found(case.audit(case.changed(lambda told: told.append(told[0])))) == ["detectors.length"]


SUBJECTS = [
    ("performance", "accuracy", 8),
    ("drift", "label", 8),
    ("drift", "error (ddm)", 4),
    ("coverage", "labels", 8),
    ("fairness", "flag_rate_ratio by sex", 8),
]


@pytest.mark.parametrize(("monitor", "subject", "minutes"), SUBJECTS)
def test_an_alert_that_windows_do_not_lead_to_is_named(monitor: str, subject: str, minutes: int) -> None:
    case = truth_case(minutes=minutes)
    assert not found(case.audit())
    own = {
        mark: event
        for mark, event in case.events.items()
        if event is not None and (event.monitor, event.subject) == (monitor, subject)
    }
    ((mark, event),) = own.items()
    assert event.status in ("firing", "pending")
    others = {other: one for other, one in case.events.items() if other != mark}
    name = f"alert on {subject}"
    assert found(case.audit(events=others)) == [name]
    over = msgspec.structs.replace(event, status="resolved", reason="clear")
    assert found(case.audit(events={**others, mark: over})) == [name]
    status = "pending" if event.status == "firing" else "firing"
    assert found(case.audit(events={**others, mark: msgspec.structs.replace(event, status=status)})) == [name]
    moved = msgspec.structs.replace(event, since="2023-11-14T22:00:00.000Z")
    assert found(case.audit(events={**others, mark: moved})) == [f"{name} since"]
    assert not found(case.audit(events={**others, mark: None}))


def test_an_alert_that_no_window_speaks_of_is_named() -> None:
    case = truth_case()
    other = next(
        event for event in case.events.values() if event is not None and event.monitor == "performance"
    )
    other = msgspec.structs.replace(other, fingerprint="other", subject="recall", status="firing")
    assert found(case.audit(events={**case.events, "other": other})) == ["alert on recall"]
    elsewhere = msgspec.structs.replace(other, subject="recall (canary)")
    assert not found(case.audit(events={**case.events, "other": elsewhere}))


def test_alerts_whose_events_may_not_all_be_there_are_left_alone() -> None:
    case = truth_case()
    assert found(case.audit(events={}))
    last = max(order(one)[1:] for one in case.last)
    assert not found(case.audit(events={}, told=(last[0] - 1, last[1])))
