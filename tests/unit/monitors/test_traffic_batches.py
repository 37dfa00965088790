"""However the log is cut into batches, and wherever state is stored and restored, the alerts are the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atalaia.alerts import AlertEvent
from atalaia.monitors.traffic import TrafficMonitor
from atalaia.records import MonitorChange, Observation
from tests.unit.monitors.traffic_log import (
    MINUTE,
    Bundles,
    events_of,
    records,
    replay,
    rows,
    seen,
    started,
    take,
)

MODELS = ("m", "other")
TABLES: dict[str, Any] = {
    "abstention": {"minimum_rows": 2, "window": "1m", "lateness": "5s"},
    "latency": {"minimum_rows": 2, "window": "1m", "limit": "1s"},
    "silence": {"after": "3m"},
}
BUNDLES = Bundles({(model, version): TABLES for model in MODELS for version in ("1", "2")})


@st.composite
def messages(draw: st.DrawFn) -> list[Observation]:
    """A quarter of an hour of two models, with replays, changes, stragglers and partitions behind."""
    time_ms, log = 1_000 * MINUTE, []
    replays = 0
    for _ in range(draw(st.integers(1, 25))):
        time_ms += draw(st.sampled_from([0, 500, 20_000, 70_000, 200_000]))
        models = [
            rows(
                [time_ms - back for back in draw(st.lists(st.sampled_from([0, 1_000, 90_000]), max_size=4))],
                abstained=draw(st.integers(0, 4)),
                model=draw(st.sampled_from(MODELS)),
                version=draw(st.sampled_from(["1", "2"])),
                partition=draw(st.integers(0, 3)),
                waited=draw(st.lists(st.tuples(st.sampled_from([1, 3_000]), st.integers(1, 3)), max_size=2)),
            )
            for _ in range(draw(st.integers(0, 2)))
        ]
        at_end = draw(st.sampled_from([(0, 1, 2, 3), (0, 1, 2, 3), (1, 2, 3), ()]))
        marks = []
        kind = draw(st.sampled_from(["", "", "", "begin", "at", "end"]))
        if kind:
            replays += kind == "begin"
            marks = [replay(kind, draw(st.integers(0, 20)) * MINUTE, f"r{replays}")]
        log.append(seen(time_ms, *models, at_end=at_end, marks=marks))
        if draw(st.integers(0, 9)) == 0:
            rate = draw(st.sampled_from([0.0, 0.5, 1.0]))
            window = draw(st.sampled_from(["1m", "2m"]))
            table = {**TABLES["abstention"], "rate": rate, "window": window}
            change = MonitorChange("m", {"abstention": table}, "2026-01-01T00:00:00Z")
            log.append(seen(0, changes=[change]))
    return log


@given(messages(), st.data())
def test_batches_and_restarts_leave_no_trace(log: list[Observation], data: st.DataObject) -> None:
    batch = records(log)
    whole = started(bundles=BUNDLES)
    expected = take(whole, batch)

    events: list[AlertEvent] = []
    monitor, place, metadata = started(bundles=BUNDLES), 0, b""
    while place < len(batch):
        size = data.draw(st.integers(1, len(batch) - place))
        change = take(monitor, batch[place : place + size])
        events, metadata, place = [*events, *events_of(change)], change.metadata, place + size
        assert not change.writes
        if data.draw(st.booleans()):
            monitor = TrafficMonitor(BUNDLES)
            monitor.restore(metadata, {})
    assert events == events_of(expected)
    assert metadata == expected.metadata
    assert monitor.counts() == whole.counts()


@given(messages())
def test_statuses_of_an_alert_alternate(log: list[Observation]) -> None:
    latest: dict[str, str] = {}
    for event in events_of(take(started(bundles=BUNDLES), records(log))):
        assert event.status in ("firing", "resolved")
        assert event.status != latest.get(event.fingerprint, "resolved")
        latest[event.fingerprint] = event.status
