"""Metrics of several processes on one page, each process a real one: the client library decides on import."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import Gauge

from atalaia.telemetry import metrics
from atalaia.telemetry.sharing import page

PROCESS = """
import sys
from pathlib import Path
from atalaia.telemetry import sharing
sharing.share(Path(sys.argv[1]), int(sys.argv[2]))
from atalaia.telemetry import metrics
for _ in range(int(sys.argv[3])):
    metrics.GATEWAY_LABELS.labels("m", "1").inc()
    metrics.GATEWAY_REQUEST_SECONDS.labels("/predict", "200", "m", "1").observe(0.004)
if sys.argv[4] != "-":
    metrics.GATEWAY_IN_FLIGHT.set(float(sys.argv[4]))
    metrics.GATEWAY_KAFKA_UP.set(int(sys.argv[2]))
sys.stdout.write(sharing.page().decode())
"""


def told_by(folder: Path, process: int, *, counted: int, in_flight: str) -> dict[str, float]:
    """A process that counts and is gone; its page, by series."""
    arguments = [str(folder), str(process), str(counted), in_flight]
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_any_process_shows_the_sums_and_a_successor_goes_on_with_them(tmp_path: Path) -> None:
    labels, requests = (
        'atalaia_gateway_labels_total{model="m",version="1"}',
        'atalaia_gateway_request_seconds_count{model="m",route="/predict",status="200",version="1"}',
    )
    in_flight, up = "atalaia_gateway_in_flight_requests", "atalaia_gateway_kafka_up"
    told_by(tmp_path, 0, counted=3, in_flight="5")
    second = told_by(tmp_path, 1, counted=2, in_flight="7")
    assert (second[labels], second[requests], second[in_flight], second[up]) == (5, 5, 12, 0)

    files = {path.name for path in tmp_path.iterdir()}
    successor = told_by(tmp_path, 0, counted=1, in_flight="-")
    # Its counters went on; of what its predecessor held in flight nothing is left.
    assert (successor[labels], successor[requests], successor[in_flight]) == (6, 6, 7)
    assert {path.name for path in tmp_path.iterdir()} == files


def test_a_process_alone_shows_its_own() -> None:
    metrics.GATEWAY_LABELS.labels("alone", "1").inc(0)
    assert b'atalaia_gateway_labels_total{model="alone",version="1"}' in page()


def test_every_gauge_says_how_processes_are_put_together() -> None:
    gauges = {name: value for name, value in vars(metrics).items() if isinstance(value, Gauge)}
    assert gauges
    told = {name: gauge._multiprocess_mode for name, gauge in gauges.items()}
    assert [name for name, mode in told.items() if mode not in ("livesum", "livemin")] == []
