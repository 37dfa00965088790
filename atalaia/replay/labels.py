"""Labels that wait until the replay's time has come to them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from atalaia.labels import LabelRows
from atalaia.records import LabelValue
from atalaia.replay.encoding import Request
from atalaia.replay.schedule import Schedule


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Labels of the rows of a request that have not been taken: those from ``place`` on."""

    id: str
    first_row: int
    labels: Sequence[LabelValue]
    place: int = 0


class LabelQueue:
    """Labels known a fixed delay after their rows, in the order in which they become known.

    Parameters
    ----------
    schedule : when each row is
    delay_ms : from a row to its label
    """

    def __init__(self, schedule: Schedule, *, delay_ms: float) -> None:
        self._schedule = schedule
        self._delay_ms = round(delay_ms)
        self._waiting: deque[_Waiting] = deque()

    def __len__(self) -> int:
        return sum(len(entry.labels) - entry.place for entry in self._waiting)

    @property
    def last_ms(self) -> int:
        """When the label of the last row becomes known."""
        return self._schedule.last_ms + self._delay_ms

    def add(self, request: Request, labels: Sequence[LabelValue]) -> None:
        """The labels of a request's rows; None is no label."""
        if any(label is not None for label in labels):
            self._waiting.append(_Waiting(request.id, request.first_row, labels))

    def take(self, by_ms: int, *, most: int) -> LabelRows | None:
        """Labels known by a time, oldest first, so many or a few more; None where there are none."""
        ids: list[str] = []
        rows: list[int] = []
        labels: list[LabelValue] = []
        times: list[int] = []
        while self._waiting and len(labels) < most:
            entry = self._waiting[0]
            known = self._schedule.times(entry.first_row, len(entry.labels)) + self._delay_ms
            due = int(np.searchsorted(known, by_ms, side="right"))
            for place in range(entry.place, due):
                if entry.labels[place] is not None:
                    ids.append(entry.id)
                    rows.append(place)
                    labels.append(entry.labels[place])
                    times.append(int(known[place]))
            if due < len(entry.labels):
                self._waiting[0] = replace(entry, place=max(due, entry.place))
                break
            self._waiting.popleft()
        if not labels:
            return None
        return LabelRows(ids, np.array(rows, np.int64), labels, np.array(times, np.int64), {})
