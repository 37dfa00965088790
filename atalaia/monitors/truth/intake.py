"""Labels as they come in: marks of time, rows by model, and those of models nobody has seen yet."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from atalaia.errors import Refusal
from atalaia.labels import LabelRows, concatenate, read_labels
from atalaia.monitors.clock import LabelClock
from atalaia.monitors.truth.joining import NEVER_MS, TimedLabels
from atalaia.monitors.truth.letters import moved_label, unreadable_letter
from atalaia.monitors.units import Publication, Record
from atalaia.records import ContextValue, LabelValue, TimeMark

MOST_WAITING = 10_000
"""Labels kept of models that have not been seen: a first label may overtake its prediction."""
WAIT_MS = 3_600_000

_decode_mark = msgspec.json.Decoder(TimeMark).decode


class WaitingLabels(msgspec.Struct, frozen=True, array_like=True):
    """Labels of one message whose model nobody has seen."""

    model: str
    ids: list[str]
    rows: list[int]
    labels: list[LabelValue]
    times_ms: list[int]
    context: dict[str, list[ContextValue]]
    mark_ms: int
    position: int
    read_ms: int | None


class Awaited(msgspec.Struct, frozen=True, array_like=True):
    """A replay that the observations of a model tell of, and when at the latest its labels do too."""

    replay: str
    by_ms: int


class LabelReplay(msgspec.Struct, frozen=True, array_like=True):
    """The last replay that the labels of a model tell of."""

    replay: str
    ended: bool


@dataclass
class _Given:
    rows: list[LabelRows] = field(default_factory=list)
    marks_ms: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def add(self, rows: LabelRows, mark_ms: int, position: int) -> None:
        self.rows.append(rows)
        self.marks_ms.append(mark_ms)
        self.positions.append(position)

    def timed(self) -> TimedLabels:
        counts = [len(rows) for rows in self.rows]
        return TimedLabels(
            concatenate(self.rows),
            np.repeat(np.array(self.marks_ms, np.int64), counts),
            np.repeat(np.array(self.positions, np.int64), counts),
        )


class LabelIntake:
    """What the messages of `labels` say.

    Parameters
    ----------
    foreign : whether a model belongs to another partition, whose labels are sent on
    """

    def __init__(self, foreign: Callable[[str], bool]) -> None:
        self.clock = LabelClock()
        self.unknown_model = 0
        self.unreadable = 0
        self.moved = 0
        self.replays: dict[str, LabelReplay] = {}
        self._foreign = foreign
        self._wall_ms: int | None = None
        self._given: dict[str, _Given] = {}
        self._waiting: list[WaitingLabels] = []
        self.changed = False
        """Whether those that wait are others than were stored."""

    def take(self, record: Record) -> list[Publication]:
        """A message of `labels`."""
        if record.marked:
            return self._take_mark(record)
        model = record.key
        if not model or record.value is None:
            self.unreadable += 1
            return [unreadable_letter(record, "a label needs the name of its model as key, and a value")]
        if self._foreign(model):
            self.moved += 1
            return [moved_label(record, model)]
        try:
            rows = read_labels(record.value, written_ms=record.timestamp_ms)
        except Refusal as refusal:
            self.unreadable += 1
            return [unreadable_letter(record, refusal.detail)]
        mark_ms = self.clock.time_ms(model)
        given = self._given.setdefault(model, _Given())
        given.add(rows, NEVER_MS if mark_ms is None else mark_ms, record.offset)
        return []

    def time_ms(self, model: str, awaited: Awaited | None) -> int | None:
        """How far the labels of a model have come.

        None while its observations are, or were, in a replay that its labels have not come to: the wall
        clock says nothing then. A replay without labels is one of which nothing is told until its time is up.
        """
        time_ms = self.clock.time_ms(model)
        if awaited is None or time_ms is None:
            return time_ms
        told = self.replays.get(model)
        if told is not None and told.replay == awaited.replay:
            return time_ms
        running = told is not None and not told.ended
        return None if running or time_ms < awaited.by_ms else time_ms

    def labels(self, model: str) -> TimedLabels | None:
        """Those of a model that has been seen, of the batch and of before."""
        given = _Given()
        if any(entry.model == model for entry in self._waiting):
            for entry in self._waiting:
                if entry.model == model:
                    given.add(_rows(entry), entry.mark_ms, entry.position)
            self._waiting = [entry for entry in self._waiting if entry.model != model]
            self.changed = True
        new = self._given.pop(model, None)
        if new is not None:
            for part in zip(new.rows, new.marks_ms, new.positions, strict=True):
                given.add(*part)
        return given.timed() if given.rows else None

    def wait(self) -> None:
        """The batch is over: labels nobody asked for wait, the latest few, for a while."""
        for model, given in self._given.items():
            for rows, mark_ms, position in zip(given.rows, given.marks_ms, given.positions, strict=True):
                waiting = _waiting(model, rows, mark_ms, position)
                self._waiting.append(msgspec.structs.replace(waiting, read_ms=self._wall_ms))
                self.changed = True
        self._given = {}
        if self._waiting:
            self._expire()

    def snapshot(self) -> bytes:
        """Those that wait, as `restore` takes them."""
        self.changed = False
        return msgspec.msgpack.encode(self._waiting)

    def restore(self, waiting: bytes | None) -> None:
        """Go on with those that wait, the clock having been restored."""
        self._wall_ms = self.clock.snapshot().wall_ms
        if waiting is not None:
            self._waiting = msgspec.msgpack.decode(waiting, type=list[WaitingLabels])

    def _take_mark(self, record: Record) -> list[Publication]:
        try:
            mark = _decode_mark(record.value or b"")
        except msgspec.DecodeError as error:
            self.unreadable += 1
            return [unreadable_letter(record, f"no mark of time ({error})")]
        self.clock.take(mark)
        if mark.kind == "clock":
            self._wall_ms = mark.time_ms
        if mark.model is not None and mark.replay is not None:
            self.replays[mark.model] = LabelReplay(mark.replay, mark.kind == "end")
        return []

    def _expire(self) -> None:
        kept: list[WaitingLabels] = []
        rows = 0
        for entry in reversed(self._waiting):
            stale = self._wall_ms is not None and self._wall_ms > (entry.read_ms or 0) + WAIT_MS
            if stale or rows + len(entry.ids) > MOST_WAITING:
                self.unknown_model += len(entry.ids)
                self.changed = True
            else:
                rows += len(entry.ids)
                kept.append(entry)
        self._waiting = kept[::-1]


def _waiting(model: str, given: LabelRows, mark_ms: int, position: int) -> WaitingLabels:
    rows, times_ms = given.rows.tolist(), given.time_ms.tolist()
    return WaitingLabels(
        model, given.ids, rows, given.labels, times_ms, given.context, mark_ms, position, None
    )


def _rows(entry: WaitingLabels) -> LabelRows:
    rows, times_ms = np.array(entry.rows, np.int64), np.array(entry.times_ms, np.int64)
    return LabelRows(entry.ids, rows, entry.labels, times_ms, entry.context)
