"""Settings of the monitors: defaults, overlays, and what is refused by name."""

import pytest

from atalaia.errors import SettingsError
from atalaia.monitors.configuration import MonitorSettings, monitor_settings


def test_defaults_are_those_of_the_promise() -> None:
    drift = monitor_settings({}).drift
    assert (drift.q, drift.effect, drift.hits, drift.among) == (0.01, 0.08, 2, 3)
    assert (drift.window_ms, drift.step_ms, drift.pane_ms) == (3_600_000, 3_600_000, 3_600_000)


def test_each_overlay_replaces_settings_not_tables() -> None:
    settings = monitor_settings(
        {"drift": {"window": "2h", "effect": 0.1}},
        [{"drift": {"effect": 0.2}}, {"labels": {"horizon": "1d"}}],
    )
    assert (settings.drift.window, settings.drift.effect) == ("2h", 0.2)
    assert settings.labels.horizon_ms == 86_400_000


def test_a_pane_divides_window_and_step() -> None:
    assert monitor_settings({"drift": {"window": "1h", "step": "25m"}}).drift.pane_ms == 300_000
    assert monitor_settings({"drift": {"last_rows": 500}}).drift.pane_ms == 60_000


def test_the_digest_tells_settings_apart_and_nothing_else() -> None:
    assert monitor_settings({"drift": {}}).digest == MonitorSettings().digest
    assert monitor_settings({"drift": {"effect": 0.09}}).digest != MonitorSettings().digest


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"drift": {"windows": "1h"}}, "windows"),
        ({"drfit": {}}, "drfit"),
        ({"drift": {"window": "1 hour"}}, "drift.window"),
        ({"fairness": {"depth": 9}}, "fairness.depth"),
        ({"drift": 3}, "drift"),
    ],
)
def test_what_is_wrong_is_named(tables: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        monitor_settings(tables)
