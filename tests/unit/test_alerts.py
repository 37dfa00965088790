"""Alerts by hand: windows of 10, one letter each (h hit, . clear, o neither, - no verdict)."""

from datetime import UTC, datetime

import msgspec
import pytest

from atalaia.alerts import (
    Acknowledgement,
    AlertEvent,
    AlertFold,
    Finding,
    Rule,
    Silence,
    TrackState,
    fingerprint,
    rfc3339,
    show,
)
from atalaia.windows import Window

TWO_OF_THREE = Rule(hits=2, of=3, clear=3)


def fold(rule: Rule = TWO_OF_THREE) -> AlertFold:
    return AlertFold(model="m", version="1", monitor="drift", rule=rule)


def finding(letter: str) -> list[Finding]:
    if letter == "-":
        return []
    clear = None if letter in "h." else False
    return [Finding("sodium", hit=letter == "h", clear=clear, evidence={"seen": letter})]


def window(place: int) -> Window:
    return Window(place * 10, place * 10 + 10)


def play(alerts: AlertFold, letters: str, *, start: int = 0) -> list[str]:
    """Status, reason and places (of `since` and `until`) of what each window told, in order."""
    return [
        describe(event)
        for place, letter in enumerate(letters, start)
        for event in alerts.judge(window(place), finding(letter))
    ]


def revise(alerts: AlertFold, place: int, letter: str) -> list[str]:
    return [describe(event) for event in alerts.judge(window(place), finding(letter))]


def describe(event: AlertEvent) -> str:
    parts: list[str] = [event.status, event.reason or "", f"since {_place(event.since)}"]
    if event.until is not None:
        parts.append(f"until {_place(event.until)}")
    return " ".join(part for part in parts if part)


def _place(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000) // 10


class TestFiring:
    def test_the_second_hit_of_three_windows_fires_since_the_first(self) -> None:
        assert play(fold(), "..h.h") == ["pending since 2", "firing since 2"]

    def test_two_hits_too_far_apart_do_not_fire(self) -> None:
        assert play(fold(), "h...h") == [
            "pending since 0",
            "resolved lapsed since 0 until 4",
            "pending since 4",
        ]

    def test_pending_lasts_while_one_of_the_last_windows_was_hit(self) -> None:
        assert play(fold(), "h..h..") == ["pending since 0"]

    def test_one_hit_fires_where_one_is_enough(self) -> None:
        assert play(fold(Rule(hits=1, of=1, clear=1)), ".h.") == [
            "firing since 1",
            "resolved clear since 1 until 3",
        ]

    def test_a_window_without_a_verdict_is_not_one_of_the_three(self) -> None:
        assert play(fold(), "h---h") == ["pending since 0", "firing since 0"]

    def test_overlapping_windows_count_once(self) -> None:
        alerts = fold()
        events = alerts.judge(Window(0, 30), finding("h"))
        events += alerts.judge(Window(10, 40), finding("h"))
        assert [event.status for event in events] == ["pending"]
        assert [event.status for event in alerts.judge(Window(30, 60), finding("h"))] == ["firing"]

    def test_subjects_have_alerts_of_their_own(self) -> None:
        alerts = fold(Rule(hits=1, of=1, clear=1))
        events = alerts.judge(window(0), [Finding("b", hit=True), Finding("a", hit=True)])
        assert [event.subject for event in events] == ["a", "b"]
        assert len({event.fingerprint for event in events}) == 2


class TestResolving:
    def test_clear_windows_in_a_row_end_it(self) -> None:
        assert play(fold(), "hh..h...")[2:] == ["resolved clear since 0 until 8"]

    def test_a_window_that_is_no_hit_need_not_be_clear(self) -> None:
        assert play(fold(), "hh..o..")[2:] == []
        assert play(fold(), "hh..o...")[2:] == ["resolved clear since 0 until 8"]

    def test_old_hits_do_not_count_towards_the_next_alert(self) -> None:
        assert play(fold(Rule(hits=2, of=5, clear=1)), "hh.h") == [
            "pending since 0",
            "firing since 0",
            "resolved clear since 0 until 3",
            "pending since 3",
        ]


