"""Metrics have the project's names and bounded labels, whatever monitors count."""

from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from atalaia.topics import OBSERVATIONS
from atalaia.worker.metrics import WorkerMetrics
from atalaia.worker.units import Report


def shown(report: Report) -> list[str]:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(
        "drift",
        registry,
        report=lambda: report,
        lags=lambda: {(OBSERVATIONS, 2): 5},
        pending=lambda: 3,
    )
    metrics.step_seconds.observe(0.01)
    return generate_latest(registry).decode().splitlines()


def test_totals_positions_and_lags_are_there() -> None:
    lines = shown(Report({(OBSERVATIONS, 2): 17}, {"steps": 4, "lost": 9}))
    for line in (
        "atalaia_drift_steps_total 4.0",
        "atalaia_drift_lost_messages_total 9.0",
        "atalaia_drift_messages_total 0.0",
        'atalaia_drift_position_offset{partition="2",topic="observations"} 17.0',
        'atalaia_drift_lag_offsets{partition="2",topic="observations"} 5.0',
        "atalaia_drift_outbox_pending_messages 3.0",
        "atalaia_drift_partitions 1.0",
        "atalaia_drift_step_seconds_count 1.0",
    ):
        assert line in lines


def test_what_monitors_count_always_has_the_same_labels() -> None:
    counts = {"rows": {("m", "1", "primary"): 7.0, ("m", "2"): 1.0, (): 2.0}}
    lines = shown(Report(monitors=counts))
    assert 'atalaia_drift_rows_total{model="m",role="primary",version="1"} 7.0' in lines
    assert 'atalaia_drift_rows_total{model="m",role="",version="2"} 1.0' in lines
    assert 'atalaia_drift_rows_total{model="",role="",version=""} 2.0' in lines


def test_nothing_is_shown_twice() -> None:
    names = [line.split(" ")[2] for line in shown(Report()) if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
