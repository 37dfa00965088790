"""Entry point: reads settings, wires the parts, scores until SIGTERM."""

import signal
import sys
import time

import structlog

from atalaia.errors import AtalaiaError, StreamUnavailable
from atalaia.memory import return_freed_memory
from atalaia.settings import load
from atalaia.stream.catalog import Catalog
from atalaia.telemetry import endpoint, logs
from services.scorer.loop import Loop
from services.scorer.served import Served

_log = structlog.get_logger()


def main() -> int:
    """Run one scorer; the exit code is 1 where a supervisor has to start it again."""
    return_freed_memory()
    settings = load()
    logs.configure("scorer")
    catalog = Catalog(settings.kafka, Served)
    loop = Loop(settings.kafka, settings.scorer, catalog)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    endpoint.serve(settings.scorer.metrics_host, settings.scorer.metrics_port, lambda: loop.assigned)
    try:
        while not loop.stopped:
            try:
                catalog.start()
                break
            except StreamUnavailable as error:
                _log.warning("waiting for Kafka and its topics", reason=str(error))
                time.sleep(0.5)
        loop.run()
    except AtalaiaError as error:
        _log.error("scorer ends", reason=str(error))
        return 1
    finally:
        catalog.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