class TestRevisions:
    def test_one_that_takes_a_deciding_hit_away_withdraws_the_alert(self) -> None:
        alerts = fold()
        play(alerts, "hh.")
        assert revise(alerts, 0, ".") == ["resolved withdrawn since 0 until 2", "pending since 1"]

    def test_one_that_takes_the_only_hit_away_withdraws_what_was_pending(self) -> None:
        alerts = fold()
        play(alerts, "h.")
        assert revise(alerts, 0, ".") == ["resolved withdrawn since 0 until 1"]

    def test_a_window_may_lose_its_verdict(self) -> None:
        alerts = fold()
        play(alerts, "h.")
        assert revise(alerts, 0, "-") == ["resolved withdrawn since 0 until 1"]

    def test_one_that_restates_what_was_known_says_nothing(self) -> None:
        alerts = fold()
        play(alerts, "hoh")
        assert revise(alerts, 1, "h") == []
        assert play(alerts, "...", start=3) == ["resolved clear since 0 until 6"]

    def test_one_that_adds_an_earlier_hit_moves_the_beginning(self) -> None:
        alerts = fold()
        play(alerts, ".hh")
        assert revise(alerts, 0, "h") == ["firing since 0"]

    def test_one_that_finds_an_old_alert_tells_all_of_it(self) -> None:
        alerts = fold()
        play(alerts, "ho......")
        assert revise(alerts, 1, "h") == ["firing since 0", "resolved clear since 0 until 5"]

    def test_one_that_breaks_the_end_fires_again_under_an_id_of_its_own(self) -> None:
        alerts = fold()
        first = [
            event for place in range(5) for event in alerts.judge(window(place), finding("hh..."[place]))
        ]
        again = alerts.judge(window(3), finding("o"))
        assert [describe(event) for event in again] == ["firing since 0"]
        assert again[0].id not in {event.id for event in first}

    def test_one_that_breaks_the_end_of_a_settled_alert_fires_again(self) -> None:
        alerts = fold()
        play(alerts, "hh...")
        alerts.settle(20)
        assert revise(alerts, 4, "h") == ["firing since 0"]

    def test_an_alert_may_turn_out_to_have_only_been_pending(self) -> None:
        alerts = fold()
        play(alerts, "h.h..")
        assert revise(alerts, 2, ".") == ["resolved lapsed since 0 until 4"]


class TestSettling:
    def test_settled_windows_keep_deciding(self) -> None:
        alerts = fold()
        play(alerts, "h")
        alerts.settle(10)
        assert play(alerts, "h", start=1) == ["firing since 0"]

    def test_settled_windows_do_not_change_any_more(self) -> None:
        alerts = fold()
        play(alerts, "hh")
        alerts.settle(20)
        assert revise(alerts, 0, ".") == []
        assert [describe(event) for event in alerts.current()] == ["firing since 0"]

    def test_it_goes_on_from_a_snapshot(self) -> None:
        alerts = fold()
        play(alerts, "hh.")
        stored = msgspec.json.encode(alerts.snapshot())
        again = fold()
        again.restore(msgspec.json.decode(stored, type=dict[str, TrackState]))
        assert [event.id for event in again.current()] == [event.id for event in alerts.current()]
        assert play(again, "..", start=3) == ["resolved clear since 0 until 5"]


class TestEvents:
    def test_an_event_carries_the_contracts_fields(self) -> None:
        alerts = fold(Rule(hits=2, of=3, clear=3, severity="critical"))
        events = [event for place in (0, 1) for event in alerts.judge(window(place), finding("h"))]
        event = events[1]
        assert msgspec.to_builtins(event) == {
            "id": event.id,
            "fingerprint": fingerprint("m", "1", "drift", "sodium"),
            "status": "firing",
            "severity": "critical",
            "model": "m",
            "version": "1",
            "monitor": "drift",
            "subject": "sodium",
            "since": rfc3339(0),
            "until": None,
            "evidence": {
                "windows": [
                    {"start": rfc3339(0), "end": rfc3339(10), "seen": "h"},
                    {"start": rfc3339(10), "end": rfc3339(20), "seen": "h"},
                ]
            },
        }

    def test_a_finding_may_say_how_bad_it_is(self) -> None:
        alerts = fold(Rule(hits=1, of=1, clear=1))
        (event,) = alerts.judge(window(0), [Finding("sodium", hit=True, severity="info")])
        assert event.severity == "info"

    def test_ids_are_the_same_for_whoever_folds_the_same_windows(self) -> None:
        def ids() -> list[str]:
            alerts = fold()
            letters = "h.hh...h"
            return [e.id for place in range(8) for e in alerts.judge(window(place), finding(letters[place]))]

        assert ids() == ids()
        assert len(set(ids())) == len(ids())

    def test_a_hit_is_never_clear(self) -> None:
        assert not Finding("sodium", hit=True, clear=True).is_clear

    @pytest.mark.parametrize(("hits", "of", "clear"), [(0, 3, 3), (4, 3, 3), (2, 3, 0)])
    def test_a_rule_that_cannot_hold_is_refused(self, hits: int, of: int, clear: int) -> None:
        with pytest.raises(ValueError, match="expected 1 <= hits"):
            Rule(hits=hits, of=of, clear=clear)


