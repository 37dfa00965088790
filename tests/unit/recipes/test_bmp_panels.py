"""Panels: what is drawn, from figures and from the survey, and what is known of it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from recipes import bmp_figures
from recipes.bmp_panels import CONTEXT, DELTAS, FEATURES, TARGET, Panels, draw_panels, reported, simulate
from recipes.bmp_people import People
from recipes.bmp_rules import RetrospectiveRule, real_time_rule
from recipes.bmp_sources import source_of
from recipes.bmp_survey import FORMER_CYCLE, NEW_CYCLE, TRAINING_CYCLES, Survey, recompute
from tests.unit.recipes.marks import DATA_DIR, needs_data


def test_the_same_arguments_give_the_same_panels() -> None:
    one, two = simulate(500, seed=3), simulate(500, seed=3)
    assert np.array_equal(one.features, two.features, equal_nan=True)
    assert np.array_equal(one.contaminated, two.contaminated)
    assert not np.array_equal(one.features, simulate(500, seed=4).features, equal_nan=True)


@pytest.mark.parametrize("laboratory", [bmp_figures.FORMER, bmp_figures.NEW], ids=["former", "new"])
def test_panels_have_the_figures_they_are_drawn_from(laboratory: bmp_figures.Laboratory) -> None:
    panels = simulate(60_000, seed=1, laboratory=laboratory, contamination=0.0, without_prior=0.0)
    group = (panels.sex == "F") & (panels.age >= 50) & (panels.age < 70)
    assert group.mean() == pytest.approx(laboratory.shares["F", 2], abs=0.006)
    logs = np.log(panels.features[group, :8])
    assert logs.mean(axis=0) == pytest.approx(laboratory.log_means["F", 2], abs=0.015)
    assert logs.std(axis=0) == pytest.approx(laboratory.log_sds["F", 2], rel=0.05)
    correlation = np.asarray(np.corrcoef(logs.T))
    assert correlation[1, 0] == pytest.approx(laboratory.log_correlation[0][0], abs=0.06)
    before = np.log(panels.features[:, :8] / (panels.features[:, :8] - panels.features[:, 8:]))
    after = np.log((panels.features[:, :8] + panels.delta_post) / panels.features[:, :8])
    assert np.hstack([before, after]).std(axis=0) == pytest.approx(bmp_figures.RATIO_SDS, rel=0.07)
    assert panels.age.min() == 18
    assert panels.age.max() == 85
    assert [np.mean(panels.race_eth == race) for race in bmp_figures.RACES] == pytest.approx(
        bmp_figures.RACE_SHARES, abs=0.01
    )


def test_contamination_moves_the_sample_towards_the_fluid() -> None:
    clean, mixed = (
        simulate(4000, seed=2, contamination=share, fluids={"NS": 1.0}).features for share in (0.0, 1.0)
    )
    sodium, chloride, potassium = ((mixed - clean)[:, column].mean() for column in (0, 1, 2))
    assert sodium > 2
    assert chloride > 8
    assert potassium < -0.7


def test_a_panel_is_mixed_and_rounded_as_told() -> None:
    blood = np.array([[140.0, 100, 4, 25, 14, 0.9, 9.4, 100]])
    people = People(np.array(["F"]), np.array([40.0]), np.array(["white"]), blood)
    panels = draw_panels(
        np.random.default_rng(0), people, np.zeros((1, 16)), contamination=1.0, fluids={"D5W": 1}
    )
    f = panels.fraction[0]
    assert 0.1 <= f <= 0.8
    expected = reported((1 - f) * blood + f * np.array([[0.0, 0, 0, 0, 0, 0, 0, 5000]]))
    assert panels.features[0, :8] == pytest.approx(expected[0])
    assert panels.features[0, 8:] == pytest.approx(expected[0] - blood[0])
    assert panels.delta_post[0] == pytest.approx(blood[0] - expected[0])


def test_shares_of_contaminated_and_first_panels_are_as_asked() -> None:
    panels = simulate(40_000, seed=5, contamination=0.2, without_prior=0.3)
    assert panels.contaminated.mean() == pytest.approx(0.2, abs=0.01)
    assert np.isnan(panels.features[:, 8:]).all(axis=1).mean() == pytest.approx(0.3, abs=0.01)
    assert panels.fraction[panels.contaminated].min() >= 0.1
    assert panels.fraction.max() <= 0.8
    by_sex = simulate(40_000, seed=5, contamination={"F": 0.3, "M": 0.1})
    assert by_sex.contaminated[by_sex.sex == "F"].mean() == pytest.approx(0.3, abs=0.02)
    assert by_sex.contaminated[by_sex.sex == "M"].mean() == pytest.approx(0.1, abs=0.02)


def test_values_are_rounded_as_reported() -> None:
    features = simulate(1000, seed=6).features
    for column, places in enumerate((*bmp_figures.DECIMALS, *bmp_figures.DECIMALS)):
        scaled = features[:, column] * 10**places
        assert np.nanmax(np.abs(scaled - np.round(scaled))) < 1e-6


def test_a_shift_moves_one_analyte() -> None:
    plain, moved = (simulate(2000, seed=7, shift=shift).features for shift in ({}, {"chloride": 3.0}))
    assert (moved - plain)[:, 1].mean() == pytest.approx(3.0, abs=0.2)
    assert np.array_equal(moved[:, [0, 2, 3, 4]], plain[:, [0, 2, 3, 4]])


def test_csv_holds_what_the_panels_hold(tmp_path: Path) -> None:
    panels = simulate(50, seed=8, contamination=0.5)
    panels.write_csv(tmp_path / "panels.csv")
    header, *lines = (tmp_path / "panels.csv").read_text().splitlines()
    assert header.split(",") == [*FEATURES, *CONTEXT, TARGET]
    cells = [line.split(",") for line in lines]
    values = np.array([[float(cell) if cell else np.nan for cell in row[:16]] for row in cells])
    assert values == pytest.approx(panels.features, nan_ok=True)
    assert [row[16:] for row in cells] == [
        [sex, f"{age:.0f}", race, label]
        for sex, age, race, label in zip(panels.sex, panels.age, panels.race_eth, panels.labels, strict=True)
    ]


def test_people_are_taken_pass_by_pass() -> None:
    people = simulate(10, seed=1)
    group = People(people.sex, np.arange(10.0), people.race_eth, people.features[:, :8])
    ages = group.again_and_again(np.random.default_rng(0), 25).age
    assert [sorted(part) for part in (ages[:10], ages[10:20])] == [list(range(10))] * 2
    assert len(set(ages[20:])) == 5
    assert ages[:10].tolist() != ages[10:20].tolist()


def _panels(deltas: dict[str, float], after: dict[str, float]) -> Panels:
    panels = simulate(1, seed=1, without_prior=0.0)
    panels.features[:] = 0.0
    panels.delta_post[:] = 0.0
    for name, value in deltas.items():
        panels.features[0, FEATURES.index(f"{name}_delta_prior")] = value
    for name, value in after.items():
        panels.delta_post[0, bmp_figures.ANALYTES.index(name)] = value
    return panels


def test_the_real_time_rule_is_the_thesis_s() -> None:
    beyond = {"chloride": 7.8, "potassium_plas": -0.8, "calcium": -1.8}
    assert real_time_rule(_panels(beyond, {})).tolist() == [True]
    for name, at_most in (("chloride", 7.7), ("potassium_plas", -0.7), ("calcium", -1.7)):
        assert real_time_rule(_panels(beyond | {name: at_most}, {})).tolist() == [False]
        assert real_time_rule(_panels(beyond | {name: np.nan}, {})).tolist() == [False]


def test_the_retrospective_rule_needs_all_four() -> None:
    rule = RetrospectiveRule(chloride_rise=7.0, chloride_fall=-6.0, calcium_fall=-0.9, calcium_rise=1.1)
    before, after = {"chloride": 8.0, "calcium": -1.0}, {"chloride": -7.0, "calcium": 1.2}
    assert rule(_panels(before, after)).tolist() == [True]
    for name in before:
        assert rule(_panels(before | {name: 0.0}, after)).tolist() == [False]
        assert rule(_panels(before, after | {name: 0.0})).tolist() == [False]
    assert rule(_panels(before | {"chloride": np.nan}, after)).tolist() == [False]


def test_the_retrospective_rules_quantiles_are_of_the_training_panels() -> None:
    panels = simulate(5000, seed=9)
    rule = RetrospectiveRule.fit(panels)
    rises = panels.features[:, len(bmp_figures.ANALYTES) + 1]
    assert np.nanmean(rises > rule.chloride_rise) == pytest.approx(0.05, abs=0.03)
    assert (panels.delta_post[:, 6] > rule.calcium_rise).mean() == pytest.approx(0.05, abs=0.02)
    assert rule.chloride_fall < 0 < rule.calcium_rise


@pytest.mark.data
@needs_data
def test_figures_are_those_of_the_files() -> None:
    found = recompute(DATA_DIR)
    for name in ("FORMER", "NEW"):
        assert bmp_figures.Laboratory(**found.pop(name)) == getattr(bmp_figures, name)
    assert found == {name: getattr(bmp_figures, name) for name in found}
    assert len(found) == 3


@pytest.mark.data
@needs_data
def test_the_change_of_laboratory_is_as_documented() -> None:
    survey = Survey.read(DATA_DIR)
    former, new = (reported(survey.adults(cycle).blood) for cycle in (FORMER_CYCLE, NEW_CYCLE))
    found = {
        name: round(float(ks_2samp(former[:, j], new[:, j], method="asymp").statistic), 2)
        for j, name in enumerate(bmp_figures.ANALYTES)
    }
    assert found == bmp_figures.CHANGE_OF_LABORATORY


@pytest.mark.data
@needs_data
def test_nobody_is_in_two_places() -> None:
    survey = Survey.read(DATA_DIR)
    one, other = survey.halves()
    assert (len(survey.people), len(one) + len(other)) == (47_882, 5_385)
    assert len(one) >= 2000
    training = survey.adults(*TRAINING_CYCLES)
    assert len(training) + len(one) + len(other) + len(survey.adults(NEW_CYCLE)) == len(survey.people)
    both = np.vstack([one.blood, other.blood])
    assert sorted(map(tuple, both)) == sorted(map(tuple, survey.adults(FORMER_CYCLE).blood))
    rows = {tuple(row) for row in survey.training_ratios()}
    assert len(survey.training_ratios()) + len(survey.held_out_ratios()) == 119
    assert not rows & {tuple(row) for row in survey.held_out_ratios()}


@pytest.mark.data
@needs_data
def test_bootstrapped_deltas_are_spread_as_the_triples_are() -> None:
    source = source_of(DATA_DIR)
    panels = source.stationary(20_000, seed=1, contamination=0.0, without_prior=0.0)
    ratios = np.log(panels.features[:, :8] / (panels.features[:, :8] - panels.features[:, 8:]))
    spread = Survey.read(DATA_DIR).held_out_ratios()[:, :8].std(axis=0) * np.sqrt(1.09)
    assert ratios.std(axis=0) == pytest.approx(spread, rel=0.1)
    wide = source.training(20_000, seed=1, widened=True).features[:, 8:]
    usual = source.training(20_000, seed=1).features[:, 8:]
    assert np.nanstd(wide[:, 0]) > 1.2 * np.nanstd(usual[:, 0])
    assert len(DELTAS) == 8
