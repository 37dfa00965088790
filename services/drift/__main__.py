"""Entry point: reads settings and keeps drift until SIGTERM."""

import sys

from atalaia.monitors.drift.monitor import DriftMonitor
from atalaia.settings import load
from atalaia.worker.run import run_worker


def main() -> int:
    """Run one worker; the exit code."""
    settings = load()
    return run_worker("drift", settings, settings.drift, lambda models, _: DriftMonitor(models))


if __name__ == "__main__":
    sys.exit(main())
