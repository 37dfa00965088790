"""The labels of a partition, to be looked up by the row they are of."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from atalaia.errors import Refusal
from atalaia.labels import read_labels
from atalaia.monitors.clock import LabelClock
from atalaia.records import ContextValue, LabelValue, TimeMark

_NONE = -1


class Known(NamedTuple):
    """One label: when it was known by its own word, and at the latest, where it lies, and what it says."""

    time_ms: int
    known_ms: int
    position: int
    value: LabelValue
    context: Mapping[str, ContextValue]


class LabelLog:
    """All labels of one partition of `labels`, in log order; a label knows the one before it of its row."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, int], int] = {}
        self._before = array("q")
        self._times = array("q")
        self._known = array("q")
        self._positions = array("q")
        self._values: list[LabelValue] = []
        self._contexts: dict[int, dict[str, ContextValue]] = {}
        self._clock = LabelClock()
        self._marked_at, self._marks_ms = array("q"), array("q")
        self._replayed: set[str] = set()
        self.end = 0

    def __len__(self) -> int:
        return len(self._times)

    def mark(self, position: int, mark: TimeMark) -> None:
        """A mark of time."""
        self._clock.take(mark)
        self.end = position + 1
        if mark.kind == "clock":
            last_ms = self._marks_ms[-1] if self._marks_ms else mark.time_ms
            self._marked_at.append(position)
            self._marks_ms.append(max(last_ms, mark.time_ms))
        elif mark.model is not None and mark.replay is not None:
            self._replayed.add(mark.model)

    def wall_ms(self, before: int) -> int | None:
        """How far the wall clock had come before a position; None before the first mark."""
        place = bisect_left(self._marked_at, before)
        return self._marks_ms[place - 1] if place else None

    def is_replayed(self, model: str) -> bool:
        """Whether labels of a model have times of their own somewhere, not the wall clock's."""
        return model in self._replayed

    def skip(self, position: int) -> None:
        """A message that says nothing."""
        self.end = position + 1

    def add(self, model: str, position: int, value: bytes, *, written_ms: int) -> None:
        """A message with labels of a model; one that cannot be read says nothing."""
        self.end = position + 1
        try:
            rows = read_labels(value, written_ms=written_ms)
        except Refusal:
            return
        mark_ms = self._clock.time_ms(model)
        for place, request in enumerate(rows.ids):
            time_ms = int(rows.time_ms[place])
            number = len(self._times)
            key = model, request, int(rows.rows[place])
            self._before.append(self._last.get(key, _NONE))
            self._last[key] = number
            self._times.append(time_ms)
            self._known.append(time_ms if mark_ms is None else max(time_ms, mark_ms))
            self._positions.append(position)
            self._values.append(rows.labels[place])
            context = {name: values[place] for name, values in rows.context.items()}
            if context:
                self._contexts[number] = context

    def of(self, model: str, request: str, row: int) -> Iterator[Known]:
        """The labels of a row, the last first."""
        number = self._last.get((model, request, row), _NONE)
        while number != _NONE:
            yield Known(
                self._times[number],
                self._known[number],
                self._positions[number],
                self._values[number],
                self._contexts.get(number, {}),
            )
            number = self._before[number]
