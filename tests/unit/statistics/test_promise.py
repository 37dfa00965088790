"""The promise: at most 1 false alert per 1,000 windows, and a shift of .25 SD is found; over many references.

The fast simulation of `bench.drift_simulation` is held to the library first, then asked.
"""

from dataclasses import replace

import numpy as np
import pytest

from atalaia.statistics.bins import bins_of, reference_of
from atalaia.statistics.comparison import TestResult
from atalaia.statistics.drift import ColumnTests, Measured
from atalaia.statistics.ks import KolmogorovSmirnov, p_value
from atalaia.statistics.verdict import DEFAULT, ColumnState, Outcome, fold, judge
from bench import drift_simulation as simulation


def test_the_simulated_distances_and_p_values_are_the_librarys() -> None:
    rng = np.random.default_rng(0)
    reference = np.sort(rng.random(1191, np.float32))
    windows = np.sort(rng.random((30, 500), np.float32), axis=1)
    ks = KolmogorovSmirnov(bins_of(reference_of(reference)))
    results = [ks.result(ks.count(window)) for window in windows]
    distances = simulation.distances_to(reference, windows)
    assert distances == pytest.approx(
        np.array([result.statistic for result in results], np.float64), abs=1e-12
    )
    p_values = simulation.PValues(500, 1191)(distances)
    assert p_values == pytest.approx(np.array([result.p_value for result in results], np.float64), rel=0.01)
    far = simulation.PValues(500, 1191)(np.array([0.1, 0.2]))
    assert far == pytest.approx([p_value(0.1, 500, 1191), p_value(0.2, 500, 1191)], rel=0.01)


@pytest.mark.parametrize("rules", [DEFAULT, replace(DEFAULT, q=0.3, effect=0.03, quiet_effect=0.02)])
def test_the_simulated_verdicts_are_the_librarys(rules: object) -> None:
    assert isinstance(rules, type(DEFAULT))
    rng = np.random.default_rng(1)
    drifting = rng.random((300, 6)) < 0.3
    distances = np.where(drifting, rng.uniform(0.02, 0.15, (300, 6)), rng.uniform(0.0, 0.07, (300, 6)))
    p_values = simulation.PValues(500, 1191)(distances)
    hits = simulation.is_hit(p_values, distances, rules)
    quiet = simulation.is_quiet(p_values, distances, hits, rules)
    began = simulation.fired(hits, quiet, rules)
    states = {str(column): ColumnState() for column in range(6)}
    seen = 0
    for window in range(300):
        measured = [
            Measured(str(column), "ks", True, TestResult(d, p, d, 500))
            for column, (d, p) in enumerate(zip(distances[window], p_values[window], strict=True))
        ]
        outcomes = judge(measured, rows=500, reference_rows=1191, rules=rules).outcomes
        for column, name in enumerate(states):
            assert (outcomes[name] is Outcome.HIT) == hits[window, column]
            assert (outcomes[name] is Outcome.QUIET) == quiet[window, column]
            before, states[name] = states[name], fold(states[name], outcomes[name], window, rules)
            assert began[window, column] == (states[name].drifted and not before.drifted)
            seen += int(began[window, column])
    assert seen > 10


@pytest.mark.timeout(240)  # 10 s of computing; more where the machine is shared
def test_no_more_than_one_false_alert_in_a_thousand_windows() -> None:
    figures = simulation.simulate(
        simulation.Setting(n=500, m=1191, columns=6), references=200, windows=500, seed=2, power=False
    )
    assert figures.mean_bound <= 1.0  # upper 95 % bound, references drawn again
    assert figures.bound(4.0) <= 0.05  # 95 % of references: no more than 2 alerts in these 500 windows
    assert figures.rates.max() > 0  # a simulation in which nothing can happen promises nothing


@pytest.mark.parametrize(("m", "within_3", "within_5"), [(2000, 0.8, 0.9), (1000, 0.6, 0.8)])
def test_a_quarter_of_a_standard_deviation_is_found(m: int, within_3: float, within_5: float) -> None:
    setting = simulation.Setting(n=500, m=m, columns=10)
    figures = simulation.simulate(setting, references=400, windows=1, seed=3)
    assert figures.found is not None
    assert figures.found[0] >= within_3
    assert figures.found[1] >= within_5


def test_a_stationary_column_of_categories_hardly_ever_fires() -> None:
    """Chi-squared, unseen and missing values through the library itself, no shortcut."""
    rng = np.random.default_rng(4)
    rates = 1 / np.arange(1, 41) ** 1.3
    rates /= rates.sum()
    alerts = windows = 0
    for _ in range(60):
        column = ColumnTests(
            "code", reference_of(_codes(rng, rates, 1200)), tests=["chi2", "unseen", "missing"]
        )
        state = ColumnState()
        for window in range(60):
            measured = column.results(column.count(_codes(rng, rates, 500)))
            outcome = judge(measured, rows=500, reference_rows=1200).outcomes["code"]
            before, state = state, fold(state, outcome, window)
            alerts += int(state.drifted and not before.drifted)
            windows += 1
    assert alerts <= windows / 1000


def _codes(rng: np.random.Generator, rates: np.ndarray, rows: int) -> np.ndarray:
    codes = rng.choice(40, rows, p=rates).astype(np.float64)
    codes[rng.random(rows) < 0.02] = np.nan
    return np.where(
        codes < 38, codes, codes + rng.integers(0, 50, rows)
    )  # two codes fall apart into rare ones
