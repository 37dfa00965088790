"""Sequential detectors and the rows that wait for them, since they are fed in order of event time."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from atalaia.monitors.configuration import DetectorSettings
from atalaia.monitors.counted import PaneChanges
from atalaia.statistics.bins import BoolArray, FloatArray, IntArray
from atalaia.statistics.sequential import Sequential, in_order


class Found(msgspec.Struct, frozen=True, array_like=True):
    """A change that one of a stream's detectors found; ``place`` is the detector's among them."""

    place: int
    at_ms: int
    since_ms: int
    rows: int


class WaitingRows(msgspec.Struct, frozen=True, array_like=True):
    """A pane of rows not yet fed: its number, and between which times they lie."""

    number: int
    first_ms: int
    last_ms: int


class FeedState(msgspec.Struct, frozen=True, array_like=True):
    """A `DetectorFeed` between two batches, its rows and detectors aside."""

    fed_ms: int | None
    next_number: int
    waiting: list[WaitingRows]
    found: list[Found]
    unfed_rows: int


@dataclass(frozen=True, slots=True)
class RowsToFeed:
    """Rows (n,): ``keys`` (4, n) are event time, source partition, offset and place in the request;
    ``values`` what the detectors' columns hold of them, NaN where that is nothing.
    """  # fmt: skip

    keys: IntArray
    values: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return int(self.keys.shape[1])

    @property
    def time_ms(self) -> IntArray:
        """Event time (n,)."""
        answer: IntArray = self.keys[0]
        return answer

    def chosen(self, places: IntArray | BoolArray) -> "RowsToFeed":
        """Some of them."""
        return RowsToFeed(
            self.keys[:, places], {name: values[places] for name, values in self.values.items()}
        )


class DetectorFeed:
    """Detectors of some columns of a stream, fed by event time, source partition, offset and row.

    Rows wait until event time has passed them by the lateness; then no other can come before them any more,
    and those that would are counted and not fed. So what is found depends on the log alone.

    Parameters
    ----------
    prefix : how the names of its panes begin
    detectors : which, in the order of `Found.place`
    """

    def __init__(self, prefix: bytes, detectors: Sequence[DetectorSettings]) -> None:
        self.settings = tuple(detectors)
        self.columns = tuple(sorted({settings.column for settings in detectors}))
        self.found: list[Found] = []
        self.unfed_rows = 0
        self._prefix = prefix
        self._detectors = [Sequential(one.detector, one.parameters) for one in detectors]
        self._fed_ms: int | None = None
        self._last_fed_ms: int | None = None
        self._new: list[RowsToFeed] = []
        self._next_number = 0
        self._waiting: dict[int, WaitingRows] = {}
        self._stored: dict[int, bytes] = {}
        self._dropped: set[int] = set()
        self._moved: set[int] = set()

    def add(self, rows: RowsToFeed) -> None:
        """Rows of a message, in any order; those before what was fed are counted and left out."""
        if self._fed_ms is not None:
            timely = rows.time_ms >= self._fed_ms
            self.unfed_rows += len(timely) - int(np.count_nonzero(timely))
            rows = rows.chosen(timely)
        if len(rows):
            self._new.append(rows)

    def pass_time(self, until_ms: int) -> bool:
        """No rows before this time will come any more; whether that was not known."""
        news = self._fed_ms is None or until_ms > self._fed_ms
        if news:
            self._fed_ms = until_ms
        return news

    def feed(self) -> None:
        """Feed what may be fed; once a batch is enough."""
        if self._fed_ms is None or self._fed_ms == self._last_fed_ms:
            return
        self._feed(self._take(self._fed_ms))
        self._last_fed_ms = self._fed_ms

    def restart(self) -> None:
        """Feed all that waits; time begins anew."""
        self._feed(self._take(None))
        self._fed_ms = self._last_fed_ms = None

    def forget(self, before_ms: int) -> None:
        """Findings before this time are not asked for any more."""
        self.found = [one for one in self.found if one.at_ms >= before_ms]

    def snapshot(self) -> FeedState:
        """What `restore` takes, of the time after `collect`."""
        waiting = list(self._waiting.values())
        return FeedState(self._fed_ms, self._next_number, waiting, list(self.found), self.unfed_rows)

    def restore(self, state: FeedState, panes: Mapping[bytes, bytes]) -> None:
        """Go on from where a snapshot was taken.

        Raises
        ------
        SnapshotRefused
            when a detector's state is damaged or of another version of river.
        """
        self._fed_ms = self._last_fed_ms = state.fed_ms
        self._next_number, self.unfed_rows = state.next_number, state.unfed_rows
        self.found = list(state.found)
        self._waiting = {entry.number: entry for entry in state.waiting}
        self._stored = {number: panes[self._rows_name(number)] for number in self._waiting}
        for place, settings in enumerate(self.settings):
            data = panes.get(self._detector_name(place))
            if data is not None:
                self._detectors[place] = Sequential.restored(data, settings.detector, settings.parameters)

    def collect(self, changes: PaneChanges) -> None:
        """Say what changed since the last time."""
        if self._new:
            rows = _join(self._new, self.columns)
            self._new = []
            number, self._next_number = self._next_number, self._next_number + 1
            self._waiting[number] = WaitingRows(number, int(rows.time_ms.min()), int(rows.time_ms.max()))
            self._stored[number] = self._encode(rows)
            changes.write(self._rows_name(number), self._stored[number])
        for number in self._dropped:
            changes.delete(self._rows_name(number))
        self._dropped.clear()
        for place in self._moved:
            changes.write(self._detector_name(place), self._detectors[place].snapshot())
        self._moved.clear()

    def delete(self, changes: PaneChanges) -> None:
        """Delete all there is."""
        for number in self._stored.keys() | self._dropped:
            changes.delete(self._rows_name(number))
        for place in range(len(self.settings)):
            changes.delete(self._detector_name(place))

    def _take(self, until_ms: int | None) -> RowsToFeed | None:
        """The waiting rows before a time, all where None, that were not fed yet."""
        ripe: list[RowsToFeed] = []
        for entry in list(self._waiting.values()):
            if until_ms is not None and entry.first_ms >= until_ms:
                continue
            rows = self._decode(self._stored[entry.number])
            due = np.ones(len(rows), np.bool_) if until_ms is None else rows.time_ms < until_ms
            if self._last_fed_ms is not None:
                due &= rows.time_ms >= self._last_fed_ms
            ripe.append(rows.chosen(due))
            if until_ms is None or entry.last_ms < until_ms:
                del self._waiting[entry.number], self._stored[entry.number]
                self._dropped.add(entry.number)
        later: list[RowsToFeed] = []
        for rows in self._new:
            due = np.ones(len(rows), np.bool_) if until_ms is None else rows.time_ms < until_ms
            ripe.append(rows.chosen(due))
            if not due.all():
                later.append(rows.chosen(~due))
        self._new = later
        ripe = [rows for rows in ripe if len(rows)]
        return _join(ripe, self.columns) if ripe else None

    def _feed(self, rows: RowsToFeed | None) -> None:
        if rows is None:
            return
        rows = rows.chosen(in_order(*rows.keys))
        for place, (settings, detector) in enumerate(zip(self.settings, self._detectors, strict=True)):
            values = rows.values[settings.column]
            there = np.isfinite(values)
            if not there.any():
                continue
            self._moved.add(place)
            self.found += [
                Found(place, one.at_ms, one.since_ms, one.rows)
                for one in detector.feed(values[there].astype(np.float64), rows.time_ms[there])
            ]

    def _encode(self, rows: RowsToFeed) -> bytes:
        parts = [len(rows).to_bytes(8, "little"), rows.keys.astype("<i8").tobytes()]
        parts += [rows.values[name].astype("<f8").tobytes() for name in self.columns]
        return zlib.compress(b"".join(parts), 1)

    def _decode(self, data: bytes) -> RowsToFeed:
        body = zlib.decompress(data)
        count = int.from_bytes(body[:8], "little")
        keys = np.frombuffer(body, "<i8", 4 * count, offset=8).reshape(4, count)
        values = np.frombuffer(body, "<f8", offset=8 + 32 * count).reshape(-1, count)
        return RowsToFeed(keys, dict(zip(self.columns, values, strict=True)))

    def _rows_name(self, number: int) -> bytes:
        return self._prefix + b"rows/" + str(number).encode()

    def _detector_name(self, place: int) -> bytes:
        return self._prefix + b"detector/" + str(place).encode()


def _join(parts: Sequence[RowsToFeed], columns: Sequence[str]) -> RowsToFeed:
    if len(parts) == 1:
        return parts[0]
    keys = np.concatenate([part.keys for part in parts], axis=1)
    return RowsToFeed(keys, {name: np.concatenate([part.values[name] for part in parts]) for name in columns})
