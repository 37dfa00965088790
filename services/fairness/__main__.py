"""Entry point: reads settings and joins late truth, and keeps performance and fairness until SIGTERM."""

import sys

from atalaia.monitors.truth import TruthMonitor
from atalaia.monitors.units import Models
from atalaia.settings import load
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS
from atalaia.worker.run import run_worker

PARTITIONS = LABELS.partitions


def make_monitor(models: Models, partition: int) -> TruthMonitor:
    """A monitor that sends labels which lie on a partition of another model's on to their own."""
    return TruthMonitor(
        models, partition=partition, partition_of=lambda model: partition_of(model, PARTITIONS)
    )


def main() -> int:
    """Run one worker; the exit code."""
    settings = load()
    return run_worker("fairness", settings, settings.fairness, make_monitor)


if __name__ == "__main__":
    sys.exit(main())
