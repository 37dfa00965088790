"""Alerts as they stand, and what people record about them."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from atalaia.alerts import AlertEvent, AlertFold, Finding, Rule, Silence, SilenceRecord, rfc3339
from atalaia.errors import InvalidInput, NotReadable
from atalaia.windows import Window
from services.gateway.watching.alertbook import AlertBook
from services.gateway.watching.notes import (
    AcknowledgeNote,
    Matchers,
    SilenceNote,
    acknowledge,
    make_silence,
    read_note,
    shown_silence,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def events(*subjects: str, resolved: tuple[str, ...] = ()) -> list[AlertEvent]:
    fold = AlertFold(model="m", version="1", monitor="drift", rule=Rule(hits=1, of=1, clear=1))
    fired = fold.judge(Window(0, 10), [Finding(subject, hit=True) for subject in subjects])
    return fired + fold.judge(Window(10, 20), [Finding(subject, hit=False) for subject in resolved])


def book(*given: AlertEvent, **bounds: int) -> AlertBook:
    made = AlertBook(**bounds)
    for event in given:
        made.take_event(msgspec.json.encode(event))
    return made


def record(made: AlertBook, value: SilenceRecord) -> None:
    entry = value.silence or value.acknowledgement
    assert entry is not None
    made.take_record(entry.id, msgspec.json.encode(value))


def test_the_last_event_of_each_alert_stands_and_filters_choose() -> None:
    made = book(*events("a", "b", resolved=("a",)))
    found = made.alerts(NOW)
    assert [(entry["subject"], entry["status"]) for entry in found] == [("a", "resolved"), ("b", "firing")]
    assert [entry["subject"] for entry in made.alerts(NOW, status="firing")] == ["b"]
    assert made.alerts(NOW, model="n") == []
    assert len(made.alerts(NOW, model="m")) == 2


def test_silences_and_acknowledgements_are_shown_while_they_hold() -> None:
    made = book(*events("a", "b"))
    [event] = [entry for entry in events("a", "b") if entry.subject == "a"]
    seen = acknowledge(AcknowledgeNote("ana"), event, now_ms=NOW_MS)
    record(made, SilenceRecord(acknowledgement=seen))
    note = SilenceNote("ben", Matchers(subject="b"), duration="2h")
    silence = make_silence(note, identity="s", now_ms=NOW_MS)
    record(made, SilenceRecord(silence=silence))
    first, second = made.alerts(NOW)
    assert (first["acknowledged_by"], first["silenced_by"]) == (["ana"], [])
    assert (second["acknowledged_by"], second["silenced_by"]) == ([], ["s"])
    assert made.silences(NOW) == [silence]
    later = datetime(2026, 1, 31, 14, tzinfo=UTC)
    assert made.alerts(later)[1]["silenced_by"] == []
    assert made.silences(later) == []
    assert made.silence("s", later) is None
    made.take_record("s", None)
    assert made.silences(NOW) == []


def test_the_same_persons_second_word_replaces_the_first() -> None:
    made = book(*events("a"))
    event = events("a")[0]
    for comment in ("looking", "known"):
        record(
            made, SilenceRecord(acknowledgement=acknowledge(AcknowledgeNote("ana", comment), event, now_ms=1))
        )
    record(made, SilenceRecord(acknowledgement=acknowledge(AcknowledgeNote("ben"), event, now_ms=2)))
    assert made.alerts(NOW)[0]["acknowledged_by"] == ["ana", "ben"]


def test_resolved_alerts_are_bounded_and_others_never_dropped() -> None:
    subjects = [f"{number}" for number in range(10)]
    made = book(*events(*subjects, resolved=tuple(subjects[:6])), kept_resolved=2)
    assert [entry["subject"] for entry in made.alerts(NOW)] == subjects[4:]


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'{"id": "a"}'])
def test_what_is_no_event_is_refused(value: bytes) -> None:
    made = AlertBook()
    with pytest.raises(ValueError):  # noqa: PT011 - whichever kind of it
        made.take_event(value)
    assert made.alerts(NOW) == []


class TestNotes:
    def test_a_silence_by_its_end_or_its_length(self) -> None:
        end = rfc3339(NOW_MS + 7_200_000)
        note = SilenceNote("ana", Matchers(model="m", monitor="drift"), duration="2h", comment="known")
        silence = make_silence(note, identity="s", now_ms=NOW_MS)
        assert silence == Silence("s", rfc3339(NOW_MS), end, "ana", "known", model="m", monitor="drift")
        by_end = SilenceNote("ana", Matchers(), starts_at="2026-01-31T13:00:00+01:00", ends_at=end)
        assert make_silence(by_end, identity="s", now_ms=0) == Silence("s", rfc3339(NOW_MS), end, "ana")
        assert shown_silence(silence) == {
            "id": "s",
            "starts_at": rfc3339(NOW_MS),
            "ends_at": end,
            "by": "ana",
            "comment": "known",
            "matchers": {"model": "m", "monitor": "drift"},
        }

    @pytest.mark.parametrize(
        ("note", "field"),
        [
            (SilenceNote("ana", Matchers()), "ends_at"),
            (SilenceNote("ana", Matchers(), ends_at="2999-01-01", duration="1h"), "ends_at"),
            (SilenceNote("ana", Matchers(), ends_at="2025-01-01T00:00:00Z"), "ends_at"),
            (SilenceNote("ana", Matchers(), ends_at="soon"), "ends_at"),
            (SilenceNote("ana", Matchers(), starts_at="soon", duration="1h"), "starts_at"),
            (SilenceNote("ana", Matchers(), starts_at="2999-01-01", ends_at="2998-01-01"), "ends_at"),
            (SilenceNote("ana", Matchers(), duration="soon"), "duration"),
            (SilenceNote("ana", Matchers(), duration=f"{'9' * 400}d"), "duration"),
            (SilenceNote("ana", Matchers(), duration="99999999d"), "ends_at"),
        ],
    )
    def test_a_silence_that_makes_no_sense(self, note: SilenceNote, field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            make_silence(note, identity="s", now_ms=NOW_MS)
        assert [problem.field for problem in refused.value.problems] == [field]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"matchers": {}}, "by"),
            ({"by": 5, "matchers": {}}, "by"),
            ({"by": "", "matchers": {}}, "by"),
            ({"by": "ana", "matchers": {"monitor": "weather"}}, "matchers.monitor"),
            ({"by": "ana", "matchers": {}, "until": "noon"}, "body"),
            ([], "body"),
        ],
    )
    def test_a_body_at_fault_is_told_where(self, body: object, field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            read_note(json.dumps(body).encode(), SilenceNote)
        assert [problem.field for problem in refused.value.problems] == [field]

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 10_000])
    def test_a_body_that_is_no_json(self, body: bytes) -> None:
        with pytest.raises((NotReadable, InvalidInput)):
            read_note(body, AcknowledgeNote)
