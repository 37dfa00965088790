"""Entry point: reads settings, starts the sinks, and watches traffic until SIGTERM."""

import sys

import structlog

from atalaia.errors import SettingsError
from atalaia.monitors.traffic import TrafficMonitor
from atalaia.settings import load
from atalaia.telemetry import logs
from atalaia.worker.run import run_worker
from services.alerts.feed import Feed
from services.alerts.recorded import Recorded
from services.alerts.sinks import make_sinks

SERVICE = "alerts"
_log = structlog.get_logger()


def main() -> int:
    """Run one worker and its sinks; the exit code."""
    settings = load()
    logs.configure(SERVICE)
    try:
        sinks = make_sinks(settings.alerts)
    except SettingsError as error:
        _log.error("alerts end", reason=str(error))
        return 1
    recorded = Recorded(settings.kafka)
    recorded.start()
    for sink in sinks:
        Feed(settings.kafka, settings.alerts, sink, recorded).start()
    return run_worker(SERVICE, settings, settings.alerts, lambda models, _: TrafficMonitor(models))


if __name__ == "__main__":
    sys.exit(main())
