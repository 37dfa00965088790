"""Python's cyclic garbage collector, run between batches on a budget.

Decoding makes thousands of short-lived containers a batch; left alone the collector walks them again and
again and takes a third of the loop. Nothing of ours makes cycles, so it may wait.
"""

import gc
import time

BUDGET = 0.01
"""Share of the time that collecting may take."""


class Collector:
    """Takes the collector's reins.

    Parameters
    ----------
    interval_seconds : at least this long between two collections
    """

    def __init__(self, *, interval_seconds: float = 5.0) -> None:
        self._interval_seconds = interval_seconds
        self._next_at_seconds = time.monotonic() + interval_seconds
        gc.collect()
        gc.freeze()
        gc.disable()

    def collect_if_due(self) -> float | None:
        """Seconds a collection took, None where none was due."""
        began = time.monotonic()
        if began < self._next_at_seconds:
            return None
        gc.collect()
        took = time.monotonic() - began
        self._next_at_seconds = began + max(self._interval_seconds, took / BUDGET)
        return took
