"""Label coverage: how even, how late, and when it is enough."""

import numpy as np
import pytest

from atalaia.statistics import coverage


@pytest.mark.parametrize(
    ("rows", "labelled", "uneven"),
    [
        ([100, 100], [100, 80], False),  # exactly 1.25
        ([100, 100], [100, 79], True),
        ([100, 100], [50, 0], True),
        ([100, 100], [0, 0], False),
        ([100, 29], [100, 0], False),  # too small to tell
        ([100, 30], [100, 0], True),
        ([10, 10], [10, 0], False),
        ([0, 0], [0, 0], False),
    ],
)
def test_a_factor_of_more_than_five_quarters_is_uneven(
    rows: list[int], labelled: list[int], uneven: bool
) -> None:
    assert coverage.uneven(np.array(rows), np.array(labelled)) is uneven


def test_an_even_coverage_is_hardly_ever_called_uneven() -> None:
    generator = np.random.default_rng(0)
    rows = np.full(4, 500)
    called = sum(coverage.uneven(rows, generator.binomial(rows, 0.8)) for _ in range(2000))
    assert called == 0


def test_weights_bring_each_cell_back_to_its_rows() -> None:
    rows, labelled = np.array([[100, 7], [30, 4]]), np.array([[10, 7], [15, 0]])
    weights = coverage.inverse_weights(rows, labelled)
    assert (weights * labelled).tolist() == [[100, 7], [30, 0]]


@pytest.mark.parametrize(
    ("rows", "labelled", "usual", "horizon", "mature"),
    [
        (100, 79, 1.0, False, False),
        (100, 80, 1.0, False, True),
        (100, 24, 0.3, False, True),
        (100, 23, 0.3, False, False),
        (100, 0, 1.0, True, True),
        (0, 0, 1.0, False, False),
        (0, 0, 1.0, True, True),
    ],
)
def test_a_window_matures_at_its_usual_coverage_or_at_the_horizon(
    rows: int, labelled: int, usual: float, horizon: bool, mature: bool
) -> None:
    found = coverage.mature(rows=rows, labelled=labelled, usual_coverage=usual, horizon_passed=horizon)
    assert found is mature


def test_share_is_undefined_without_rows() -> None:
    assert coverage.share(0, 0) is None


class TestDelays:
    def test_nothing_has_waited(self) -> None:
        none = coverage.delays(coverage.count_delays(np.array([], np.int64)))
        assert set(none.values()) == {None}

    def test_truth_that_came_first_waited_nothing(self) -> None:
        figures = coverage.delays(coverage.count_delays(np.array([-5000, 0])))
        assert figures["mean_seconds"] == 0
        assert figures["p99_seconds"] == 0.001

    @pytest.mark.parametrize("scale", [3.0, 3e3, 3e6, 3e9])
    def test_quantiles_are_at_most_a_quarter_doubling_too_high(self, scale: float) -> None:
        waited = np.ceil(np.random.default_rng(0).exponential(scale, 5000)).astype(np.int64)
        figures = coverage.delays(coverage.count_delays(waited))
        assert figures["mean_seconds"] == pytest.approx(waited.mean() / 1000)
        for name, part in (("median_seconds", 0.5), ("p90_seconds", 0.9), ("p99_seconds", 0.99)):
            exact = np.quantile(waited, part, method="inverted_cdf") / 1000
            found = figures[name]
            assert found is not None
            assert exact <= found <= 1.2 * exact

    def test_states_add_up(self) -> None:
        waited = np.random.default_rng(0).integers(0, 10**9, 1000)
        parts = sum(coverage.count_delays(part) for part in np.array_split(waited, 7))
        assert np.array_equal(parts, coverage.count_delays(waited))

    def test_ages_beyond_measure_are_still_counted(self) -> None:
        state = coverage.count_delays(np.array([2**45]))
        assert len(state) == coverage.DELAY_LENGTH
        assert state[1:].sum() == 1
