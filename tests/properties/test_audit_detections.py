"""The audit's detectors find what the monitors' do; a detection that is missing from a result is named."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atalaia.alerts import rfc3339
from atalaia.auditing.detections import Detector, Found, differences
from atalaia.auditing.published import Published, latest, read_result
from atalaia.auditing.recount import Checked
from atalaia.monitors.configuration import DetectorSettings
from atalaia.statistics.sequential import DETECTORS, Sequential
from tests.properties import test_drift_monitor as drift
from tests.properties.error_logs import ErrorLog, bundles, error_logs
from tests.properties.test_audit_of_monitors import (
    labels_of,
    published_by_drift,
    published_by_truth,
    recount,
    wrong,
)

PARAMETERS: dict[str, dict[str, Any]] = {"page_hinkley": {"threshold": 5.0}, "adwin": {"delta": 0.05}}


def told(one: Any, settings: DetectorSettings) -> dict[str, Any]:
    return {
        "detector": settings.detector,
        "column": settings.column,
        "at": rfc3339(one.at_ms),
        "since": rfc3339(one.since_ms),
        "rows": one.rows,
    }


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(DETECTORS),
    st.lists(st.tuples(st.integers(1, 3000), st.floats(0, 1)), min_size=1, max_size=5),
    st.integers(0, 1 << 30),
)
def test_river_fed_again_finds_the_same(kind: str, stretches: list[tuple[int, float]], seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.concatenate([random.random(rows) < share for rows, share in stretches]).astype(np.float64)
    times = np.cumsum(random.integers(1, 5000, len(values)))
    set_ = DetectorSettings(detector=kind, column="error", parameters=PARAMETERS.get(kind, {}))
    sequential, again = Sequential(kind, set_.parameters), Detector(set_)
    expected = [told(one, set_) for one in sequential.feed(values, times)]
    half = len(values) // 2
    found: list[Found] = [*again.feed(values[:half], times[:half]), *again.feed(values[half:], times[half:])]
    assert not differences(expected, found)


def without_one(results: list[Published], choice: int) -> tuple[Published, list[Published]]:
    """A result with detections, and all results with one of them left out of it."""
    having = [at for at, one in enumerate(results) if one.body.get("detectors")]
    assume(having)
    at = having[choice % len(having)]
    body = msgspec.to_builtins(results[at].result)
    body["detectors"].pop(choice % len(body["detectors"]))
    changed = read_result(results[at].place.monitor, msgspec.json.encode(body))
    return results[at], [changed if place == at else one for place, one in enumerate(results)]


def named(checked: list[Checked]) -> list[tuple[Any, list[str]]]:
    return [(one.place, [mismatch.path for mismatch in one.mismatches]) for one in checked if one.mismatches]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(drift.DEFINITIONS), drift.cut_logs(), st.integers(0, 1000))
def test_a_detection_of_drift_that_is_left_out_is_named(
    definition: dict[str, Any], case: tuple[list[drift.Make], list[int], list[bool]], choice: int
) -> None:
    """Without replays and changes all detectors are followed."""
    makers, cuts, restarts = case
    known = drift.bundles(definition)
    log = [make(known, number) for number, make in enumerate(makers)]
    log = [one for one in log if not one.marks and not one.changes]
    reader = drift.read(known, log, cuts, restarts)
    results = list(latest(published_by_drift(reader)).values())
    reached = {"drift": (len(log), -1)}
    events = {event.fingerprint: event for event in reader.events}
    assert not wrong(recount(results, log, known, reached=reached, alerts=events))
    changed, others = without_one(results, choice)
    assert named(recount(others, log, known)) == [(changed.place, ["detectors.length"])]


@settings(deadline=None, max_examples=20)
@given(error_logs(), st.integers(0, 1000))
def test_a_detection_of_errors_that_is_left_out_is_named(log: ErrorLog, choice: int) -> None:
    """But after a pause in which a stream may have been forgotten, and its detectors with it."""
    known = bundles()
    results = list(latest(published_by_truth(log.read(known))).values())
    changed, others = without_one(results, choice)
    assume(log.steady)
    found = named(recount(others, log.observed, known, labels_of(log.truth)))
    assert found == [(changed.place, ["detectors.length"])]
