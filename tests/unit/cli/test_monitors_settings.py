"""What ``atalaia monitors set`` makes of its words, and what it refuses."""

from typing import Any

import pytest

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import SettingsError
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import monitor_settings
from atalaia.monitors.overlays import assign, merge, read_assignment, read_tables, unset

MANIFEST = Manifest(
    name="panel",
    version="1",
    task="classification",
    model=ModelFile(inputs="tensor", probabilities="p"),
    features=(Feature("a"),),
    context=(ContextColumn("sex"),),
    classes=(0, 1),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("drift.window=30m", "30m"),
        ("drift.effect=0.1", 0.1),
        ("drift.detectors=[]", []),
        ("drift.enabled=false", False),
        ('drift.without=["a", "b"]', ["a", "b"]),
        ('drift.window="1h"', "1h"),
        ("fairness.favourable = yes", "yes"),
    ],
)
def test_values_are_toml_or_bare_words(text: str, value: Any) -> None:
    assert read_assignment(text)[1] == value


@pytest.mark.parametrize("text", ["drift.window", "window=1h", "drift.=1", "drift.effect=[1", "drift.x=a b"])
def test_what_sets_nothing_is_refused_with_its_own_words(text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected|neither"):
        read_assignment(text)


def test_what_is_set_again_replaces_and_the_rest_stays() -> None:
    before = {"drift": {"window": "1h", "q": 0.01}}
    after = assign(before, [(("drift", "window"), "2h"), (("drift", "dependence", "a"), 2.0)])
    assert after == {"drift": {"window": "2h", "q": 0.01, "dependence": {"a": 2.0}}}
    assert before == {"drift": {"window": "1h", "q": 0.01}}


def test_a_table_cannot_be_put_into_a_value() -> None:
    with pytest.raises(SettingsError, match=r"drift\.q is a value"):
        assign({"drift": {"q": 0.01}}, [(("drift", "q", "x"), 1)])


def test_a_file_gives_tables_of_settings() -> None:
    assert merge({"drift": {"q": 0.1}}, read_tables("[fairness]\ndepth = 1")) == {
        "drift": {"q": 0.1},
        "fairness": {"depth": 1},
    }
    with pytest.raises(SettingsError, match="expected tables"):
        merge({}, read_tables("depth = 1"))
    with pytest.raises(SettingsError, match="not TOML"):
        read_tables("[drift")


def test_unset_leaves_no_empty_table_and_names_what_was_not_set() -> None:
    assert unset({"drift": {"dependence": {"a": 2.0}}}, ["drift.dependence.a"]) == {}
    with pytest.raises(SettingsError, match=r"drift\.effect was not set"):
        unset({"drift": {"q": 0.1}}, ["drift.effect"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("drift.windows=1h", "windows"),
        ("drift.window=ten", "window"),
        ("drift.window=90s drift.pane=60s", "drift.window"),
        ("drift.step=2h", "drift.window"),
        ("drift.q=2", "q"),
        ("drift.hits=9", "drift.hits"),
        ('drift.tests=["kss"]', "drift.tests"),
        ('drift.detectors=[{detector="adwinn",column="score"}]', "drift.detectors.detector"),
        ('drift.detectors=[{detector="adwin",column="a"}]', "drift.detectors.column"),
        (
            'drift.detectors=[{detector="adwin",column="score",parameters={x=1}}]',
            "drift.detectors.parameters",
        ),
        ('fairness.attributes=["race"]', "fairness.attributes"),
        ('fairness.may_alert=["speed"]', "fairness.may_alert"),
        ("fairness.favourable=7", "fairness.favourable"),
        ('performance.metrics=["speed"]', "performance.metrics"),
        ("labels.horizon=30d", "performance.window, .* labels.horizon come to 31.0007d together, .* 30d"),
        ("drift.window=30d", "drift.window, drift.lateness come to 30.0007d"),
    ],
)
def test_settings_that_would_stop_a_monitor_are_refused_by_name(text: str, named: str) -> None:
    overlay = assign({}, map(read_assignment, text.split(" ")))
    with pytest.raises(SettingsError, match=named):
        check_settings(monitor_settings({}, [overlay]), MANIFEST)


def test_the_defaults_are_in_order() -> None:
    check_settings(monitor_settings({}), MANIFEST)


def test_the_longest_horizon_is_what_the_topics_keep() -> None:
    overlay = {"labels": {"horizon": "28d"}, "drift": {"window": "30d", "enabled": False}}
    check_settings(monitor_settings({}, [overlay]), MANIFEST)
