"""Alerts are a fold over the latest revisions in event time: neither their order nor restarts matter."""

from dataclasses import dataclass

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from atalaia.alerts import AlertEvent, AlertFold, Finding, Rule, TrackState, rfc3339
from atalaia.windows import Window

LETTERS = "h.o-"
RULES = st.builds(
    lambda hits, more, clear: Rule(hits=hits, of=hits + more, clear=clear),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 3),
)


@dataclass(frozen=True)
class Revision:
    window: Window
    letter: str


def revisions(*, overlapping: bool = False) -> st.SearchStrategy[list[Revision]]:
    width = st.integers(1, 3) if overlapping else st.just(1)
    windows = st.builds(
        lambda place, width: Window(place * 10, (place + width) * 10), st.integers(0, 11), width
    )
    return st.lists(st.builds(Revision, windows, st.sampled_from(LETTERS)), max_size=40)


def findings(letter: str) -> list[Finding]:
    if letter == "-":
        return []
    return [Finding("s", hit=letter == "h", clear=False if letter == "o" else None)]


def new(rule: Rule) -> AlertFold:
    return AlertFold(model="m", version="1", monitor="drift", rule=rule)


def standing(event: AlertEvent | None) -> tuple[str, str] | None:
    return None if event is None or event.status == "resolved" else (event.status, event.since)


def by_hand(rule: Rule, latest: dict[Window, str]) -> tuple[str, str] | None:
    """What stands after all windows, told without phases or transitions."""
    taken: list[tuple[Window, str]] = []
    for window in sorted(latest, key=lambda w: (w.end_ms, w.start_ms)):
        if latest[window] != "-" and (not taken or window.start_ms >= taken[-1][0].end_ms):
            taken.append((window, latest[window]))
    status, since, episode, quiet = "quiet", 0, 0, 0
    for place, (_, letter) in enumerate(taken):
        if status == "firing":
            quiet = quiet + 1 if letter == "." else 0
            if quiet == rule.clear:
                status, episode = "quiet", place + 1
            continue
        recent = taken[max(episode, place + 1 - rule.of) : place + 1]
        hits = [window for window, seen in recent if seen == "h"]
        if letter == "h" and len(hits) >= rule.hits:
            status, since, quiet = "firing", hits[0].start_ms, 0
        elif hits:
            since = since if status == "pending" else hits[0].start_ms
            status = "pending"
        else:
            status = "quiet"
    return None if status == "quiet" else (status, rfc3339(since))


@given(RULES, revisions(overlapping=True))
def test_readers_end_up_believing_what_the_latest_revisions_say(rule: Rule, told: list[Revision]) -> None:
    alerts = new(rule)
    last: AlertEvent | None = None
    latest: dict[Window, str] = {}
    ids: list[str] = []
    for revision in told:
        latest[revision.window] = revision.letter
        for event in alerts.judge(revision.window, findings(revision.letter)):
            last = event
            ids.append(event.id)
        assert standing(last) == by_hand(rule, latest)
        assert [standing(event) for event in alerts.current()] == [
            s for s in [standing(last)] if s is not None
        ]
    assert len(set(ids)) == len(ids)


@given(RULES, revisions(), st.data())
def test_restarts_and_settling_what_no_longer_changes_make_no_difference(
    rule: Rule, told: list[Revision], data: st.DataObject
) -> None:
    """A window is settled once no later revision of it, or of an earlier one, is to come."""
    plain, restarted = new(rule), new(rule)
    for place, revision in enumerate(told):
        news = findings(revision.letter)
        expected = plain.judge(revision.window, news)
        events = restarted.judge(revision.window, news)
        assert events == expected
        least = min((later.window.start_ms for later in told[place + 1 :]), default=1000)
        if data.draw(st.booleans()):
            restarted.settle(least)
        if data.draw(st.booleans()):
            stored = msgspec.json.encode(restarted.snapshot())
            restarted = new(rule)
            restarted.restore(msgspec.json.decode(stored, type=dict[str, TrackState]))


@given(RULES, st.text(LETTERS, max_size=30))
def test_without_revisions_an_alert_is_pending_fires_and_resolves_in_that_order(
    rule: Rule, letters: str
) -> None:
    alerts = new(rule)
    statuses = ["resolved"]
    for place, letter in enumerate(letters):
        for event in alerts.judge(Window(place, place + 1), findings(letter)):
            assert (statuses[-1], event.status) in {
                ("resolved", "pending"),
                ("resolved", "firing"),
                ("pending", "firing"),
                ("pending", "resolved"),
                ("firing", "resolved"),
            }
            assert event.reason != "withdrawn"
            statuses.append(event.status)
