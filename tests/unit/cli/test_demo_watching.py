"""What the demo makes of the records of the monitors, and what it does when they are not as it claims."""

import io
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from rich.console import Console

from atalaia.alerts import rfc3339
from atalaia.bundles.manifest import Manifest, ModelFile
from atalaia.demo import findings
from atalaia.demo.checks import Checks
from atalaia.demo.history import History
from atalaia.demo.plan import DAY_MS, NEW_LABORATORY, UNFAIR, Phase, Plan
from atalaia.demo.replaying import Replayed
from atalaia.demo.telling import Teller
from atalaia.demo.watching import INSTRUMENT, Watching
from atalaia.replay.outcome import Outcome
from atalaia.settings import Settings

PLAN = Plan(start_ms=20 * DAY_MS, rows_an_hour=600)
HOUR_MS = 3_600_000
Record = dict[str, Any]


def window(start_ms: int, length_ms: int = DAY_MS) -> dict[str, str]:
    return {"start": rfc3339(start_ms), "end": rfc3339(start_ms + length_ms)}


def drift(start_ms: int) -> Record:
    return {"model": "bmp", "window": window(start_ms, HOUR_MS), "judged": {"n": 600}}


def performance(start_ms: int, revision: int, labelled: int) -> Record:
    metrics = {"accuracy": 0.99 if labelled else None, "recall": None, "precision": None}
    return {
        "model": "bmp", "window": window(start_ms), "revision": revision, "provisional": labelled < 80,
        "n": 100, "labelled": labelled, "metrics": metrics,
    }  # fmt: skip


def fairness(start_ms: int, revision: int, labelled: int) -> Record:
    groups = [
        {"group": {"sex": sex}, "labelled": labelled, "flag_rate": rate, "prevalence": rate, "tpr": None}
        for sex, rate in (("F", 0.1), ("M", 0.02))
    ] + [{"group": {"age": "<30"}}, {"group": {"sex": "F", "age": "<30"}}]
    result = performance(start_ms, revision, labelled)
    return {**result, "groups": groups}


def event(status: str, monitor: str, subject: str, since_ms: int, **evidence: Any) -> Record:
    until = rfc3339(since_ms + DAY_MS) if status == "resolved" else None
    return {
        "model": "bmp", "fingerprint": subject, "status": status, "monitor": monitor, "subject": subject,
        "since": rfc3339(since_ms), "until": until, "evidence": evidence,
    }  # fmt: skip


def moved(column: str, effect: float, test: str = "ks") -> Record:
    grew = {"share": 0.5, "reference_share": 0.25, "low": 4.199999809265137, "high": 4.9}
    shrank = {"share": 0.1, "reference_share": 0.2, "high": 3.5}
    return {
        "column": column, "test": test, "effect": effect, "p_adjusted": 1e-9, "grew": grew, "shrank": shrank
    }  # fmt: skip


def drift_event(since_ms: int, *windows: list[Record], status: str = "firing") -> Record:
    told = [
        {**window(since_ms + place * HOUR_MS, HOUR_MS), "columns": columns}
        for place, columns in enumerate(windows)
    ]
    return event(status, "drift", "inputs", since_ms, windows=told)


def unfair_event(since_ms: int, *, high: float = 0.3) -> Record:
    told = {**window(since_ms + DAY_MS), "value": 0.2, "low": 0.1, "high": high, "between": ["M", "F"]}
    return event("firing", "fairness", findings.BY_SEX, since_ms, windows=[window(since_ms), told])


def phase(name: str) -> Phase:
    return PLAN.first(name)


