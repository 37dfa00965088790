"""Alerts of traffic: rows refused, requests that waited, silence; what a replay and a change do to them."""

from typing import Any

import pytest

from atalaia.alerts import AlertEvent, rfc3339
from atalaia.records import MonitorChange, Observation
from atalaia.topics import OBSERVATIONS
from tests.unit.monitors.traffic_log import (
    HOUR,
    MINUTE,
    Bundles,
    records,
    replay,
    rows,
    seen,
    started,
    take,
    told,
)

T = 1_000 * HOUR
WINDOW = 5 * MINUTE


def brief(events: list[AlertEvent]) -> list[tuple[str, str, str]]:
    return [(event.monitor, event.version, event.status) for event in events]


def refusing(start: int, n: int, refused: int, **more: Any) -> Observation:
    """Rows within a window, seen as they came."""
    return seen(start + MINUTE, rows([start + MINUTE] * n, abstained=refused, **more))


class TestAbstention:
    @pytest.mark.parametrize(
        ("n", "refused", "fires"),
        [(20, 5, True), (20, 4, False), (19, 19, False), (1000, 200, False), (1000, 201, True)],
    )
    def test_more_than_a_fifth_of_at_least_twenty_rows_fire(self, n: int, refused: int, fires: bool) -> None:
        monitor = started()
        before = told(monitor, refusing(T, n, refused), seen(T + WINDOW + 9_999))
        assert before == []
        events = told(monitor, seen(T + WINDOW + 10_000))
        assert brief(events) == ([("abstention", "1", "firing")] if fires else [])

    def test_the_event_says_where_and_how_much(self) -> None:
        monitor = started()
        [event] = told(monitor, refusing(T, 40, 10), seen(T + WINDOW + 10_000))
        assert (event.subject, event.since, event.severity) == ("rows", rfc3339(T), "warning")
        assert event.evidence == {
            "windows": [
                {
                    "start": rfc3339(T),
                    "end": rfc3339(T + WINDOW),
                    "rows": 40,
                    "abstained": 10,
                    "rate": 0.25,
                    "threshold": 0.2,
                }
            ]
        }

    def test_the_first_clear_window_with_enough_rows_resolves(self) -> None:
        monitor = started()
        events = told(
            monitor,
            refusing(T, 20, 20),
            refusing(T + WINDOW, 19, 0),
            refusing(T + 2 * WINDOW, 20, 0),
            seen(T + 3 * WINDOW + 10_000),
        )
        assert brief(events) == [("abstention", "1", "firing"), ("abstention", "1", "resolved")]
        assert events[1].until == rfc3339(T + 3 * WINDOW)

    def test_three_windows_without_enough_rows_resolve(self) -> None:
        monitor = started()
        told(monitor, refusing(T, 20, 20), refusing(T + WINDOW, 19, 19))
        assert told(monitor, seen(T + 4 * WINDOW + 9_999))[1:] == []
        [event] = told(monitor, seen(T + 4 * WINDOW + 10_000))
        assert (event.status, event.reason) == ("resolved", "clear")
        [window] = event.evidence["windows"]
        assert window["windows_without_verdict"] == 3

    def test_late_rows_are_counted_and_those_ahead_too(self) -> None:
        monitor = started()
        told(monitor, seen(T + 2 * WINDOW, rows([T + 2 * WINDOW])))
        told(monitor, seen(T + 2 * WINDOW, rows([T] * 30 + [T + 2 * WINDOW + MINUTE + 1], abstained=30)))
        assert told(monitor, seen(T + 9 * WINDOW)) == []
        assert monitor.counts()["late_rows"] == {("m", "1"): 30}
        assert monitor.counts()["ahead_rows"] == {("m",): 1}

    def test_versions_are_judged_apart_and_shadows_not_at_all(self) -> None:
        monitor = started()
        canary = rows([T + MINUTE] * 20, abstained=20, version="2", role="canary")
        shadow = rows([T + MINUTE] * 20, abstained=20, version="3", role="shadow")
        fine = rows([T + MINUTE] * 20)
        events = told(monitor, seen(T + MINUTE, fine, canary, shadow), seen(T + WINDOW + 10_000))
        assert brief(events) == [("abstention", "2", "firing")]

    def test_a_partition_behind_holds_the_verdict_back(self) -> None:
        monitor = started()
        told(monitor, refusing(T, 20, 20))
        ended = T + WINDOW + 10_000
        assert told(monitor, seen(ended, at_end=(0, 1, 2))) == []
        assert brief(told(monitor, seen(ended))) == [("abstention", "1", "firing")]


