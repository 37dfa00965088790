"""What the detectors of the error must have found, by rows fed with the label they finally have."""

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.detections import Detector, Found, differences
from atalaia.auditing.gathered import unknown_truth, with_truth
from atalaia.auditing.joined import Truths
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.observed import Chunk
from atalaia.auditing.published import Published, Stream
from atalaia.auditing.ripeness import Ripe
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import DetectorSettings, MonitorSettings
from atalaia.monitors.units import Watched
from atalaia.windows import Window
from atalaia.windows.watermark import BoolArray, IntArray

FloatArray = npt.NDArray[np.float64]

_COLUMN = "error"
_MOST = 1000
"""Detections that are kept for windows; the oldest go first."""
_STRETCH_MS = 600_000
_FAR_MS = 1 << 62
_MOST_STREAMS = 100
"""Streams of a model that are kept; beyond that the one longest without rows is forgotten."""
_OF_FLAGS = ("ddm", "eddm", "hddm_a", "hddm_w")


class ErrorFeed:
    """The detectors of one stream's error.

    Rows are fed stretch by stretch of time, of one stretch in the order of time and of the log. What the
    monitor finds it knows later than this, which has all labels before it: once the horizon after a stretch
    has passed. So each detection has its stretch's end beside it.
    """

    def __init__(self, watched: Watched, settings: MonitorSettings, labels: LabelLog) -> None:
        set_, manifest = settings.performance, watched.manifest
        self.digest = watched.digest
        self._manifest = manifest
        self._truths = Truths(labels, manifest, horizon_ms=settings.labels.horizon_ms)
        self._detectors = [Detector(one) for one in error_detectors(settings, manifest)]
        self._definition, self._lateness_ms = set_.definition, set_.lateness_ms
        self._horizon_ms, self._pane_ms = settings.labels.horizon_ms, set_.pane_ms
        self._stretch_ms = _part_of(set_.pane_ms)
        self._size_ms = set_.pane_ms if set_.last_rows is not None else set_.window_ms
        self._kept_ms = self._size_ms + max(self._horizon_ms, self._size_ms + self._lateness_ms)
        self._latest_ms: int | None = None
        self._idle = False
        self.lapsed_ms: int | None = None
        """The last row before the stream may have been forgotten; None where it was not."""
        self._waiting: dict[int, list[tuple[IntArray, FloatArray]]] = {}
        self._found: list[tuple[int, Found]] = []

    def add(self, chunk: Chunk, waits: BoolArray) -> None:
        """The rows of a message that wait for a label, of which those without one are not fed."""
        kept = chunk.kept["performance"]
        if not kept.any():
            return
        if self._idle and self.lapsed_ms is None:
            self.lapsed_ms = self._latest_ms
        latest_ms = int(chunk.times_ms[kept].max())
        self._latest_ms = latest_ms if self._latest_ms is None else max(latest_ms, self._latest_ms)
        waits = waits & kept
        if self._detectors and waits.any() and self.lapsed_ms is None:
            self._wait(chunk, waits)

    def knows(self, window: Window) -> bool:
        """Whether a window lies before a time after which the stream may have begun anew."""
        return self.lapsed_ms is None or window.end_ms <= self.lapsed_ms + self._size_ms

    def _wait(self, chunk: Chunk, waits: BoolArray) -> None:
        rows = with_truth(
            [(chunk, waits)],
            {chunk.offset: waits},
            self._truths,
            labels_before=_FAR_MS,
            unknown=unknown_truth(self._manifest),
        )
        known, section = rows.known, chunk.section
        times, truth = chunk.times_ms[waits][known], rows.truth[known]
        if self._manifest.task == "regression":
            errors = np.abs(section.score.numpy()[waits][known].astype(np.float64) - truth)
        elif section.label is None:
            return
        else:
            errors = (section.label.numpy()[waits][known] != truth).astype(np.float64)
        stretches = times // self._stretch_ms * self._stretch_ms
        for start in np.unique(stretches).tolist():
            own = stretches == start
            self._waiting.setdefault(start, []).append((times[own], errors[own]))

    def pass_time(self, watermark_ms: int) -> None:
        """The end of a message: feed the stretches that no row may join any more."""
        self._idle |= self._latest_ms is not None and watermark_ms - self._latest_ms > self._kept_ms
        for start in sorted(self._waiting):
            pane = start // self._pane_ms * self._pane_ms
            if self._definition.settles_ms(pane) + self._lateness_ms > watermark_ms:
                break
            parts = self._waiting.pop(start)
            times = np.concatenate([times for times, _ in parts])
            errors = np.concatenate([errors for _, errors in parts])
            order = np.argsort(times, kind="stable")
            for detector in self._detectors:
                found = detector.feed(errors[order], times[order])
                self._found += [(start + self._stretch_ms, one) for one in found]

    def within(self, window: Window, join_ms: int) -> list[Found]:
        """What the monitor had found in a window when time had come so far."""
        known = [one for end_ms, one in self._found if end_ms + self._horizon_ms <= join_ms]
        return [one for one in known[-_MOST:] if window.contains(one.at_ms)]