class TestSilences:
    NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def silence(self, **wanted: str) -> Silence:
        return msgspec.convert(
            {
                "id": "s",
                "starts_at": "2026-05-01T11:00:00Z",
                "ends_at": "2026-05-01T13:00:00Z",
                "by": "ana",
                **wanted,
            },
            Silence,
        )

    def events(self) -> list[AlertEvent]:
        alerts = fold()
        return [event for place in (0, 1) for event in alerts.judge(window(place), finding("h"))]

    def test_the_last_event_of_each_alert_is_shown(self) -> None:
        (shown,) = show(self.events(), [], [], now=self.NOW)
        assert (shown.event.status, shown.silenced_by, shown.acknowledged_by) == ("firing", (), ())

    @pytest.mark.parametrize(
        ("wanted", "covered"),
        [
            ({}, True),
            ({"model": "m", "monitor": "drift"}, True),
            ({"subject": "sodium"}, True),
            ({"model": "n"}, False),
            ({"model": "m", "subject": "potassium"}, False),
            ({"ends_at": "2026-05-01T12:00:00Z"}, False),
            ({"starts_at": "2026-05-01T12:00:00.001Z"}, False),
        ],
    )
    def test_a_silence_covers_what_it_names_while_it_lasts(
        self, wanted: dict[str, str], *, covered: bool
    ) -> None:
        (shown,) = show(self.events(), [self.silence(**wanted)], [], now=self.NOW)
        assert shown.silenced_by == (("s",) if covered else ())

    def test_an_acknowledgement_is_of_the_alert_that_stood_then(self) -> None:
        events = self.events()
        seen = Acknowledgement("a", events[1].fingerprint, events[1].since, "ana", "2026-05-01T12:00:00Z")
        other = msgspec.structs.replace(seen, since=rfc3339(990), by="bea")
        (shown,) = show(events, [], [seen, other], now=self.NOW)
        assert shown.acknowledged_by == ("ana",)


def stands_for_many(hit: str, drifted: str, since: int | None = None) -> list[Finding]:
    """Of many columns, whether any was hit in this window, and whether any persists."""
    return [
        Finding("inputs", hit=hit == "h", fires=drifted == "d", clear=drifted != "d", since_ms=since),
    ]


def test_a_subject_that_stands_for_many_fires_when_one_persists_not_when_hits_add_up() -> None:
    # hits of columns that differ: h h h, none persists; then one does, since the second window
    alerts = fold(Rule(hits=2, of=3, clear=1))
    told = [
        describe(event)
        for place, drifted in enumerate("...d")
        for event in alerts.judge(
            window(place), stands_for_many("h", drifted, 10 if drifted == "d" else None)
        )
    ]
    assert told == ["pending since 0", "firing since 1"]


def test_it_goes_on_while_any_persists_and_ends_with_the_first_window_where_none_does() -> None:
    alerts = fold(Rule(hits=2, of=3, clear=1))
    told = [
        describe(event)
        for place, letters in enumerate(["hd", ".d", "hd", ".d", ".."])
        for event in alerts.judge(window(place), stands_for_many(*letters))
    ]
    assert told == ["firing since 0", "resolved clear since 0 until 5"]


def test_it_may_fire_in_a_window_without_a_hit_of_its_own_and_names_that_window() -> None:
    alerts = fold(Rule(hits=2, of=3, clear=1))
    (event,) = alerts.judge(window(4), stands_for_many(".", "d", 20))
    assert describe(event) == "firing since 2"
    assert event.evidence["windows"][0]["start"] == rfc3339(40)


def test_several_windows_at_once_are_told_as_what_they_lead_to() -> None:
    alerts = fold()
    play(alerts, "hh")
    # Both deciding windows change; one after the other it would be withdrawn and fire again.
    events = alerts.judge_all({window(0): finding("."), window(1): finding("h"), window(2): finding("h")})
    assert [describe(event) for event in events] == ["firing since 1"]


def test_windows_that_no_longer_count_are_taken_back() -> None:
    alerts = fold()
    play(alerts, "hh")
    events = alerts.judge_all({window(0): [], window(1): []})
    assert [describe(event) for event in events] == ["resolved withdrawn since 0 until 2"]


def test_after_a_restart_earlier_windows_are_judged_and_what_readers_believe_stands_until_then() -> None:
    alerts = fold()
    play(alerts, "hh", start=10)
    alerts.settle(120)
    alerts.restart()
    assert [event.status for event in alerts.current()] == ["firing"]
    assert play(alerts, ".", start=0) == ["resolved withdrawn since 10 until 12"]
    assert play(alerts, "hh", start=1) == ["pending since 1", "firing since 1"]


def test_at_the_end_what_is_not_resolved_lapses() -> None:
    alerts = fold()
    play(alerts, "hh")
    assert [describe(event) for event in alerts.end()] == ["resolved lapsed since 0 until 2"]
    assert alerts.current() == []
    assert alerts.end() == []
