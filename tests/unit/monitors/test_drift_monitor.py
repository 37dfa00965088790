"""The drift monitor by hand: windows of an hour that wait a minute, an hour of event time a letter.

``.`` is an hour of 700 rows like the reference, ``h`` one whose features are shifted, ``s`` one of 200 rows,
``q`` one of 6,000 rows, which is surely quiet.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from atalaia.bundles.manifest import ContextColumn
from atalaia.monitors.units import Watched
from atalaia.records import Array, ModelObservation, TimeMark
from atalaia.results import DriftColumn, DriftResult
from atalaia.topics import OBSERVATIONS
from tests.unit.monitors.drift_log import HOUR, MINUTE, Bundles, Reader, make_watched, message, reach, section

ROWS = {".": 700, "h": 700, "s": 200, "q": 6000}


def hour(
    watched: Watched, place: int, letter: str = ".", *, rows: int | None = None, **more: Any
) -> ModelObservation:
    count = ROWS[letter] if rows is None else rows
    times = place * HOUR + np.arange(count) * (HOUR // count)
    shift = 1.0 if letter == "h" else 0.0
    return section(times, watched=watched, seed=place, offset=place * 10_000, shift=shift, **more)


def play(reader: Reader, watched: Watched, letters: str, *, start: int = 0) -> list[DriftResult]:
    """An hour a batch, closed by the end of it."""
    told: list[DriftResult] = []
    for place, letter in enumerate(letters, start):
        told += reader.take(message(hour(watched, place, letter)), reach((place + 1) * HOUR + MINUTE))
    return told


def columns(result: DriftResult, name: str) -> dict[str, DriftColumn]:
    return {one.test: one for one in result.columns if one.column == name}


def alerts(reader: Reader) -> list[str]:
    return [
        f"{event.status} {event.reason or ''}".strip() + f" {event.subject} since {event.since[11:13]}"
        for event in reader.events
    ]


def test_a_window_is_published_once_event_time_has_passed_it_by_the_lateness() -> None:
    #  0h            1h  1m
    #  [-------------)   closed
    watched = make_watched()
    reader = Reader(watched)
    assert reader.take(message(hour(watched, 0)), reach(HOUR + MINUTE - 1)) == []
    (result,) = reader.take(reach(HOUR + MINUTE))
    assert (result.window.start, result.window.end) == (
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T01:00:00.000Z",
    )
    assert (result.n, result.revision, result.provisional, result.drifted) == (700, 0, False, False)
    assert {one.column for one in result.columns} == {
        "a",
        "b",
        "score",
        "class",
        "applicability",
        "abstained",
    }
    assert result.judged is not None
    assert result.judged.hits == []
    assert result.configuration


def test_drift_fires_after_two_of_three_windows_and_resolves_after_three_quiet_ones() -> None:
    watched = make_watched()
    reader = Reader(watched)
    results = play(reader, watched, "..h.hhqqqq")
    hits = "".join("h" if one.judged and one.judged.hits else "." for one in results)
    drifted = "".join("d" if one.drifted else "." for one in results)
    assert hits == "..h.hh...."
    assert drifted == "....dddd.."
    assert alerts(reader) == [
        "pending inputs since 02",
        "firing inputs since 02",
        "resolved clear inputs since 02",
    ]


def test_an_alert_names_the_columns_with_their_effect_and_where_it_lies() -> None:
    watched = make_watched()
    reader = Reader(watched)
    play(reader, watched, ".hh")
    firing = reader.events[-1]
    told = {one["column"]: one for one in firing.evidence["windows"][-1]["columns"]}
    assert set(told) == {"a", "b"}
    assert firing.evidence["windows"][-1]["drifted"] == ["a", "b"]
    assert len(firing.evidence["windows"]) == 2
    assert told["a"]["test"] == "ks"
    assert told["a"]["effect"] == pytest.approx(0.38, abs=0.08)  # of a shift by one standard deviation
    assert told["a"]["p_adjusted"] < 1e-9
    assert told["a"]["n"] == 700
    assert told["a"]["since"] == "1970-01-01T01:00:00.000Z"
    assert told["a"]["grew"]["low"] > told["a"]["shrank"].get("high", 9) - 1
    column = columns(reader.results[-1], "a")["ks"]
    assert column.hit
    assert column.drifted
    assert column.grew is not None
    assert column.since == "1970-01-01T01:00:00.000Z"


def test_since_is_told_to_the_pane() -> None:
    #  pane 10m      0   10   20   30   40   50   60
    #                [ like the reference |  shifted  )
    watched = make_watched(drift={"pane": "10m"})
    reader = Reader(watched)
    play(reader, watched, ".")
    times = HOUR + np.arange(1200) * (HOUR // 1200)
    values = np.random.default_rng(5).normal(size=1200) + 1.5 * (times >= HOUR + 40 * MINUTE)
    rows = section(times, watched=watched, features={"a": values, "b": values * 0}, offset=10**6)
    (result,) = reader.take(message(rows), reach(2 * HOUR + MINUTE))
    assert columns(result, "a")["ks"].since == "1970-01-01T01:40:00.000Z"


def test_small_windows_are_judged_with_the_next() -> None:
    #  rows   200  200  200   700  200
    #         [------------)  [--) waits
    watched = make_watched()
    reader = Reader(watched)
    results = play(reader, watched, "sss.s")
    runs = [None if one.judged is None else (one.judged.window.start[11:13], one.judged.n) for one in results]
    assert runs == [None, None, ("00", 600), ("03", 700), None]
    assert results[0].why == "not enough data: 200 rows, a verdict needs 500"
    assert results[2].why is None
    assert columns(results[2], "a")["ks"].n == 200


def test_a_merged_run_finds_what_its_windows_are_too_small_for() -> None:
    watched = make_watched()
    reader = Reader(watched)
    for place in range(6):
        rows = section(
            place * HOUR + np.arange(200) * 1000, watched=watched, seed=place, offset=place * 1000, shift=0.5
        )
        reader.take(message(rows), reach((place + 1) * HOUR + MINUTE))
    assert [bool(one.judged and one.judged.hits) for one in reader.results] == [False, False, True] * 2
    assert [one.drifted for one in reader.results] == [False] * 5 + [True]
    assert columns(reader.results[2], "a")["ks"].hit


def test_too_small_a_reference_gives_results_without_a_verdict() -> None:
    watched = make_watched(rows=300)
    reader = Reader(watched)
    results = play(reader, watched, "hhh")
    assert [one.drifted for one in results] == [False] * 3
    assert {one.why for one in results} == {"the reference has 300 rows, a verdict needs 1000"}
    assert columns(results[0], "a")["ks"].p_value is not None
    assert reader.events == []


def test_the_bundle_may_lower_what_a_verdict_needs() -> None:
    watched = make_watched(rows=300, drift={"minimum_reference_rows": 200})
    reader = Reader(watched)
    assert [one.drifted for one in play(reader, watched, "hh")] == [False, True]


def test_constant_and_all_missing_columns_say_why_they_say_nothing() -> None:
    features = {"still": np.full(2000, 7.0), "absent": np.full(2000, np.nan)}
    watched = make_watched(features=features)
    reader = Reader(watched)
    rows = section(
        np.arange(700) * 1000,
        watched=watched,
        features={"still": np.full(700, 7.0), "absent": np.full(700, np.nan)},
    )
    (result,) = reader.take(message(rows), reach(HOUR + MINUTE))
    assert columns(result, "still")["chi2"].why == "constant"
    assert columns(result, "absent")["chi2"].why == "no values"
    assert columns(result, "absent")["chi2"].n == 0
    assert not any(one.hit for one in result.columns)
    assert b"NaN" not in msgspec.json.encode(result)


def test_a_window_in_which_every_row_abstains_has_no_score() -> None:
    watched = make_watched(abstained=0.01)
    reader = Reader(watched)
    rows = hour(watched, 0, abstained=np.ones(700, np.bool_))
    (result,) = reader.take(message(rows), reach(HOUR + MINUTE))
    assert columns(result, "score")["ks"].why == "no values"
    assert columns(result, "applicability")["ks"].n == 700
    assert columns(result, "a")["ks"].n == 700, "abstained rows count among the inputs"
    assert columns(result, "abstained")["chi2"].effect == pytest.approx(0.99, abs=0.005)


def test_a_reference_that_was_trained_on_decides_nothing_of_answers() -> None:
    watched = make_watched(trained_on=True)
    reader = Reader(watched)
    (result,) = reader.take(message(hour(watched, 0, score=np.zeros(700))), reach(HOUR + MINUTE))
    score = columns(result, "score")["ks"]
    assert not score.decides
    assert not score.hit
    assert score.why is not None
    assert "training" in score.why
    assert columns(result, "a")["ks"].decides


def test_only_the_columns_and_tests_asked_for() -> None:
    watched = make_watched(drift={"columns": ["a", "score"], "tests": ["ks"]})
    reader = Reader(watched)
    (result,) = play(reader, watched, ".")
    assert [(one.column, one.test) for one in result.columns] == [("a", "ks"), ("score", "ks")]
    other = make_watched(drift={"without": ["a", "class"]})
    (result,) = play(Reader(other), other, ".")
    assert {one.column for one in result.columns} == {"b", "score", "applicability", "abstained"}


def test_dependent_rows_weaken_the_verdict() -> None:
    plain, dependent = make_watched(), make_watched(drift={"dependence": {"a": 8.0}})
    (one,), (other,) = (play(Reader(watched), watched, ".") for watched in (plain, dependent))
    p_plain, p_dependent = columns(one, "a")["ks"].p_value, columns(other, "a")["ks"].p_value
    assert p_plain is not None
    assert p_dependent is not None
    assert p_dependent > p_plain
    assert columns(one, "b")["ks"].p_value == columns(other, "b")["ks"].p_value


def test_windows_are_held_against_those_a_day_and_a_week_before() -> None:
    watched = make_watched(drift={"earlier": ["1h", "3h"]})
    reader = Reader(watched)
    results = play(reader, watched, "...h")
    assert [len({one.earlier for one in result.against_earlier}) for result in results] == [0, 1, 1, 2]
    against = {
        (one.earlier.start[11:13], one.test): one
        for one in results[3].against_earlier
        if one.column == "a" and one.earlier is not None
    }
    first = columns(results[0], "a")["ks"]
    assert against["00", "ks"].effect == pytest.approx(0.38, abs=0.08)
    assert against["02", "ks"].n == first.n == 700
    assert not any(one.decides or one.hit for one in results[3].against_earlier)


def test_context_without_a_reference_is_held_against_earlier_windows_alone() -> None:
    context = [
        ContextColumn("age", datatype="FP64", bands=(30.0, 50.0)),
        ContextColumn("sex", categories=("f", "m")),
        ContextColumn("ward"),
    ]
    watched = make_watched(context=context, drift={"earlier": ["1h"]})
    reader = Reader(watched)
    results: list[DriftResult] = []
    for place, (age, sex, ward) in enumerate([(40, 0, ["n", "s"]), (40, 0, ["s", "n"]), (64, 1, ["x", "y"])]):
        random = np.random.default_rng(place)
        given = {
            "age": Array.of(random.normal(age, 10, 700)),
            "sex": Array.of(
                (random.uniform(size=700) < 0.3 + 0.4 * sex).astype(np.int32), categories=["f", "m"]
            ),
            "ward": Array.of(random.integers(0, 2, 700).astype(np.int32), categories=ward),
        }
        results += reader.take(
            message(hour(watched, place, context=given)), reach((place + 1) * HOUR + MINUTE)
        )
    assert not {"age", "sex", "ward"} & {one.column for one in results[2].columns}
    told = [
        {one.column: one.p_value for one in result.against_earlier if one.test in ("ks", "chi2")}
        for result in results[1:]
    ]
    for name in ("age", "sex", "ward"):
        like, unlike = told[0][name], told[1][name]
        assert like is not None
        assert unlike is not None
        assert like > 1e-3
        assert unlike < 1e-9


def test_canaries_inputs_count_with_the_primary_and_shadows_do_not() -> None:
    primary, canary, shadow = (make_watched(version=version, seed=int(version)) for version in "123")
    known = Bundles({("m", one.manifest.version): one for one in (primary, canary, shadow)})
    reader = Reader(known)
    results = reader.take(
        message(
            hour(canary, 0, rows=100, role="canary"),
            hour(primary, 0, rows=600),
            hour(shadow, 0, rows=600, role="shadow"),
        ),
        reach(HOUR + MINUTE),
    )
    by_role = {one.role: one for one in results}
    assert by_role["primary"].n == 700
    assert columns(by_role["primary"], "a")["ks"].n == 700
    assert columns(by_role["primary"], "score")["ks"].n == 600
    assert by_role["canary"].n == 100
    assert {one.column for one in by_role["shadow"].columns} == {
        "score",
        "class",
        "applicability",
        "abstained",
    }


def test_promotion_begins_afresh_against_the_new_reference() -> None:
    old, new = make_watched(), make_watched(version="2", seed=4)
    reader = Reader(Bundles({("m", "1"): old, ("m", "2"): new}))
    play(reader, old, "h")
    play(reader, new, "h", start=1)
    assert [(one.version, one.window.start[11:13]) for one in reader.results] == [("1", "00"), ("2", "01")]
    assert alerts(reader) == ["pending inputs since 00", "pending inputs since 01"]


def test_a_canary_of_its_own_alert() -> None:
    primary, canary = make_watched(), make_watched(version="2", seed=4)
    reader = Reader(Bundles({("m", "1"): primary, ("m", "2"): canary}))
    for place in range(2):
        rows = hour(canary, place, role="canary", score=np.full(700, 0.9))
        reader.take(message(hour(primary, place), rows), reach((place + 1) * HOUR + MINUTE))
    assert alerts(reader) == ["pending answers/canary since 00", "firing answers/canary since 00"]


def test_overlapping_windows_are_published_and_disjoint_ones_judged() -> None:
    #  0    1    2    3    4    5     every hour, of two
    #  [---------)judged
    #       [---------)
    #            [---------)judged
    watched = make_watched(drift={"window": "2h", "step": "1h"})
    reader = Reader(watched)
    results = play(reader, watched, "....")
    told = [(one.window.start[8:13], one.judged is not None) for one in results]
    assert told == [("31T23", False), ("01T00", True), ("01T01", False), ("01T02", True)]
    assert results[2].why == "it overlaps the windows that are judged"


def test_a_revision_withdraws_an_alert() -> None:
    # Windows of two hours every hour: rows for 3h..4h are taken until 5h, and revise what closed at 4h.
    #  0    1    2    3    4    5
    #  [ hit ----)[ hit ----)
    #                  [ 6,000 more rows like the reference come late
    watched = make_watched(drift={"window": "2h", "step": "1h"})
    reader = Reader(watched)
    play(reader, watched, "hhhh")
    assert alerts(reader)[-1] == "firing inputs since 00"
    late = hour(watched, 3, rows=12_000)
    told = reader.take(message(late))
    revised = next(one for one in told if one.judged is not None)
    assert (revised.window.start[11:13], revised.revision, revised.n) == ("02", 1, 13_400)
    assert revised.judged is not None
    assert revised.judged.hits == []
    assert not revised.drifted
    assert alerts(reader)[-2:] == ["resolved withdrawn inputs since 00", "pending inputs since 00"]


def test_the_end_of_a_replay_publishes_what_is_open_as_provisional() -> None:
    #  begin   0h  hour of rows  1h  half an hour, end at 1:30
    #          [--- final ------)[--- provisional
    watched = make_watched()
    reader = Reader(watched)
    reader.take(message(marks=[TimeMark("begin", 0, "m", "r", 4)]))
    reader.take(message(hour(watched, 0, "h")))
    half = section(HOUR + np.arange(700) * 2500, watched=watched, seed=9, shift=1.0, offset=10**6)
    told = reader.take(message(half, marks=[TimeMark("end", HOUR * 3 // 2, "m", "r", 4)]))
    assert [(one.window.start[11:13], one.provisional) for one in told] == [("00", False), ("01", True)]
    assert told[1].judged is None
    assert told[1].why == "provisional: event time has not passed its end"
    assert alerts(reader) == ["pending inputs since 00"]
    (revised,) = reader.take(message(section([HOUR + 5], watched=watched, offset=10**7)))
    assert (revised.revision, revised.provisional, revised.n) == (1, True, 701)
    (final,) = reader.take(reach(2 * HOUR + MINUTE))
    assert (final.revision, final.provisional, final.drifted) == (2, False, True)
    assert alerts(reader)[-1] == "firing inputs since 00"


def test_a_second_replay_of_earlier_times_is_judged_from_its_own_beginning() -> None:
    watched = make_watched()
    reader = Reader(watched)
    for replay, start, letters in (("r", 200, "hhh"), ("s", 100, ".hh")):
        first, last = start * HOUR, (start + 3) * HOUR + MINUTE
        reader.take(message(marks=[TimeMark("begin", first, "m", replay, 4)]))
        for place, letter in enumerate(letters, start):
            reader.take(message(hour(watched, place, letter)))
        reader.take(message(marks=[TimeMark("end", last, "m", replay, 4)]))
    told = [(event.status, event.since[8:13]) for event in reader.events]
    before = [("pending", "09T08"), ("firing", "09T08"), ("resolved", "09T08")]
    assert told == [*before, ("pending", "05T05"), ("firing", "05T05")]
    assert [one.drifted for one in reader.results] == [False, True, True, False, False, True]


def test_late_and_implausible_rows_are_counted_and_in_no_window() -> None:
    watched = make_watched()
    reader = Reader(watched)
    play(reader, watched, ".")
    reader.take(message(section([5, HOUR + 5, 10 * HOUR], watched=watched), record_ms=2 * HOUR))
    (result,) = reader.take(reach(2 * HOUR + MINUTE))
    assert (result.n, result.late_rows, result.ahead_rows) == (1, 1, 1)
    counts = reader.monitor.counts()
    assert counts["late_rows"]["m", "1", "primary"] == 1
    assert counts["ahead_rows"]["m",] == 1


def test_rows_of_a_bundle_that_is_missing_are_dead_letters_and_the_others_go_on() -> None:
    watched, stranger = make_watched(), make_watched(version="9")
    reader = Reader(watched)
    told = reader.take(message(hour(watched, 0), hour(stranger, 0, rows=3)), reach(HOUR + MINUTE))
    assert [one.version for one in told] == ["1"]
    (letter,) = reader.letters
    assert (letter["version"], letter["reason"], letter["topic"]) == ("9", "bundle_missing", "requests")
    assert reader.monitor.counts()["rows_without_bundle"]["m", "9"] == 3


def test_a_message_that_cannot_be_read_is_a_dead_letter() -> None:
    watched = make_watched()
    reader = Reader(watched)
    reader.take(b"{")
    assert reader.letters[0]["reason"] == "unreadable"
    assert len(play(reader, watched, ".")) == 1


def test_windows_open_when_messages_are_lost_are_incomplete() -> None:
    #  0    1    2     3    4
    #       | lost |        the next message is recorded at 2:30
    #       [incomplete)[incomplete)[whole)
    watched = make_watched()
    reader = Reader(watched)
    play(reader, watched, ".")
    reader.monitor.lose(OBSERVATIONS, 5, 9)
    reader.restart()
    reader.monitor.lose(OBSERVATIONS, 5, 9)
    reader.take(message(hour(watched, 1), record_ms=2 * HOUR + HOUR // 2))
    play(reader, watched, "..", start=2)
    reader.take(reach(5 * HOUR))
    assert [one.incomplete for one in reader.results] == [False, True, True, False]


def test_windows_that_may_hold_rows_from_before_the_beginning_are_not_published() -> None:
    watched = make_watched()
    reader = Reader(watched)
    reader.monitor.begin({OBSERVATIONS.name: 17})
    reader.take(message(hour(watched, 0, rows=10), record_ms=HOUR // 2))
    results = play(reader, watched, "..", start=1)
    assert [one.window.start[11:13] for one in results] == ["01", "02"]


@pytest.mark.parametrize("restart", [False, True])
def test_an_unused_stream_is_dropped_and_its_alert_ends(restart: bool) -> None:
    watched = make_watched(drift={"earlier": [], "detectors": []})
    reader = Reader(watched)
    play(reader, watched, "hh")
    if restart:
        reader.restart()
    reader.take(reach(20 * HOUR))
    assert alerts(reader)[-1] == "resolved lapsed inputs since 00"
    assert reader.panes == {}
    play(reader, watched, ".", start=30)
    assert reader.results[-1].revision == 0


def test_what_is_kept_is_bounded() -> None:
    watched = make_watched(drift={"earlier": ["5h"], "minimum_window_rows": 10})
    reader = Reader(watched)
    sizes: list[tuple[int, int]] = []
    for place in range(60):
        reader.take(message(hour(watched, place, rows=40)), reach((place + 1) * HOUR + MINUTE))
        sizes.append((len(reader.panes), sum(map(len, reader.panes.values())) + len(reader.metadata)))
    assert max(panes for panes, _ in sizes[20:]) <= sizes[20][0] + 1
    assert max(size for _, size in sizes[40:]) < 1.3 * max(size for _, size in sizes[15:30])


def written(reader: Reader) -> Sequence[str]:
    assert reader.last is not None
    return sorted(name.decode().split("/", 3)[-1] for name in reader.last.writes)


def test_only_what_changed_is_written() -> None:
    watched = make_watched()
    reader = Reader(watched)
    play(reader, watched, ".")
    reader.take(message(hour(watched, 1, rows=10)))
    assert written(reader) == ["pane/3600000", "rows/0", "state"]
    reader.take(reach(HOUR + MINUTE))
    assert written(reader) == []


def test_two_versions_named_alike_keep_apart() -> None:
    one, other = make_watched(), make_watched(model="m2")
    reader = Reader(Bundles({("m", "1"): one, ("m2", "1"): other}))
    reader.take(message(hour(one, 0), hour(other, 0, rows=600)), reach(HOUR + MINUTE))
    reader.restart()
    reader.take(message(hour(one, 1), hour(other, 1, rows=650)), reach(2 * HOUR + MINUTE))
    assert [(result.model, result.n) for result in reader.results] == [
        ("m", 700),
        ("m2", 600),
        ("m", 700),
        ("m2", 650),
    ]
