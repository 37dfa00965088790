"""What the detectors of `drift` must have found, by rows fed in order of event time."""

from collections.abc import Mapping
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.detections import Detector, Found, differences
from atalaia.auditing.drift_windows import earlier_by_ms
from atalaia.auditing.observed import Chunk, by_row, row_places
from atalaia.auditing.published import Published, Stream
from atalaia.monitors.configuration import DetectorSettings, DriftSettings, MonitorSettings
from atalaia.monitors.drift.watching import APPLICABILITY, SCORE
from atalaia.monitors.units import Watched
from atalaia.windows import Window
from atalaia.windows.watermark import IntArray

FloatArray = npt.NDArray[np.float64]

_FED_EVERY_MS = 60_000
_HOUR_MS = 3_600_000
_FAR_MS = 1 << 62


class _Waiting(NamedTuple):
    """Rows (n,) not fed yet: ``keys`` (4, n) are event time, source partition, offset and place in the
    request, which order them.
    """  # fmt: skip

    keys: IntArray
    values: Mapping[str, FloatArray]

    def chosen(self, places: npt.NDArray[Any]) -> "_Waiting":
        """Some of them."""
        return _Waiting(self.keys[:, places], {name: one[places] for name, one in self.values.items()})


class Feed:
    """The detectors of one stream, from when it is first watched until it is watched no more, or anew.

    A row waits until event time less the lateness, in whole minutes or less, has passed it; one that comes
    after that is not fed. The end of a replay feeds all there is, since time begins anew.
    """

    def __init__(self, watched: Watched, settings: MonitorSettings) -> None:
        drift = settings.drift
        self.watched, self.settings = watched, settings
        self.over = False
        self._times: tuple[int, int] | None = None
        self._offsets: tuple[int, int] = (0, 0)
        self._distances = _Distances.of(watched)
        self._detectors = [Detector(one) for one in _fed(drift, self._distances)]
        self._columns = {detector.settings.column for detector in self._detectors}
        self._every_ms, self._lateness_ms = gcd(drift.pane_ms, _FED_EVERY_MS), drift.lateness_ms
        self._unused_ms = unused_ms(drift)
        self._fed_ms: int | None = None
        self._waiting: list[_Waiting] = []
        self._found: list[tuple[int, Found]] = []
        self._anew: list[int] = [0]
        """How much had been found when time began anew, and at first."""

    def add(self, chunk: Chunk) -> None:
        """The rows of a message that were believed and in time."""
        kept = chunk.kept.get("drift")
        if kept is None or not kept.any():
            return
        times = chunk.times_ms[kept]
        first_ms, latest_ms = int(times.min()), int(times.max())
        if self._times is None:
            self._times, self._offsets = (first_ms, latest_ms), (chunk.offset, chunk.offset)
        self._times = min(first_ms, self._times[0]), max(latest_ms, self._times[1])
        self._offsets = self._offsets[0], chunk.offset
        if not self._detectors or chunk.inputs_only:
            return
        rows = self._read(chunk)
        timely = kept if self._fed_ms is None else kept & (chunk.times_ms >= self._fed_ms)
        if timely.any():
            self._waiting.append(rows.chosen(timely))

    def pass_time(self, watermark_ms: int | None) -> None:
        """The end of a message."""
        if watermark_ms is None:
            return
        until_ms = (watermark_ms - self._lateness_ms) // self._every_ms * self._every_ms
        if self._fed_ms is None or until_ms > self._fed_ms:
            self._fed_ms = until_ms
            self._feed(until_ms)
        self.over |= self._times is not None and watermark_ms - self._times[1] > self._unused_ms

    def begin_anew(self) -> None:
        """Time begins anew: nothing is waited for."""
        self._feed(_FAR_MS)
        self._fed_ms = None
        self._anew.append(len(self._found))

    def has(self, window: Window, positions: tuple[int, int]) -> bool:
        """Whether it may have rows in a window, and at positions [since, before)."""
        if self._times is None or self._offsets[0] >= positions[1] or self._offsets[1] < positions[0]:
            return False
        return self._times[0] < window.end_ms and self._times[1] >= window.start_ms

    def within(self, window: Window) -> list[list[Found]]:
        """What was found in a window, the likeliest first.

        Where time began anew what was found before may have been forgotten with the rows it was found among.
        """
        answer: list[list[Found]] = []
        for since in self._anew:
            own = [entry for entry in self._found[since:] if window.contains(entry[1].at_ms)]
            own.sort(key=lambda entry: (entry[1].at_ms, entry[0], entry[1].rows))
            answer.append([found for _, found in own])
        return answer

    def _feed(self, until_ms: int) -> None:
        """Feed the rows before a time."""
        ripe, later = [], []
        for rows in self._waiting:
            due = rows.keys[0] < until_ms
            if due.any():
                ripe.append(rows.chosen(due))
            if not due.all():
                later.append(rows.chosen(~due))
        self._waiting = later
        if not ripe:
            return
        keys = np.concatenate([rows.keys for rows in ripe], axis=1)
        order = np.lexsort(keys[::-1])
        for place, detector in enumerate(self._detectors):
            values = np.concatenate([rows.values[detector.settings.column] for rows in ripe])
            self._found += [(place, found) for found in detector.feed(values[order], keys[0][order])]

    def _read(self, chunk: Chunk) -> _Waiting:
        section = chunk.section
        partitions, offsets = (
            by_row(section, column.numpy()) for column in (section.partition, section.offset)
        )
        keys = np.stack([chunk.times_ms, partitions, offsets, row_places(section)]).astype(np.int64)
        values: dict[str, FloatArray] = {}
        if SCORE in self._columns:
            scores = section.score.numpy().astype(np.float64)
            values[SCORE] = np.where(section.abstained.numpy(), np.nan, scores)
        if APPLICABILITY in self._columns and self._distances is not None:
            values[APPLICABILITY] = self._distances.standardised(section.applicability.numpy())
        return _Waiting(keys, values)


