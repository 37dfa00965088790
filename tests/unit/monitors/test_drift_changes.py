"""How a model is watched changes in band: thresholds go on, another shape or reference begins afresh."""

import numpy as np
import pytest

from atalaia.alerts import rfc3339
from atalaia.bundles.manifest import ContextColumn
from atalaia.monitors.baselines import Baseline
from atalaia.monitors.configuration import DetectorSettings
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.units import Watched
from atalaia.records import Array, ModelObservation, MonitorChange, ReferenceFile
from atalaia.results import DriftResult
from atalaia.statistics.sequential import LogDistance, Sequential, in_order
from atalaia.topics import OBSERVATIONS
from atalaia.windows import Window
from tests.unit.monitors.drift_log import (
    HOUR,
    MINUTE,
    Bundles,
    Reader,
    changed,
    make_watched,
    message,
    reach,
    section,
)


def hour(watched: Watched, place: int, *, shift: float = 0.0, rows: int = 700) -> ModelObservation:
    times = place * HOUR + np.arange(rows) * (HOUR // rows)
    return section(times, watched=watched, seed=place, offset=place * 10_000, shift=shift)


def play(reader: Reader, watched: Watched, place: int, *, shift: float = 0.0) -> None:
    reader.take(message(hour(watched, place, shift=shift)), reach((place + 1) * HOUR + MINUTE))


def reference_from(watched: Watched, sections: list[ModelObservation]) -> StreamReference:
    baseline = Baseline(watched.manifest, Window(0, 1000 * HOUR))
    for one in sections:
        baseline.add(one)
    return baseline.reference()


def test_other_thresholds_hold_from_the_next_window_and_state_goes_on() -> None:
    watched = make_watched()
    reader = Reader(watched)
    play(reader, watched, 0, shift=1.0)
    reader.take(message(hour(watched, 1, shift=1.0)), changed("m", {"effect": 0.9}))
    reader.take(reach(2 * HOUR + MINUTE))
    first, second = reader.results
    assert (first.n, second.n) == (700, 700), "the open window goes on"
    assert [bool(one.judged and one.judged.hits) for one in reader.results] == [True, False]
    assert first.configuration != second.configuration


def test_another_shape_closes_what_is_open_and_begins_afresh() -> None:
    #  0h         30m          1h
    #  [ 350 rows  | change     [
    #  provisional | 350 rows ) final, of what came since
    watched = make_watched()
    reader = Reader(watched)
    early = section(np.arange(350) * 5000, watched=watched, seed=1)
    (before,) = reader.take(message(early), changed("m", {"without": ["b"]}))
    assert (before.provisional, before.n, before.revision) == (True, 350, 0)
    later = section(HOUR // 2 + np.arange(350) * 5000, watched=watched, seed=2, offset=5000)
    (after,) = reader.take(message(later), reach(HOUR + MINUTE))
    assert (after.provisional, after.n, after.revision) == (False, 350, 1)
    assert "b" not in {one.column for one in after.columns}


def test_an_alert_outlives_a_change_of_shape_until_the_next_verdict() -> None:
    watched = make_watched()
    reader = Reader(watched)
    for place in range(2):
        play(reader, watched, place, shift=1.0)
    reader.take(changed("m", {"without": ["score"]}))
    assert [event.status for event in reader.events] == ["pending", "firing"]
    reader.restart()
    play(reader, watched, 2)
    assert [(event.status, event.reason) for event in reader.events[2:]] == [("resolved", "withdrawn")]


def test_a_change_that_makes_no_sense_is_left_out() -> None:
    watched = make_watched()
    reader = Reader(watched)
    reader.take(changed("m", {"windw": "1h"}), changed("m", {"window": "61m", "pane": "7m"}))
    play(reader, watched, 0)
    assert len(reader.results) == 1
    (plain,) = _results_of(watched)
    assert reader.results[0].configuration == plain.configuration


def _results_of(watched: Watched) -> list[DriftResult]:
    reader = Reader(watched)
    play(reader, watched, 0)
    return reader.results


def test_a_monitor_that_is_switched_off_says_nothing_and_ends_its_alert() -> None:
    watched = make_watched()
    reader = Reader(watched)
    for place in range(2):
        play(reader, watched, place, shift=1.0)
    reader.take(changed("m", {"enabled": False}))
    play(reader, watched, 2)
    assert len(reader.results) == 2
    assert [event.status for event in reader.events] == ["pending", "firing", "resolved"]
    assert not [name for name in reader.panes if name.startswith(b"m/1/")]


def test_what_was_set_before_the_state_began_is_in_the_models_record() -> None:
    watched = make_watched()
    known = Bundles({("m", "1"): watched})
    known.recorded["m"] = [
        MonitorChange("m", {"drift": {"columns": ["a"]}}, "2026-01-01T00:00:00Z", offset=3),
        MonitorChange("m", {"drift": {"columns": ["b"]}}, "2026-01-01T00:00:00Z", offset=30),
    ]
    reader = Reader(known)
    reader.monitor.begin({OBSERVATIONS.name: 10})
    reader.take(reach(HOUR - 2 * MINUTE))
    play(reader, watched, 1)
    assert {one.column for one in reader.results[0].columns} == {"a"}


@pytest.mark.parametrize("restart", [False, True])
def test_a_reference_made_from_the_stream_takes_the_place_of_the_bundles(restart: bool) -> None:
    context = [ContextColumn("age", datatype="FP64"), ContextColumn("sex")]
    watched = make_watched(context=context)
    random = np.random.default_rng(3)

    def rows(place: int) -> ModelObservation:
        times = place * HOUR + np.arange(700) * 5000
        given = {
            "age": Array.of(random.normal(40, 10, 700)),
            "sex": Array.of(random.integers(-1, 2, 700).astype(np.int32), categories=["f", "m"]),
        }
        return section(times, watched=watched, seed=place, offset=place * 1000, shift=1.0, context=given)

    reference = reference_from(watched, [rows(100), rows(101), rows(102)])
    assert reference.rows == 2100
    assert reference.columns["sex"].values.tolist() == ["f", "m"]
    assert reference.columns["sex"].missing > 500
    known = Bundles({("m", "1"): watched}, {"sha256:new": reference.to_bytes()})
    reader = Reader(known)
    change = changed("m", {}, reference=ReferenceFile("somewhere", "sha256:new"))
    reader.take(message(rows(0)), reach(HOUR + MINUTE), change)
    assert reader.results[0].judged is not None
    assert reader.results[0].judged.hits == ["a", "b"]
    if restart:
        known.references.clear()  # the file is gone, what it said is state
        reader.restart()
    reader.take(message(rows(1)), reach(2 * HOUR + MINUTE))
    result = reader.results[-1]
    assert result.judged is not None
    assert result.judged.hits == []
    assert {"age", "sex"} <= {one.column for one in result.columns}


def test_answers_of_another_version_are_not_held_against_that_reference() -> None:
    one, other = make_watched(), make_watched(version="2", seed=5)
    reference = reference_from(one, [hour(one, 100, shift=1.0), hour(one, 101, shift=1.0)])
    known = Bundles({("m", "1"): one, ("m", "2"): other}, {"sha256:new": reference.to_bytes()})
    reader = Reader(known)
    reader.take(changed("m", {}, reference=ReferenceFile("somewhere", "sha256:new")))
    play(reader, other, 0, shift=1.0)
    told = {(column.column, column.test): column.statistic for column in reader.results[0].columns}
    plain = Reader(other)
    play(plain, other, 0, shift=1.0)
    before = {(column.column, column.test): column.statistic for column in plain.results[0].columns}
    assert told["score", "ks"] == before["score", "ks"]
    assert told["a", "ks"] != before["a", "ks"]


def test_a_reference_that_is_missing_or_damaged_leaves_the_bundles() -> None:
    watched = make_watched()
    known = Bundles({("m", "1"): watched}, {"sha256:bad": b"nothing"})
    for digest in ("sha256:gone", "sha256:bad"):
        reader = Reader(known)
        reader.take(changed("m", {}, reference=ReferenceFile("somewhere", digest)))
        play(reader, watched, 0)
        assert len(reader.results) == 1


@pytest.mark.parametrize("damage", [b"", b"PK", b"\0" * 100])
def test_what_is_no_reference_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="reference"):
        StreamReference.from_bytes(damage)


DETECTORS = [
    DetectorSettings(detector="page_hinkley", column="score", parameters={"threshold": 5.0}, alerts=True),
    DetectorSettings(detector="adwin", column="applicability"),
]


def test_detectors_find_what_they_find_fed_one_by_one_in_order() -> None:
    drift = {"detectors": [{**_table(one)} for one in DETECTORS]}
    watched = make_watched(drift=drift)
    reader = Reader(watched)
    random = np.random.default_rng(1)
    sections = []
    for place in range(6):
        times = np.sort(random.integers(place * HOUR, (place + 1) * HOUR, 400))
        random.shuffle(times)
        scores = np.clip(random.normal(0.2 if place < 3 else 0.8, 0.05, 400), 0, 1)
        partition = random.integers(0, 4, 400)
        sections.append(
            section(
                times,
                watched=watched,
                seed=place,
                partition=partition.tolist(),
                offset=place * 1000,
                score=scores,
                abstained=random.uniform(size=400) < 0.1,
            )
        )
    for place, rows in enumerate(sections):
        reader.take(message(rows))
        if place % 2:
            reader.restart()
        reader.take(reach((place + 1) * HOUR + MINUTE))
    found = sorted(
        (one.detector, one.column, one.at, one.since, one.rows)
        for result in reader.results
        for one in result.detectors
    )
    assert found == sorted(_expected(watched, sections))
    assert {one[0] for one in found} >= {"page_hinkley"}
    subjects = {event.subject for event in reader.events if event.status == "firing"}
    assert "detector/score/page_hinkley" in subjects


@pytest.mark.parametrize("size", [4, 2], ids=["one batch", "a batch an hour"])
def test_a_detector_has_an_alert_in_each_role_of_its_version(size: int) -> None:
    #  score      0h         1h         2h
    #  canary     | 0.1  0.9 | 0.1  0.9 |   fires with the first hour
    #  primary    | 0.1  0.1 | 0.1  0.9 |   fires with the second
    detector = {"detector": "page_hinkley", "column": "score", "parameters": {"threshold": 5}, "alerts": True}
    watched = make_watched(drift={"detectors": [detector]})
    reader = Reader(watched)
    same, rises = np.full(700, 0.1), np.repeat([0.1, 0.9], 350)
    log = []
    for place, (canary, primary) in enumerate([(rises, same), (rises, rises)]):
        times = place * HOUR + np.arange(700) * (HOUR // 700)
        offset = place * 10_000
        beside = section(times, watched=watched, role="canary", offset=offset + 1000, score=canary)
        log.append(message(section(times, watched=watched, offset=offset, score=primary), beside))
        log.append(reach((place + 1) * HOUR + MINUTE))
    for start in range(0, len(log), size):
        reader.take(*log[start : start + size])
    told = {event.fingerprint: event for event in reader.events if event.subject.startswith("detector/")}
    assert sorted((event.subject, event.status, event.since[11:13]) for event in told.values()) == [
        ("detector/score/page_hinkley", "firing", "01"),
        ("detector/score/page_hinkley/canary", "firing", "00"),
    ]


def _table(settings: DetectorSettings) -> dict[str, object]:
    return {
        "detector": settings.detector,
        "column": settings.column,
        "parameters": settings.parameters,
        "alerts": settings.alerts,
    }


def _expected(watched: Watched, sections: list[ModelObservation]) -> list[tuple[str, str, str, str, int]]:
    times, partitions, offsets, scores, distances, abstained = (
        np.concatenate([getattr(one, name).numpy() for one in sections])
        for name in ("event_time_ms", "partition", "offset", "score", "applicability", "abstained")
    )
    order = in_order(times, partitions, offsets)
    log_distance = LogDistance(watched.reference.distances)
    told = []
    for settings in DETECTORS:
        detector = Sequential(settings.detector, settings.parameters)
        values = (
            scores if settings.column == "score" else log_distance.standardise(distances.astype(np.float64))
        )
        kept = order[~abstained[order]] if settings.column == "score" else order
        told += [
            (settings.detector, settings.column, rfc3339(one.at_ms), rfc3339(one.since_ms), one.rows)
            for one in detector.feed(values[kept].astype(np.float64), times[kept])
        ]
    return told


def test_rows_too_late_for_the_detectors_still_count_in_their_window() -> None:
    # Detectors are fed by the minute, windows close by the hour.
    watched = make_watched()
    reader = Reader(watched)
    reader.take(message(hour(watched, 0)), reach(HOUR // 2))
    reader.take(message(section([MINUTE], watched=watched, offset=10**6)), reach(HOUR + MINUTE))
    (result,) = reader.results
    assert result.n == 701
    assert reader.monitor.counts()["rows_too_late_for_detectors"]["m", "1", "primary"] == 1
