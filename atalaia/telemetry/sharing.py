"""One page of metrics for several processes of a service: each writes files of its own, any of them sums up.

Files are named by the number of a process, not by its id: a process that is started again goes on with the
counters of its predecessor, so sums never fall, and there are never more files than processes.
"""

import os
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, values
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where the client library looks for the folder."""


def share(folder: Path, process: int) -> None:
    """Keep this process's metrics in ``folder``; to be called before any metric is made.

    Gauges of a predecessor are forgotten: they were true of it alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[_FOLDER] = str(folder)
    for path in folder.glob(f"gauge_*_{process}.db"):
        path.unlink()
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]  # theirs is untyped


def page() -> bytes:
    """All metrics as Prometheus reads them: those of this process, or the sums where they are shared."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # theirs is untyped
    return generate_latest(registry)
