"""River fed one by one is the oracle; a detector that was stopped goes on as if it had not been."""

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import drift
from river.drift import binary

from atalaia.statistics.bins import FloatArray
from atalaia.statistics.sequential import DETECTORS, LogDistance, Sequential, in_order
from atalaia.statistics.snapshots import SnapshotRefused, pack, unpack

ORACLES: dict[str, Callable[..., Any]] = {
    "adwin": drift.ADWIN,
    "page_hinkley": drift.PageHinkley,
    "ddm": binary.DDM,
    "eddm": binary.EDDM,
    "hddm_a": binary.HDDMA,
    "hddm_w": binary.HDDMW,
}
OTHER_PARAMETERS: dict[str, dict[str, Any]] = {
    "adwin": {"delta": 0.05, "clock": 8, "max_buckets": 3, "grace_period": 20},
    "page_hinkley": {"threshold": 10.0, "mode": "down", "min_instances": 50},
    "ddm": {"warm_start": 60, "drift_threshold": 2.5},
    "eddm": {"alpha": 0.9, "beta": 0.8},
    "hddm_a": {"two_sided_test": True, "drift_confidence": 0.01},
    "hddm_w": {"two_sided_test": True, "lambda_val": 0.1},
}


def _stream(kind: str, seed: int, rows: int = 4000) -> FloatArray:
    """Errors, or values, whose rate moves now and then."""
    rng = np.random.default_rng(seed)
    rates = np.repeat(rng.uniform(0.02, 0.6, 8), rows // 8)
    if kind in ("adwin", "page_hinkley"):
        return rng.normal(rates * 4, 1.0)
    return (rng.random(len(rates)) < rates).astype(np.float64)


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("parameters", ["default", "other"])
@pytest.mark.parametrize("seed", range(6))
def test_it_fires_where_river_fires(kind: str, parameters: str, seed: int) -> None:
    given = {} if parameters == "default" else OTHER_PARAMETERS[kind]
    values = _stream(kind, seed)
    oracle, expected = ORACLES[kind](**given), []
    for place, value in enumerate(values.tolist()):
        oracle.update(value)
        if oracle.drift_detected:
            expected.append(place)
    found = Sequential(kind, given).feed(values, np.arange(len(values)))
    assert [detection.at_ms for detection in found] == expected


@pytest.mark.parametrize("kind", DETECTORS)
def test_each_stream_makes_it_fire_so_that_the_test_above_can_fail(kind: str) -> None:
    assert sum(len(Sequential(kind).feed(_stream(kind, seed), np.arange(4000))) for seed in range(6)) >= 6


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("seed", range(12))
def test_stopped_and_restored_anywhere_it_goes_on_to_the_last_bit(kind: str, seed: int) -> None:
    given = OTHER_PARAMETERS[kind] if seed % 2 else {}
    values, times = _stream(kind, seed, 2400), np.arange(2400) * 7
    whole = Sequential(kind, given)
    expected = whole.feed(values, times)
    rng = np.random.default_rng(seed)
    cuts = [0, *sorted(rng.integers(0, 2400, 25).tolist()), 2400]
    # Right after a detection too: the reset waits for the next row.
    cuts = sorted({*cuts, *(detection.rows for detection in expected)})
    part, found = Sequential(kind, given), []
    for start, stop in itertools.pairwise(cuts):
        part = Sequential.restored(part.snapshot(), kind, given)
        found += part.feed(values[start:stop], times[start:stop])
    assert found == expected
    assert part.snapshot() == whole.snapshot()
    assert (part.drift_detected, part.warning_detected) == (whole.drift_detected, whole.warning_detected)


@pytest.mark.parametrize("kind", DETECTORS)
def test_since_lies_between_the_change_and_the_alarm_or_a_little_before(kind: str) -> None:
    rng = np.random.default_rng(4)
    values = np.where(np.arange(6000) < 3000, rng.random(6000) < 0.1, rng.random(6000) < 0.6).astype(
        np.float64
    )
    values = values * 4 if kind == "page_hinkley" else values
    alarms = [found for found in Sequential(kind).feed(values, np.arange(6000)) if found.at_ms >= 3000]
    assert alarms
    assert 3000 - 800 < alarms[0].since_ms <= alarms[0].at_ms < 3400


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_snapshot_is_json_without_a_pickle_and_stays_small(kind: str) -> None:
    detector = Sequential(kind)
    detector.feed(_stream(kind, 0, 100_000), np.arange(100_000))
    snapshot = detector.snapshot()
    assert json.loads(snapshot)["detector"] == kind
    assert len(snapshot) < 20_000


def test_a_snapshot_that_was_touched_is_refused() -> None:
    detector = Sequential("adwin")
    detector.feed(np.arange(50.0), np.arange(50))
    snapshot = detector.snapshot()
    with pytest.raises(SnapshotRefused, match="does not hash to its digest"):
        Sequential.restored(snapshot.replace(b'"rows":50', b'"rows":51'), "adwin")
    for damaged in (b"", snapshot[:-10], b"[]", b'{"format":2}', b"\x80\x04\x95"):
        with pytest.raises(SnapshotRefused, match="rebuild the state from the log"):
            Sequential.restored(damaged, "adwin")


def test_a_snapshot_of_something_else_is_refused() -> None:
    snapshot = Sequential("ddm").snapshot()
    with pytest.raises(SnapshotRefused, match="detector 'ddm', expected 'eddm'"):
        Sequential.restored(snapshot, "eddm")
    with pytest.raises(SnapshotRefused, match="parameters"):
        Sequential.restored(snapshot, "ddm", {"warm_start": 3})
    content = unpack(snapshot)
    with pytest.raises(SnapshotRefused, match=r"river '0\.1'"):
        Sequential.restored(pack({**content, "river": "0.1"}), "ddm")


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("seed", range(20))
def test_a_forged_state_with_a_right_digest_is_refused_or_harmless(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    detector = Sequential(kind)
    detector.feed(_stream(kind, seed), np.arange(4000))
    content = unpack(detector.snapshot())
    forged = pack({**content, "state": _forged(content["state"], rng)})
    try:
        restored = Sequential.restored(forged, kind)
    except SnapshotRefused:
        return
    try:
        restored.feed(_stream(kind, seed + 1), np.arange(4000))
    except (ArithmeticError, ValueError):
        assert kind != "adwin"  # wrong numbers may be no numbers; nothing of river in Rust may fall over


def _forged(state: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    name = rng.choice(sorted(state))
    value = state[name]
    if isinstance(value, dict) and "float" not in value:
        return {**state, name: _forged(value, rng)}
    if isinstance(value, str) and len(value) > 20:
        native = bytearray(base64.b64decode(value))
        native[int(rng.integers(len(native)))] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            native = native[: int(rng.integers(len(native)))]
        return {**state, name: base64.b64encode(bytes(native)).decode()}
    forgeries: list[Any] = [None, "x", -1, 1e308, True, [], {"float": "inf"}]
    return {**state, name: forgeries[int(rng.integers(len(forgeries)))]}


def test_attributes_a_snapshot_adds_or_lacks_are_refused() -> None:
    content = unpack(Sequential("ddm").snapshot())
    for state in ({**content["state"], "update": 1}, {"warm_start": 30}, None):
        with pytest.raises(SnapshotRefused, match="does not hold what DDM needs"):
            Sequential.restored(pack({**content, "state": state}), "ddm")
    with pytest.raises(SnapshotRefused, match="lacks its rows or times"):
        Sequential.restored(pack({**content, "rows": None}), "ddm")


def test_values_it_cannot_take_are_named() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        Sequential("adwin").feed(np.array([1.0, np.nan]), np.arange(2))
    with pytest.raises(ValueError, match="ddm takes errors, 0 or 1"):
        Sequential("ddm").feed(np.array([0.5]), np.arange(1))
    with pytest.raises(ValueError, match="no detector is called 'kswin'"):
        Sequential("kswin")
    with pytest.raises(ValueError, match="takes no such parameter"):
        Sequential("ddm", {"window": 3})


def test_rows_have_one_order_however_they_came() -> None:
    rng = np.random.default_rng(0)
    time_ms, partition, offset, row = rng.integers(0, 4, (4, 500))
    expected = sorted(zip(time_ms, partition, offset, row, strict=True))
    for _ in range(3):
        mixed = rng.permutation(500)
        order = in_order(time_ms[mixed], partition[mixed], offset[mixed], row[mixed])
        columns = (column[mixed][order] for column in (time_ms, partition, offset, row))
        assert list(zip(*columns, strict=True)) == expected


def test_log_distances_are_standard_on_the_reference() -> None:
    distances = np.random.default_rng(0).chisquare(5, 4000)
    scaled = LogDistance(distances).standardise(distances)
    assert (scaled.mean(), scaled.std()) == pytest.approx((0.0, 1.0), abs=1e-9)
    assert np.isfinite(LogDistance(distances).standardise(np.array([0.0, 3e38]))).all()
    with pytest.raises(ValueError, match="all alike"):
        LogDistance(np.ones(5))
