"""Run by the peers' own Python: a whylogs profile and an Evidently drift report of 100,000 rows, 11 columns.

Prints rows a CPU second of each as JSON, null where one cannot be imported. What comes first is not timed.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

ROWS = 100_000
REFERENCE_ROWS = 2_000
COLUMNS = 11


def whylogs_profile() -> Callable[[], object]:
    """A profile of a window."""
    why, window = import_module("whylogs"), _frame(ROWS, seed=1)
    return lambda: why.log(window).profile().view()


def evidently_report() -> Callable[[], object]:
    """A report of a window against a reference, with the default test of each column."""
    evidently, presets = import_module("evidently"), import_module("evidently.presets")
    window, reference = _frame(ROWS, seed=1), _frame(REFERENCE_ROWS, seed=2)
    return lambda: evidently.Report([presets.DataDriftPreset()]).run(window, reference).dict()


def main() -> None:
    """Measure both."""
    warnings.simplefilter("ignore")
    found = {"whylogs": _rate(whylogs_profile), "evidently": _rate(evidently_report)}
    sys.stdout.write(json.dumps(found) + "\n")


def _rate(make: Callable[[], Callable[[], object]]) -> float | None:
    try:
        work = make()
    except ImportError:
        return None
    work()
    began = time.process_time()
    work()
    return ROWS / (time.process_time() - began)


def _frame(rows: int, *, seed: int) -> Any:
    pandas = import_module("pandas")
    values = np.random.default_rng(seed).normal(size=(rows, COLUMNS)).astype(np.float32)
    return pandas.DataFrame(values, columns=[f"x{place}" for place in range(COLUMNS)])


if __name__ == "__main__":
    main()
