"""What the records say of the watched stream, as figures. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from atalaia.demo.history import History, Record, begins_ms
from atalaia.demo.plan import NEW_LABORATORY, STATIONARY, UNFAIR, Phase, Plan
from atalaia.topics import DRIFT, FAIRNESS, PERFORMANCE

INPUTS = "inputs"
"""What the alert on drift of a model's columns is about, all of them together."""
BY_SEX = "flag_rate_ratio by sex"
ENOUGH_COVERAGE = 0.8
_NAMED = 3


class Calm(NamedTuple):
    """A stationary time: windows that were judged, by monitor, and alerts that fired in it."""

    windows: dict[str, int]
    fired: list[Record]


class Moved(NamedTuple):
    """A column that an alert on drift names: how far it moved, and the values that grew and shrank."""

    column: str
    effect: float
    p_adjusted: float
    grew: str
    shrank: str


class Change(NamedTuple):
    """An alert on drift, and the columns that were hits in its last window and in one before."""

    since: str
    decided: str
    columns: list[Moved]


class Unfair(NamedTuple):
    """An alert on fairness: the gap of its last deciding window, and the groups it lies between."""

    since: str
    value: float
    low: float
    high: float
    between: list[str]
    groups: list[Record]


class Ended(NamedTuple):
    """An alert that fired, since when, and until when; None while it fires."""

    monitor: str
    subject: str
    since: str
    until: str | None


def calm(history: History, plan: Plan) -> Calm:
    """What was said of the first, stationary days."""
    phase = plan.first(STATIONARY)
    windows = {
        "drift": sum(1 for record in _of(history, DRIFT.name, phase) if record.get("judged")),
        "performance": sum(
            1 for record in _of(history, PERFORMANCE.name, phase) if not record["provisional"]
        ),
        "fairness": sum(1 for record in _of(history, FAIRNESS.name, phase) if not record["provisional"]),
    }
    return Calm(
        windows, [event for event in history.alerts(status="firing") if phase.holds(begins_ms(event))]
    )


def revised(history: History, topic: str) -> list[Record]:
    """The revisions of the first window that was told before its truth had come and again once it had."""
    for revisions in history.windows(topic):
        first, last = revisions[0], revisions[-1]
        if first["provisional"] and _covered(first) < ENOUGH_COVERAGE and not last["provisional"]:
            return revisions
    return []


def distinct(revisions: Sequence[Record]) -> list[Record]:
    """Those that say anything new: the first, and each with other labels than the one before."""
    changed = [after for before, after in pairwise(revisions) if after["labelled"] != before["labelled"]]
    return [*revisions[:1], *changed]


def change_of_laboratory(history: History, plan: Plan) -> Change | None:
    """The alert on drift that goes back to the new laboratory; None where there is none."""
    phase = plan.first(NEW_LABORATORY)
    for event in history.alerts(status="firing", monitor="drift"):
        if event["subject"] == INPUTS and phase.holds(begins_ms(event)):
            return change(event)
    return None


def change(event: Record) -> Change:
    """What a firing alert on drift says, the column that moved furthest first."""
    *earlier, last = event["evidence"]["windows"]
    before = {_test(column) for window in earlier for column in window["columns"]}
    columns = [
        Moved(
            column["column"] if column["test"] != "missing" else f"{column['column']} missing",
            column["effect"],
            column["p_adjusted"],
            _range(column.get("grew")),
            _range(column.get("shrank")),
        )
        for column in last["columns"]
        if _test(column) in before
    ]
    return Change(event["since"], last["end"], sorted(columns, key=lambda moved: moved.effect, reverse=True))


def unfairness(history: History, plan: Plan) -> Unfair | None:
    """The alert on the rates at which the sexes are flagged; None where there is none."""
    phase = plan.first(UNFAIR)
    for event in history.alerts(status="firing", monitor="fairness"):
        if event["subject"] == BY_SEX and phase.holds(begins_ms(event)):
            window = event["evidence"]["windows"][-1]
            (result,) = (
                one for one in history.latest(FAIRNESS.name) if one["window"]["start"] == window["start"]
            )
            groups = [group for group in result["groups"] if list(group["group"]) == ["sex"]]
            return Unfair(
                event["since"], window["value"], window["low"], window["high"], window["between"], groups
            )
    return None


def endings(history: History) -> list[Ended]:
    """Every alert that fired, by when it began, and whether it is over."""
    fired: dict[tuple[str, str], Ended] = {}
    for event in history.alerts():
        key = event["fingerprint"], event["since"]
        if event["status"] == "firing":
            fired[key] = Ended(event["monitor"], _subject(event), event["since"], None)
        elif event["status"] == "resolved" and key in fired:
            fired[key] = fired[key]._replace(until=event["until"])
    return sorted(fired.values(), key=lambda ended: (ended.since, ended.monitor, ended.subject))


def _of(history: History, topic: str, phase: Phase) -> list[Record]:
    return [record for record in history.latest(topic) if phase.holds(begins_ms(record))]


def _subject(event: Record) -> str:
    """What an alert is about: of the inputs, the columns it names."""
    if event["monitor"] != "drift" or event["subject"] != INPUTS:
        return str(event["subject"])
    names = [moved.column for moved in change(event).columns]
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _test(column: Record) -> tuple[str, str]:
    return column["column"], column["test"]


def _covered(record: Record) -> float:
    return record["labelled"] / record["n"] if record["n"] else 0.0


def _range(grew: dict[str, Any] | None) -> str:
    """Values and their shares, in words: numbers were served in single precision, and are told shorter."""
    if grew is None:
        return ""
    if "category" in grew:
        values = str(grew["category"])
    elif "low" not in grew:
        values = f"up to {grew['high']:.4g}"
    elif "high" not in grew:
        values = f"from {grew['low']:.4g}"
    else:
        values = f"{grew['low']:.4g} to {grew['high']:.4g}"
    return f"{values}: {100 * grew['reference_share']:.0f} > {100 * grew['share']:.0f} %"