class TestLatency:
    def wait(self, start: int, *waited: tuple[int, int]) -> Observation:
        return seen(start, rows([start], waited=waited))

    def test_too_many_rows_of_batches_that_waited_fire(self) -> None:
        monitor = started()
        fine = self.wait(T, (2_000, 95), (2_001, 5))
        slow = self.wait(T + WINDOW, (1, 94), (7_000, 6))
        assert told(monitor, fine, slow) == []
        [event] = told(monitor, seen(T + 2 * WINDOW))
        assert (event.monitor, event.subject, event.status) == ("latency", "requests", "firing")
        [window] = event.evidence["windows"]
        assert window == {
            "start": rfc3339(T + WINDOW),
            "end": rfc3339(T + 2 * WINDOW),
            "rows": 100,
            "waited": 6,
            "rate": 0.06,
            "threshold": 0.05,
            "longest_ms": 7_000,
        }
        assert brief(told(monitor, self.wait(T + 2 * WINDOW, (1, 20)), seen(T + 3 * WINDOW))) == [
            ("latency", "1", "resolved")
        ]

    def test_record_time_never_goes_back(self) -> None:
        """Another scorer's clock is a little behind: its rows count in the window that is open."""
        monitor = started()
        told(monitor, self.wait(T, (9_000, 19)), self.wait(T - 1, (9_000, 1)))
        assert brief(told(monitor, seen(T + WINDOW))) == [("latency", "1", "firing")]

    def test_observations_without_waits_say_nothing(self) -> None:
        monitor = started()
        assert told(monitor, seen(T, rows([T] * 30)), seen(T + 9 * MINUTE)) == []


class TestSilence:
    def test_an_hour_without_rows_fires_and_the_next_row_resolves(self) -> None:
        monitor = started()
        told(monitor, seen(T, rows([T])))
        assert told(monitor, seen(T + HOUR - 1)) == []
        [event] = told(monitor, seen(T + HOUR))
        assert (event.monitor, event.subject, event.status) == ("silence", "traffic", "firing")
        assert event.since == rfc3339(T)
        assert event.evidence["windows"][0]["after_ms"] == HOUR
        later = T + 5 * HOUR
        [end] = told(monitor, seen(later, rows([later], version="2")))
        assert (end.status, end.fingerprint, end.until) == ("resolved", event.fingerprint, rfc3339(later))
        assert brief(told(monitor, seen(later + HOUR))) == [("silence", "2", "firing")]

    def test_a_backlog_is_not_silence(self) -> None:
        monitor = started()
        told(monitor, seen(T, rows([T])))
        assert told(monitor, *(seen(T + n * HOUR, at_end=(0, 2, 3)) for n in range(1, 5))) == []
        assert brief(told(monitor, seen(T + 5 * HOUR, at_end=(1,)))) == [("silence", "1", "firing")]

    def test_a_model_without_traffic_and_one_only_replayed_are_not_silent(self) -> None:
        monitor = started()
        messages = [
            seen(T, marks=[replay("begin", 0)]),
            seen(T, rows([0])),
            seen(T + 3 * HOUR, marks=[replay("end", HOUR)]),
            seen(T + 30 * HOUR),
        ]
        assert told(monitor, *messages) == []

    def test_a_replay_is_no_silence_and_counts_from_its_end(self) -> None:
        monitor = started()
        told(monitor, seen(T, rows([T])), seen(T, marks=[replay("begin", 0)]))
        assert told(monitor, seen(T + 5 * HOUR), seen(T + 5 * HOUR, marks=[replay("end", HOUR)])) == []
        assert told(monitor, seen(T + 6 * HOUR - 1)) == []
        assert brief(told(monitor, seen(T + 6 * HOUR))) == [("silence", "1", "firing")]

    def test_what_is_lost_may_have_been_traffic(self) -> None:
        monitor = started()
        told(monitor, seen(T, rows([T])))
        monitor.lose(OBSERVATIONS, 1, 9)
        assert told(monitor, seen(T + 5 * HOUR)) == []


class TestReplay:
    def test_rows_of_the_past_are_judged_in_their_own_time_and_their_waits_not(self) -> None:
        monitor = started()
        told(monitor, refusing(T, 20, 0), seen(T + WINDOW + 10_000))
        old = rows([1_000] * 20, abstained=20, waited=[(60_000, 20)])
        begun = T + 2 * WINDOW
        events = told(
            monitor,
            seen(begun, old, marks=[replay("begin", 0)]),
            seen(begun + 1, marks=[replay("at", WINDOW + 10_000)]),
        )
        assert brief(events) == [("abstention", "1", "firing")]
        assert events[0].since == rfc3339(0)
        assert told(monitor, seen(begun + HOUR, marks=[replay("end", WINDOW + 10_000)])) == []

    def test_an_alert_goes_on_over_a_replay_and_the_next_window_decides(self) -> None:
        monitor = started()
        told(monitor, refusing(T, 20, 20), seen(T + WINDOW + 10_000))
        events = told(
            monitor,
            seen(T + 2 * WINDOW, rows([1_000] * 20), marks=[replay("begin", 0)]),
            seen(T + 2 * WINDOW, marks=[replay("end", WINDOW + 10_000)]),
        )
        assert brief(events) == [("abstention", "1", "resolved")]
        assert events[0].since == rfc3339(T)