def as_told() -> dict[str, list[Record]]:
    """The records of a run in which everything is as it is claimed."""
    changed_ms, unfair_ms = phase(NEW_LABORATORY).start_ms, phase(UNFAIR).start_ms
    columns = [moved(column, 0.2 + place / 10) for place, column in enumerate(INSTRUMENT)]
    stages = [(PLAN.start_ms, revision, labelled) for revision, labelled in enumerate((0, 40, 85, 100, 100))]
    return {
        "drift": [drift(PLAN.start_ms + hour * HOUR_MS) for hour in range(48)],
        "performance": [performance(*stage) for stage in stages],
        "fairness": [*(fairness(*stage) for stage in stages), fairness(unfair_ms + DAY_MS, 0, 100)],
        "alerts": [
            drift_event(changed_ms, columns, columns),
            event("resolved", "drift", "inputs", changed_ms),
            unfair_event(unfair_ms),
            event("resolved", "fairness", findings.BY_SEX, unfair_ms),
        ],
    }


def history_of(records: dict[str, list[Record]]) -> History:
    values = {topic: [orjson.dumps(record) for record in several] for topic, several in records.items()}
    return History("bmp", values, start_ms=PLAN.start_ms, end_ms=PLAN.end_ms)


def replayed_of(records: dict[str, list[Record]]) -> Replayed:
    outcome = Outcome(
        replay="r", model="bmp", version="1", start=rfc3339(PLAN.start_ms), end=rfc3339(PLAN.end_ms - 1),
        rows=100, answered=99, abstained=1, failed=0, seconds=1, rows_per_second=100,
        monitors={"drift": "caught up", "fairness": "caught up"},
    )  # fmt: skip
    manifest = Manifest("bmp", "1", "classification", ModelFile("tensor"), features=(), classes=("a", "b"))
    return Replayed(outcome, history_of(records), [], manifest)


def told(records: dict[str, list[Record]]) -> tuple[Checks, str]:
    """All that is told of some records: the checks, and the screen."""
    screen = io.StringIO()
    tell = Teller(Console(file=screen, width=100))
    watching = Watching(Settings(), PLAN, tell, Checks(), day_seconds=1)
    replayed = replayed_of(records)
    watching.tell_calm(replayed)
    watching.tell_truth(replayed)
    watching.tell_drift(replayed)
    watching.tell_fairness(replayed)
    watching.tell_endings(replayed)
    return watching.checks, screen.getvalue()


def test_the_days_follow_each_other_without_a_gap() -> None:
    plan = Plan.until(30 * DAY_MS + 5, rows_an_hour=600)
    assert plan.end_ms == 30 * DAY_MS
    ends = [phase.end_ms for phase in plan.phases]
    assert [phase.start_ms for phase in plan.phases] == [plan.start_ms, *ends[:-1]]
    assert ends[-1] == plan.end_ms
    small = Plan(start_ms=0, rows_an_hour=4)
    stream = small.stream(None)
    assert len(stream) == small.rows
    assert stream.event_time_ms[[0, -1]].tolist() == [0, small.end_ms - small.interval_ms]


def test_records_as_they_are_claimed_hold_every_check_and_are_told_with_their_numbers() -> None:
    checks, screen = told(as_told())
    assert checks.failed == []
    assert len(checks) == 7
    assert "48 windows judged for drift, 1 for performance, 1 for fairness: 0 alerts" in screen
    words = " ".join(screen.split())
    assert "0 0 of 100 0 % - - - provisional 1 40 of 100 40 % 0.99 - - provisional" in words
    assert "2 85 of 100 85 % 0.99 - - judged 3 100 of 100 100 %" in words
    assert "4 100 of 100" not in words, "a revision that says nothing new"
    assert "co2_totl 0.5 1e-09 4.2 to 4.9: 25 > 50 % up to 3.5: 20 > 10 %" in words
    assert "M are flagged 0.2 times as often as F (interval 0.1 to 0.3;" in words
    assert max(map(len, screen.splitlines())) <= 100


def without(topic: str, count: int) -> Callable[[dict[str, list[Record]]], None]:
    """Leave out the last records of a topic."""

    def change(records: dict[str, list[Record]]) -> None:
        del records[topic][-count:]

    return change


def with_alert(records: dict[str, list[Record]]) -> None:
    records["alerts"].insert(0, event("resolved", "drift", "label", PLAN.start_ms))
    records["alerts"].insert(0, event("firing", "drift", "label", PLAN.start_ms))