class _Distances(NamedTuple):
    """How distances are fed: their logarithm, standardised on the reference's above 0, no less than those."""

    least: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, watched: Watched) -> "_Distances | None":
        """None where all of the reference are alike."""
        distances = np.asarray(watched.reference.distances, np.float64)
        distances = distances[distances > 0]
        if not len(distances):
            return None
        logarithms = np.log(distances)
        deviation = float(logarithms.std())
        return cls(float(distances.min()), float(logarithms.mean()), deviation) if deviation > 0 else None

    def standardised(self, distances: npt.NDArray[Any]) -> FloatArray:
        """Distances (n,) as they are fed."""
        with np.errstate(invalid="ignore"):
            logarithms = np.log(np.maximum(distances.astype(np.float64), self.least))
        answer: FloatArray = (logarithms - self.mean) / self.deviation
        return answer


class DriftDetections:
    """The feeds of one model's versions, of those of which there are results.

    A replay that begins ends every feed, as does another bundle, and time without rows after which a stream
    is forgotten; another one begins with the next rows. Not followed are changes of settings: from then on
    nothing is said.
    """

    def __init__(self) -> None:
        self._feeds: dict[Stream, list[Feed]] = {}
        self._lost = False

    def lose(self) -> None:
        """Detectors begin anew in a way that is not followed, or have been fed what has expired."""
        self._feeds.clear()
        self._lost = True

    def meet(self, stream: Stream, watched: Watched, settings: MonitorSettings) -> None:
        """A message has rows of a stream, which is watched from now on where it was not."""
        if self._lost or not settings.drift.enabled:
            return
        feeds = self._feeds.setdefault(stream, [])
        if not feeds or feeds[-1].over or feeds[-1].watched.digest != watched.digest:
            for former in feeds[-1:]:
                former.over = True
            feeds.append(Feed(watched, settings))

    def add(self, stream: Stream, chunk: Chunk) -> None:
        """Rows of a stream that was met."""
        if feeds := self._feeds.get(stream):
            feeds[-1].add(chunk)

    def pass_time(self, watermark_ms: int | None) -> None:
        """The end of a message."""
        for feeds in self._feeds.values():
            if not feeds[-1].over:
                feeds[-1].pass_time(watermark_ms)

    def begin_anew(self, *, replay: bool) -> None:
        """Time begins anew, with a replay or after one; with it streams begin anew too."""
        for feeds in self._feeds.values():
            last = feeds[-1]
            if not last.over:
                last.begin_anew()
                if replay:
                    last.over = True
                    feeds.append(Feed(last.watched, last.settings))

    def differences(self, published: Published, positions: tuple[int, int]) -> list[Mismatch]:
        """Where the detections of a result differ from what was found in its window when it was told.

        Of several feeds that have rows in the window, and at the positions [since, before) that its rows lie
        between, any may be the one.
        """
        feeds = self._feeds.get(published.place.stream, [])
        window = published.place.window
        found = [
            one for feed in reversed(feeds) if feed.has(window, positions) for one in feed.within(window)
        ]
        compared = [differences(published.body["detectors"], one) for one in found]
        return [] if not all(compared) else next(iter(compared), [])


def _fed(drift: DriftSettings, distances: _Distances | None) -> list[DetectorSettings]:
    """Those of the score, and of distances that differ in the reference."""
    return [
        one
        for one in drift.detectors
        if one.column == SCORE or (one.column == APPLICABILITY and distances is not None)
    ]


def unused_ms(drift: DriftSettings) -> int:
    """After so long without rows a stream is forgotten: nothing of it is compared with, or told, any more."""
    size_ms = 0 if drift.last_rows is not None else drift.window_ms
    before_ms = max([drift.among * size_ms, *earlier_by_ms(drift)])
    return before_ms + 2 * size_ms + drift.lateness_ms + drift.pane_ms + _HOUR_MS