class ErrorDetections:
    """The feeds of one model's versions.

    They are followed from the first row of the log on, until something makes streams begin anew: a change of
    settings, another bundle, a replay of what there were rows of before, rows after the end of a replay, or
    so long without rows that a stream may have been forgotten. Of what comes then nothing is said. Within a
    replay it is not followed how far the labels have come: there what was told may lack the last ones.
    """

    def __init__(self, labels: LabelLog) -> None:
        self._labels = labels
        self._feeds: dict[Stream, ErrorFeed] = {}
        self._replayed = self._ended = self._lost = False

    def lose(self) -> None:
        """Streams begin anew, or part of their rows has expired."""
        self._feeds.clear()
        self._lost = True

    def begin_replay(self) -> None:
        """A replay begins."""
        if self._feeds or self._replayed:
            self.lose()
        self._replayed = True

    def end_replay(self) -> None:
        """A replay ends: no row is expected any more."""
        self.pass_time(_FAR_MS)
        self._ended = True

    def add(
        self, stream: Stream, chunk: Chunk, waits: BoolArray, watched: Watched, settings: MonitorSettings
    ) -> None:
        """Rows of a stream, of which some wait for labels."""
        if self._ended:
            self.lose()
        if self._lost or "performance" not in chunk.kept:
            return
        feed = self._feeds.get(stream)
        if feed is None:
            feed = self._feeds[stream] = ErrorFeed(watched, settings, self._labels)
        if feed.digest != watched.digest or len(self._feeds) > _MOST_STREAMS:
            self.lose()
        else:
            feed.add(chunk, waits)

    def pass_time(self, watermark_ms: int | None) -> None:
        """The end of a message."""
        if watermark_ms is not None:
            for feed in self._feeds.values():
                feed.pass_time(watermark_ms)

    def lapsed(self, stream: Stream) -> bool:
        """Whether it is not known, of all windows of a stream, what came before them."""
        feed = self._feeds.get(stream)
        return feed is None or feed.lapsed_ms is not None

    def differences(self, published: Published, ripe: Ripe) -> list[Mismatch]:
        """Where the detections of a result differ from what had been found in its window."""
        place, told = published.place, published.body["detectors"]
        feed = self._feeds.get(place.stream)
        if feed is None or not feed.knows(place.window):
            return []
        if self._replayed or self._labels.is_replayed(place.stream.model):
            return differences(told, feed.within(place.window, _FAR_MS)[: len(told)])
        return differences(told, [] if ripe.join_ms is None else feed.within(place.window, ripe.join_ms))


def error_detectors(settings: MonitorSettings, manifest: Manifest) -> list[DetectorSettings]:
    """Those of the error; of a regressor ADWIN takes the place of those that are for right and wrong."""
    own = [one for one in settings.performance.detectors if one.column == _COLUMN]
    if manifest.task != "regression":
        return own
    return [
        msgspec.structs.replace(one, detector="adwin", parameters={}) if one.detector in _OF_FLAGS else one
        for one in own
    ]


def _part_of(pane_ms: int) -> int:
    """The longest stretch of ten minutes or less of which panes are made."""
    return next(
        pane_ms // parts for parts in range(-(-pane_ms // _STRETCH_MS), pane_ms + 1) if pane_ms % parts == 0
    )