def one_column_less(records: dict[str, list[Record]]) -> None:
    first, second = records["alerts"][0]["evidence"]["windows"]
    second["columns"] = second["columns"][1:]
    assert len(first["columns"]) == len(INSTRUMENT)


def always_known(records: dict[str, list[Record]]) -> None:
    records["performance"] = [performance(PLAN.start_ms, 0, 100), performance(PLAN.start_ms, 1, 100)]


def wide(records: dict[str, list[Record]]) -> None:
    records["alerts"][2] = unfair_event(phase(UNFAIR).start_ms, high=0.9)


@pytest.mark.parametrize(
    ("change", "claim", "found"),
    [
        (with_alert, "nothing fires while nothing changes", "drift label"),
        (without("drift", 48), "windows of the stationary days were judged", "'drift': 0"),
        (always_known, "a window's performance is provisional", "no window is"),
        (one_column_less, "the change of laboratory fires an alert", "co2_totl, potassium_plas, sodium"),
        (without("alerts", 4), "the change of laboratory fires an alert", "no alert"),
        (without("alerts", 2), "an alert on flag_rate_ratio by sex", "None"),
        (wide, "an alert on flag_rate_ratio by sex", "high=0.9"),
        (without("alerts", 1), "all alerts are resolved", "fairness flag_rate_ratio by sex"),
    ],
)
def test_what_is_not_as_it_is_claimed_is_found(
    change: Callable[[dict[str, list[Record]]], None], claim: str, found: str
) -> None:
    records = as_told()
    change(records)
    checks, _ = told(records)
    (failed,) = [check for check in checks.failed if check.claim.startswith(claim)]
    assert found in failed.found


def test_records_of_other_models_and_times_take_no_part() -> None:
    records = as_told()
    other = {**drift(PLAN.start_ms), "model": "other"}
    later = event("firing", "latency", "requests", PLAN.end_ms)
    history = history_of({"drift": [*records["drift"], other, drift(PLAN.end_ms)], "alerts": [later]})
    assert len(history.latest("drift")) == 48
    assert history.alerts() == []


def test_an_alert_that_fires_again_is_over_when_it_is_resolved_again() -> None:
    at_ms = PLAN.start_ms
    alerts = [
        event("firing", "performance", "accuracy", at_ms),
        event("resolved", "performance", "accuracy", at_ms),
        event("firing", "performance", "accuracy", at_ms + DAY_MS),
    ]
    first, again = findings.endings(history_of({"alerts": alerts}))
    assert (first.until, again.until) == (rfc3339(at_ms + DAY_MS), None)


def test_an_alert_on_inputs_is_about_what_was_hit_in_its_last_window_and_before() -> None:
    a, b, c = moved("a", 0.1), moved("b", 0.2), moved("c", 0.3)
    missing = moved("a", 0.4, "missing")
    (change,) = [findings.change(drift_event(0, [a, c], [b], [missing, a, b]))]
    assert [one.column for one in change.columns] == ["b", "a"]
    names = [moved(name, 0.1) for name in "abcd"]
    (ended,) = findings.endings(history_of({"alerts": [drift_event(PLAN.start_ms, names, names)]}))
    assert ended.subject == "a, b, c, ..."
    told = findings.change(drift_event(0, [missing], [missing]))
    assert told.columns[0].column == "a missing"


def test_a_replay_that_is_not_whole_says_why() -> None:
    whole = replayed_of({})
    assert whole.trouble == ""
    late = Outcome(**{
        **{name: getattr(whole.outcome, name) for name in whole.outcome.__struct_fields__},
        "answered": 90,
        "monitors": {"drift": "behind", "fairness": "caught up"},
    })  # fmt: skip
    broken = Replayed(late, whole.history, [], whole.manifest)
    assert broken.trouble == "90 answered and 1 abstained on, of 100 rows, drift behind"
