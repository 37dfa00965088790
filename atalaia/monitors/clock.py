"""Event time of one model, told by the log: of its observations, and of its labels."""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from atalaia.records import Observation, TimeMark
from atalaia.topics import REQUESTS
from atalaia.windows import Watermark, WatermarkState
from atalaia.windows.watermark import BoolArray, IntArray

TOLERANCE_MS = 60_000
"""How far the event time of a row may be ahead of the time it was recorded at."""


class ClockState(msgspec.Struct, frozen=True):
    """An `ObservationClock` between two messages."""

    watermark: WatermarkState
    expected: int
    replay: str | None = None
    ended: tuple[int, ...] = ()


class ObservationClock:
    """The watermark of one model over the source partitions of its observations.

    Rows move it, and marks "at the end" of partitions without any. A replay that declares itself takes its
    place, from its first ``begin`` to the last of its ``end`` marks: the watermark begins anew, is moved by
    the replay's rows and marks alone, and begins anew once more after it, since the wall clock has gone on.

    A caller does for each message: `begin`, then the rows against `time_ms`, then `finish`.

    Parameters
    ----------
    model : whose time it is
    partitions : how many source partitions there are; none may be missing for there to be a watermark
    """

    def __init__(self, model: str, *, partitions: int = REQUESTS.partitions) -> None:
        self.model = model
        self._partitions = partitions
        self._replay: str | None = None
        self._ended: set[int] = set()
        self._watermark = self._fresh(partitions)

    @property
    def time_ms(self) -> int | None:
        """The watermark."""
        return self._watermark.time_ms

    @property
    def ahead_rows(self) -> int:
        """Rows so far ahead of record time that they belong to no window."""
        return self._watermark.ahead_rows

    @property
    def replay(self) -> str | None:
        """The replay that declares this model's time; None where the clock does."""
        return self._replay

    @property
    def replaying(self) -> bool:
        """Whether a replay declares this model's time."""
        return self._replay is not None

    def begin(self, observation: Observation) -> None:
        """What a message says before its rows: a replay that begins starts the watermark anew."""
        for mark in self._marks(observation, "begin"):
            if mark.replay != self._replay:
                self._restart(mark.partitions)
                self._replay = mark.replay

    def plausible(self, observation: Observation, times_ms: IntArray, partitions: IntArray) -> BoolArray:
        """Which rows ``(n,)`` may be believed, by the record times of their source partitions."""
        recorded = {entry.partition: entry.time_ms for entry in observation.ranges}
        if self._replay is not None or not recorded:
            return np.ones(len(times_ms), np.bool_)
        latest = max(recorded.values())
        known = np.array([recorded.get(p, latest) for p in range(max(recorded) + 1)], np.int64)
        return self._watermark.plausible(times_ms, known[np.minimum(partitions, len(known) - 1)])

    def finish(self, observation: Observation, latest_ms: Mapping[int, int]) -> bool:
        """What a message says after its rows; True where a replay ended with it.

        ``latest_ms`` is the latest event time of the message's believed rows by source partition. After the
        end of a replay whatever is open is to be closed at `time_ms`, and then `resume` called.
        """
        for partition, time_ms in latest_ms.items():
            self._watermark.advance(partition, time_ms)
        if self._replay is None:
            for entry in observation.ranges:
                if entry.at_end:
                    self._watermark.advance(entry.partition, entry.time_ms)
            return False
        for place in observation.marks:
            if place.mark.model == self.model and place.mark.replay == self._replay:
                self._watermark.advance(place.partition, place.mark.time_ms)
                if place.mark.kind == "end":
                    self._ended.add(place.partition)
        return len(self._ended) >= self._expected

    def resume(self) -> None:
        """Follow the clock again, after the end of a replay."""
        self._restart(self._partitions)
        self._replay = None

    def snapshot(self) -> ClockState:
        """What `restore` takes."""
        ended = tuple(sorted(self._ended))
        return ClockState(self._watermark.snapshot(), self._expected, self._replay, ended)

    def restore(self, state: ClockState) -> None:
        """Go on from where a snapshot was taken."""
        self._watermark = self._fresh(state.expected)
        self._watermark.restore(state.watermark)
        self._replay, self._ended = state.replay, set(state.ended)

    def _marks(self, observation: Observation, kind: str) -> Iterable[TimeMark]:
        return (
            entry.mark
            for entry in observation.marks
            if entry.mark.model == self.model and entry.mark.kind == kind
        )

    def _restart(self, partitions: int) -> None:
        ahead_rows = self._watermark.ahead_rows
        self._watermark = self._fresh(partitions)
        self._watermark.ahead_rows = ahead_rows
        self._ended = set()

    def _fresh(self, partitions: int) -> Watermark:
        self._expected = partitions
        return Watermark(tolerance_ms=TOLERANCE_MS, expected=range(partitions))


class LabelClockState(msgspec.Struct, frozen=True):
    """A `LabelClock` between two messages."""

    wall_ms: int | None = None
    replays: dict[str, tuple[str, int]] = {}
    ended: dict[str, int] = {}


class LabelClock:
    """The marks of time of one partition of `labels`: the wall clock's, and of models that are replayed.

    Where no gateway marks the wall clock, time stays where a model's last replay ended: all its labels are
    there.

    >>> clock = LabelClock()
    >>> clock.take(TimeMark("clock", 5_000)); clock.take(TimeMark("begin", 100, "m", "r", 4))
    >>> clock.take(TimeMark("clock", 6_000)); clock.time_ms("m"), clock.time_ms("other")
    (100, 6000)
    """

    def __init__(self) -> None:
        self._wall_ms: int | None = None
        self._replays: dict[str, tuple[str, int]] = {}
        self._ended: dict[str, int] = {}

    def take(self, mark: TimeMark) -> None:
        """A mark, in log order."""
        if mark.kind == "clock":
            self._wall_ms = mark.time_ms if self._wall_ms is None else max(self._wall_ms, mark.time_ms)
        elif mark.model is not None and mark.replay is not None:
            current = self._replays.get(mark.model)
            if mark.kind == "end":
                _, time_ms = self._replays.pop(mark.model, ("", mark.time_ms))
                self._ended[mark.model] = max(time_ms, mark.time_ms)
            elif current is None or current[0] != mark.replay:
                self._replays[mark.model] = mark.replay, mark.time_ms
            else:
                self._replays[mark.model] = mark.replay, max(current[1], mark.time_ms)

    def time_ms(self, model: str) -> int | None:
        """How far the labels of a model have come; None before the first mark."""
        replay = self._replays.get(model)
        if replay is not None:
            return replay[1]
        return self._ended.get(model) if self._wall_ms is None else self._wall_ms

    def snapshot(self) -> LabelClockState:
        """What `restore` takes."""
        return LabelClockState(self._wall_ms, dict(self._replays), dict(self._ended))

    def restore(self, state: LabelClockState) -> None:
        """Go on from where a snapshot was taken."""
        self._wall_ms, self._replays = state.wall_ms, dict(state.replays)
        self._ended = dict(state.ended)
