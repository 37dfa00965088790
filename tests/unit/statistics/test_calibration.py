"""Calibration: Z, ECE, and the rule that alerts on the first and not on the second."""

import numpy as np
import pytest

from atalaia.statistics import calibration


def _state(probability: list[float], event: list[bool]) -> np.ndarray:
    return calibration.count(np.array(probability), np.array(event, np.bool_))


def test_without_rows_nothing_is_defined() -> None:
    state = _state([], [])
    assert calibration.z(state) is None
    assert calibration.expected_calibration_error(state) is None
    assert calibration.mean_squared_error(state) is None


def test_certainties_leave_z_undefined_and_the_error_not() -> None:
    state = _state([1.0, 1.0, 0.0], [True, False, False])
    assert calibration.z(state) is None
    assert calibration.expected_calibration_error(state) == pytest.approx(1 / 3)
    assert calibration.judge(state, None, minimum_rows=1).reason == "no probability is in doubt"


def test_z_and_error_are_what_their_formulas_say() -> None:
    generator = np.random.default_rng(0)
    p = generator.random(5000).astype(np.float32).astype(np.float64)
    y = generator.random(5000) < p**1.2
    state = calibration.count(p, y)
    assert calibration.z(state) == pytest.approx((y - p).sum() / np.sqrt((p * (1 - p)).sum()), rel=1e-12)
    places = np.minimum((p * 10).astype(int), 9)
    gaps = [abs((y - p)[places == place].sum()) for place in range(10)]
    assert calibration.expected_calibration_error(state) == pytest.approx(sum(gaps) / 5000, rel=1e-12)
    assert calibration.mean_squared_error(state) == pytest.approx(((y - p) ** 2).mean(), rel=1e-12)


def test_z_of_a_calibrated_model_is_standard_normal() -> None:
    generator = np.random.default_rng(1)
    values = []
    for _ in range(2000):
        p = generator.beta(0.5, 2.0, 500)
        value = calibration.z(calibration.count(p, generator.random(500) < p))
        assert value is not None
        values.append(value)
    assert np.mean(values) == pytest.approx(0.0, abs=0.07)
    assert np.std(values) == pytest.approx(1.0, abs=0.05)


def test_the_error_of_a_calibrated_model_is_not_zero() -> None:
    """Why it never decides: about .044 at 500 rows and .014 at 5000, of a perfect model."""
    generator = np.random.default_rng(2)
    means = []
    for rows in (500, 5000):
        errors = []
        for _ in range(300):
            p = generator.random(rows)
            error = calibration.expected_calibration_error(calibration.count(p, generator.random(rows) < p))
            assert error is not None
            errors.append(error)
        means.append(np.mean(errors))
    assert means[0] == pytest.approx(0.044, abs=0.002)
    assert means[1] == pytest.approx(0.014, abs=0.001)


def test_a_model_as_overconfident_as_on_its_reference_does_not_alert() -> None:
    generator = np.random.default_rng(3)

    def overconfident(rows: int, right: float) -> np.ndarray:
        return calibration.count(np.full(rows, 0.95), generator.random(rows) < right)

    reference = overconfident(1000, 0.65)
    usual, worse = overconfident(1000, 0.65), overconfident(1000, 0.4)
    assert calibration.judge(usual, None).hit  # far from calibrated, but so it always was
    assert not calibration.judge(usual, reference).hit
    assert calibration.judge(worse, reference).hit


def test_a_tiny_shift_of_a_million_rows_does_not_alert() -> None:
    generator = np.random.default_rng(4)
    p = generator.random(300_000)
    reference = calibration.count(p, generator.random(300_000) < p)
    moved = calibration.count(p, generator.random(300_000) < np.clip(p + 0.01, 0, 1))
    found = calibration.judge(moved, reference)
    assert found.z is not None
    assert found.z > 5
    assert found.judged
    assert not found.hit


def test_too_few_rows_do_not_judge() -> None:
    found = calibration.judge(_state([0.9] * 99, [False] * 99), None)
    assert (found.judged, found.hit, found.reason) == (False, False, "99 rows, fewer than 100")
    assert found.z is not None
