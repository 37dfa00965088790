"""Errors one by one, in the order of event time, once no label can change them any more: for detectors."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.alerts import Finding, rfc3339
from atalaia.monitors.configuration import DetectorSettings
from atalaia.monitors.truth.entries import ErrorEntries
from atalaia.monitors.truth.timeline import Timeline, by_pane
from atalaia.monitors.truth.told import Relabelled, Watch
from atalaia.results import DetectorResult
from atalaia.statistics.sequential import Detection, Sequential
from atalaia.windows import Window

COLUMN = "error"
MOST_DETECTIONS = 1000
"""Detections kept for windows that may still be told; the oldest go first."""
_PANE_MS = 600_000

FloatArray = npt.NDArray[np.float64]


class _Snapshot(msgspec.Struct, array_like=True):
    detectors: list[bytes]
    found: list[tuple[int, int, int, int]]


class ErrorWatch:
    """Sequential detectors of the error of one stream.

    They are fed each row once: when the horizon after its stretch of time (ten minutes, or less) has passed
    in both topics, with the label it then has, in the order of event time, rows of one time in the order of
    the log. Until then each label leaves an entry of 9 bytes (16 of a regressor), compressed to one or two
    once 4,096 are together: the rows themselves are in the join, where nothing can find them by time.

    Parameters
    ----------
    detectors : what to feed; without any nothing is kept
    prefix : of the names its entries are stored under
    binary : whether errors are 0 and 1
    """

    def __init__(
        self, detectors: Sequence[DetectorSettings], *, prefix: bytes, binary: bool, timeline: Timeline
    ) -> None:
        self._settings = tuple(detectors)
        self._detectors = [Sequential(entry.detector, entry.parameters) for entry in detectors]
        self._found: list[tuple[int, Detection]] = []
        self._passed: list[tuple[int, int]] = []
        self._timeline = timeline
        self._pane_ms = _divisor(timeline.pane_ms)
        self._entries = ErrorEntries(prefix, binary=binary)

    def __bool__(self) -> bool:
        return bool(self._detectors)

    def record(self, changed: Relabelled, errors: FloatArray) -> None:
        """The errors of rows whose label is new, or another."""
        news = np.flatnonzero(~changed.had | (changed.truth != changed.before))
        times = changed.times_ms[news]
        ordinals, errors = changed.rows["ordinal"][news], errors[news]
        for start, places in by_pane(times, self._pane_ms):
            self._entries.add(start, times[places] - start, ordinals[places], errors[places])

    def advance(self, watermark_ms: int | None, join_ms: int | None) -> None:
        """Time has come so far, that of the observations and that of both topics.

        Noted until labels that came meanwhile are counted: time begins anew where a replay ends, and what was
        certain by then stays so.
        """
        if watermark_ms is None or join_ms is None:
            return
        if self._passed and watermark_ms >= self._passed[-1][0] and join_ms >= self._passed[-1][1]:
            self._passed.pop()  # what was certain by then is by now
        self._passed.append((watermark_ms, join_ms))

    def feed(self) -> bool:
        """Feed what has become certain, if anything; windows with what is found in them are told again."""
        passed, self._passed = self._passed, []
        fed = [self._feed(*times) for times in passed]
        return any(fed)

    def _feed(self, watermark_ms: int, join_ms: int) -> bool:
        fed = False
        timeline = self._timeline
        for start in self._entries.starts():
            pane = start // timeline.pane_ms * timeline.pane_ms
            settles_ms = timeline.definition.settles_ms(pane) + timeline.lateness_ms
            if start + self._pane_ms + timeline.horizon_ms > join_ms or settles_ms > watermark_ms:
                break
            times, errors = self._entries.pop(start)
            fed = True
            for place, detector in enumerate(self._detectors):
                for detection in detector.feed(errors, times):
                    self._found.append((place, detection))
                    timeline.touch(np.array([detection.at_ms], np.int64))
        self._found = self._found[-MOST_DETECTIONS:]
        return fed

    def within(self, window: Window) -> list[DetectorResult]:
        """What was found in a window."""
        return [
            DetectorResult(
                detector=self._settings[place].detector,
                column=COLUMN,
                at=rfc3339(detection.at_ms),
                since=rfc3339(detection.since_ms),
                rows=detection.rows,
            )
            for place, detection in self._found
            if window.contains(detection.at_ms)
        ]

    def findings(self, found: Sequence[DetectorResult], watch: Watch) -> list[Finding]:
        """What a final window says of the detectors that may alert by themselves."""
        answer = []
        for entry in self._settings:
            if entry.alerts:
                own = [one for one in found if one.detector == entry.detector]
                subject = watch.subject(f"{COLUMN} ({entry.detector})")
                answer.append(Finding(subject, hit=bool(own), evidence={"detections": _evidence(own)}))
        return answer

    def forget(self, panes: Sequence[int]) -> None:
        """Some panes can change no window any more."""
        if panes:
            oldest = max(panes) + self._timeline.pane_ms
            self._found = [entry for entry in self._found if entry[1].at_ms >= oldest]

    def drop(self) -> None:
        """Forget everything."""
        self._entries.drop()

    def writes(self) -> dict[bytes, bytes]:
        """What is to be stored since the last time, by name."""
        return self._entries.writes()

    def deletes(self) -> list[bytes]:
        """The names that are no more, since the last time."""
        return self._entries.deletes()

    def snapshot(self) -> bytes:
        """What `restore` takes, the entries aside."""
        found = [(place, one.at_ms, one.since_ms, one.rows) for place, one in self._found]
        return msgspec.msgpack.encode(_Snapshot([detector.snapshot() for detector in self._detectors], found))

    def restore(self, snapshot: bytes, panes: Mapping[bytes, bytes]) -> None:
        """Go on from where a snapshot was taken."""
        state = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        self._detectors = [
            Sequential.restored(stored, entry.detector, entry.parameters)
            for stored, entry in zip(state.detectors, self._settings, strict=True)
        ]
        self._found = [(place, Detection(*numbers)) for place, *numbers in state.found]
        self._entries.restore(panes)


def _divisor(pane_ms: int) -> int:
    """The largest part of a pane that is a whole fraction of it and at most ten minutes."""
    parts = -(-pane_ms // _PANE_MS)
    while pane_ms % parts:
        parts += 1
    return pane_ms // parts


def _evidence(found: Sequence[DetectorResult]) -> list[dict[str, object]]:
    return [{"at": one.at, "since": one.since, "rows": one.rows} for one in found[:10]]