class TestSettings:
    def test_those_of_the_bundle_and_of_changes_hold_from_the_next_message(self) -> None:
        monitor = started({"abstention": {"rate": 0.5}})
        change = MonitorChange("m", {"abstention": {"rate": 0.1}}, "2026-01-01T00:00:00Z")
        events = told(
            monitor,
            refusing(T, 20, 8),
            refusing(T + WINDOW, 20, 8),
            seen(T + WINDOW + 10_000),
            seen(0, changes=[change]),
            seen(T + 2 * WINDOW + 10_000),
        )
        assert [event.since for event in events] == [rfc3339(T + WINDOW)]

    def test_other_windows_begin_anew(self) -> None:
        monitor = started()
        change = MonitorChange("m", {"abstention": {"window": "1m"}}, "2026-01-01T00:00:00Z")
        events = told(
            monitor,
            refusing(T, 20, 20),
            seen(0, changes=[change]),
            seen(T + HOUR),
            refusing(T + HOUR, 20, 20),
            seen(T + 2 * HOUR),
        )
        assert [(event.status, event.since) for event in events if event.monitor == "abstention"] == [
            ("firing", rfc3339(T + HOUR + MINUTE)),
            ("resolved", rfc3339(T + HOUR + MINUTE)),
        ]

    def test_what_is_switched_off_does_not_go_on_firing(self) -> None:
        monitor = started()
        told(
            monitor, refusing(T, 20, 20), seen(T + WINDOW + 10_000), seen(T + 2 * HOUR, rows([T + 2 * HOUR]))
        )
        assert brief(told(monitor, seen(T + 4 * HOUR))) == [("silence", "1", "firing")]
        told(monitor, refusing(T + 4 * HOUR, 20, 20), seen(T + 4 * HOUR + 2 * WINDOW))
        off = {"abstention": {"enabled": False}, "silence": {"enabled": False}}
        change = MonitorChange("m", off, "2026-01-01T00:00:00Z")
        assert brief(told(monitor, seen(0, changes=[change]))) == [("abstention", "1", "resolved")]
        quiet = told(monitor, refusing(T + 5 * HOUR, 20, 20), seen(T + 6 * HOUR), seen(T + 60 * HOUR))
        assert quiet == []

    def test_a_change_before_the_beginning_is_found_in_the_models_record(self) -> None:
        """Position 10 is the first that is left; the change at 12 is met in the log itself."""
        early = MonitorChange("m", {"abstention": {"rate": 0.9}}, "2026-01-01T00:00:00Z", offset=9)
        late = MonitorChange("m", {"abstention": {"rate": 0.01}}, "2026-01-01T00:00:00Z", offset=12)
        monitor = started(bundles=Bundles({("m", "1"): {}}, [early, late]), position=10)
        assert told(monitor, refusing(T, 20, 17), seen(T + WINDOW + 10_000)) == []

    @pytest.mark.parametrize("tables", [{"abstention": {"rat": 1}}, None])
    def test_without_settings_that_can_be_read_the_defaults_hold(self, tables: dict[str, Any] | None) -> None:
        known = {} if tables is None else {("m", "1"): tables}
        monitor = started(bundles=Bundles(known))
        events = told(monitor, refusing(T, 20, 20), seen(T + WINDOW + 10_000))
        assert brief(events) == [("abstention", "1", "firing")]


def test_bytes_that_are_no_observation_are_counted_and_passed_over() -> None:
    monitor = started()
    [record] = records([seen(T)])
    assert take(monitor, [record._replace(value=b"{"), record._replace(value=None)]).publications == []
    assert monitor.counts()["unreadable_messages"] == {(): 2}


def test_versions_long_unused_are_forgotten() -> None:
    monitor = started()
    told(monitor, seen(T, rows([T], version="old")), seen(T + HOUR, rows([T + HOUR])))
    assert ("m", "old") in monitor.counts()["late_rows"]
    told(monitor, seen(T + 49 * HOUR, rows([T + 49 * HOUR])))
    assert set(monitor.counts()["late_rows"]) == {("m", "1")}
