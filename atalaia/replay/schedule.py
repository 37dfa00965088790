"""When each row of a replay is, in its own time, and when it may be sent, in ours."""

import math
from dataclasses import dataclass

import numpy as np

from atalaia.inference.rows import IntArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Row i is at start + i x interval.

    >>> Schedule(start_ms=1_000, interval_ms=0.5, rows=4).times(0, 4)
    array([1000, 1000, 1001, 1002])
    """

    start_ms: int
    interval_ms: float
    rows: int

    @classmethod
    def ending(cls, end_ms: int, *, interval_ms: float, rows: int) -> "Schedule":
        """Such that the last row's interval ends then.

        >>> Schedule.ending(10_000, interval_ms=1_000, rows=3).start_ms
        7000
        """
        return cls(end_ms - math.ceil(rows * interval_ms), interval_ms, rows)

    def times(self, first: int, count: int) -> IntArray:
        """Event times ``(count,)`` in milliseconds since 1970, of rows from ``first`` on."""
        offsets = np.arange(first, first + count) * self.interval_ms
        times: IntArray = self.start_ms + np.rint(offsets).astype(np.int64)
        return times

    def time(self, row: int) -> int:
        """Event time of one row."""
        return int(self.times(row, 1)[0])

    @property
    def last_ms(self) -> int:
        """Event time of the last row."""
        return self.time(self.rows - 1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many rows may have been sent by a time: all of them where there is no ``speed``.

    >>> Pace(interval_ms=1_000, speed=10).rows_due(0.25)
    3
    """

    interval_ms: float
    speed: float | None

    def rows_due(self, elapsed_seconds: float) -> int | None:
        """Rows due after so many seconds; None for all."""
        if self.speed is None:
            return None
        return math.floor(elapsed_seconds * 1000 * self.speed / self.interval_ms) + 1

    def seconds_until(self, row: int) -> float:
        """When a row is due."""
        return 0.0 if self.speed is None else row * self.interval_ms / 1000 / self.speed
