"""Windows of every kind, replays and changes of settings: the latest word does not hang on the batches."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.alerts import rfc3339
from atalaia.monitors.configuration import Duration
from atalaia.records import Label, MonitorChange, Observation
from tests.unit.monitors.truth.truth_log import (
    SECOND,
    Bundles,
    Row,
    Told,
    Worker,
    clock,
    manifest_of,
    replayed,
    seen,
)

START = 1_700_000_040_000
NOW = START + 10**9
"""When a replay of the past is written."""

SLIDING: dict[str, Any] = {"window": "60s", "step": "20s", "lateness": "10s"}
LAST: dict[str, Any] = {"last_rows": 4, "pane": "20s", "lateness": "5s"}
TUMBLING: dict[str, Any] = {"window": "40s", "pane": "20s", "lateness": "0s"}
HORIZONS: list[Duration] = ["15s", "90s", "5m"]


@dataclass(frozen=True)
class Log:
    """Two topics, how they are read, and where the worker is killed."""

    tables: dict[str, Any]
    messages: list[Observation]
    truth: list[Told]
    batches: list[tuple[int, int]]
    kills: list[bool]


@st.composite
def rows(draw: st.DrawFn, time: int, number: int) -> list[Row]:
    given = draw(st.lists(st.tuples(st.integers(-90, 40), st.integers(0, 1), st.booleans()), max_size=5))
    return [
        Row(
            f"{number}-{place}",
            time - behind * SECOND,
            predicted,
            score=(0.25, 0.75)[predicted],
            abstained=out,
        )
        for place, (behind, predicted, out) in enumerate(given)
    ]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    horizon = draw(st.sampled_from(HORIZONS))
    kinds = draw(st.tuples(*[st.sampled_from([SLIDING, LAST, TUMBLING])] * 2))
    detector = {"detector": "adwin", "column": "error", "alerts": True, "parameters": {"clock": 1}}
    tables = {
        "labels": {"horizon": horizon},
        "performance": {**kinds[0], "minimum_labelled_rows": 1, "detectors": [detector], "hits": 1},
        "fairness": {**kinds[1], "rows": 1, "outcomes": 1},
    }
    replays = draw(st.booleans())
    messages, truth = [seen(START, Row("first", START))], [clock(START)]
    if replays:
        begin = replayed("begin", START)
        messages = [seen(NOW, marks=[begin]), seen(NOW, Row("first", START))]
        truth.append(Told((), mark=begin))
    time = START
    for number in range(draw(st.integers(1, 8))):
        time += draw(st.integers(1, 40)) * SECOND
        kind = draw(st.integers(0, 9))
        if kind == 0:
            messages.append(seen(time, changes=[draw(changes())]))
            continue
        some = draw(rows(time, number))
        marks = [replayed("at", time)] if replays else []
        messages.append(seen(NOW + time - START if replays else time, *some, marks=marks))
        truth += draw(labels(some, time))
        if draw(st.booleans()):
            truth.append(Told((), mark=replayed("at", time)) if replays else clock(time))
    if replays:
        truth.append(Told((), mark=replayed("end", time)))
        messages.append(seen(NOW + time - START, marks=[replayed("end", time)]))
    batches = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12))
    return Log(tables, messages, truth, batches, draw(st.lists(st.booleans(), min_size=12, max_size=12)))


@st.composite
def changes(draw: st.DrawFn) -> MonitorChange:
    tables: dict[str, Any] = draw(
        st.sampled_from([{"performance": {"maximum_drop": 0.3}}, {"fairness": {"ratio": 0.5}}])
    )
    return MonitorChange("m", tables, rfc3339(START))


@st.composite
def labels(draw: st.DrawFn, rows: list[Row], time: int) -> list[Told]:
    answer = []
    for row in rows:
        for behind, label in draw(
            st.lists(st.tuples(st.integers(-30, 60), st.sampled_from(["no", "yes"])), max_size=2)
        ):
            known = rfc3339(row.time_ms + behind * SECOND)
            answer.append(Told((Label(row.id, label, time=known),), time))
    return answer


def drained(worker: Worker) -> Worker:
    for step in range(3):
        end = 2 * NOW + step * 10**9
        worker.say([seen(end)], [clock(end)])
    return worker


def read(log: Log) -> Worker:
    worker = Worker(Bundles.of(manifest_of(tables=log.tables)))
    observed, truth = list(log.messages), list(log.truth)
    worker.say([observed.pop(0)])
    for place, (some, others) in enumerate(log.batches):
        if log.kills[place]:
            worker.restart()
        worker.say(observed[:some], truth[:others])
        observed, truth = observed[some:], truth[others:]
    worker.restart()
    worker.say(observed, truth)
    return worker


def standing(worker: Worker) -> dict[str, Any]:
    """What readers of the alerts believe, by fingerprint."""
    return {
        event.fingerprint: (event.status, event.since)
        for event in worker.alerts()
        if event.status != "resolved" or event.reason == "clear"
    }


@given(logs())
@settings(max_examples=40, deadline=None)
def test_the_last_word_on_every_window_is_the_same_however_the_logs_are_read(log: Log) -> None:
    whole = Worker(Bundles.of(manifest_of(tables=log.tables)))
    whole.say(log.messages, log.truth)
    parted = read(log)
    assert drained(whole).contents() == drained(parted).contents()
    results = whole.performance().values()
    assert not any(result.provisional for result in results)
    assert standing(whole).keys() == standing(parted).keys()
