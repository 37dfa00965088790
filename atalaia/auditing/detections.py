"""Sequential detectors, fed row by row once more with river's own classes: what they find, and since when."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atalaia.alerts import rfc3339
from atalaia.auditing import extras
from atalaia.auditing.comparison import Mismatch, mismatches
from atalaia.auditing.published import milliseconds
from atalaia.monitors.configuration import DetectorSettings
from atalaia.windows.watermark import IntArray

FloatArray = npt.NDArray[np.float64]

_MARKED = 32
"""Of every so many rows one's time is kept, to say since when."""
_DRIFT = {"adwin": "ADWIN", "page_hinkley": "PageHinkley"}
_BINARY = {"ddm": "DDM", "eddm": "EDDM", "hddm_a": "HDDMA", "hddm_w": "HDDMW"}


class Found(NamedTuple):
    """A change; since when lies between two times, which are one where that is exact."""

    detector: str
    column: str
    at_ms: int
    earliest_ms: int
    latest_ms: int
    rows: int


class Detector:
    """A detector of one column, fed in order.

    ADWIN and HDDM_A say how many rows ago a change began: its time is a marked row's, early by at most 32
    rows or a thirty-second of the rows since. Of the others it is exact: the first row of the warning, or of
    Page-Hinkley the last extreme of the sum that rose or fell.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        kind = settings.detector
        found = extras.river_drift() if kind in _DRIFT else extras.river_binary()
        self._river: Any = getattr(found, (_DRIFT | _BINARY)[kind])(**settings.parameters)
        self._rows = 0
        self._marks = array("q")
        self._suspected: list[int | None] = [None, None]
        self._back = {"adwin": _rows_of_adwin, "hddm_a": _rows_of_hddm_a}.get(kind)
        self._follow = self._follow_sums if kind == "page_hinkley" else self._follow_warning

    def feed(self, values: FloatArray, times_ms: IntArray) -> Iterator[Found]:
        """What is found among rows ``(n,)`` in their order; those without a finite value are left out."""
        there = np.isfinite(values)
        for value, time_ms in zip(values[there].tolist(), times_ms[there].tolist(), strict=True):
            if self._back is None:
                self._follow(value, time_ms)
            else:
                if self._rows % _MARKED == 0:
                    self._marks.append(time_ms)
                self._river.update(value)
            self._rows += 1
            if self._river.drift_detected:
                set_ = self.settings
                yield Found(set_.detector, set_.column, time_ms, *self._since(time_ms), self._rows)
                self._suspected = [None, None]

    def _follow_warning(self, value: float, time_ms: int) -> None:
        """Note where a warning begins."""
        self._river.update(value)
        if not (self._river.warning_detected or self._river.drift_detected):
            self._suspected[0] = None
        elif self._suspected[0] is None:
            self._suspected[0] = time_ms

    def _follow_sums(self, value: float, time_ms: int) -> None:
        """Note the lowest of the rising sum and the highest of the falling one."""
        before = _extremes(self._river)
        self._river.update(value)
        for place, (was, is_now) in enumerate(zip(before, _extremes(self._river), strict=True)):
            if is_now != was:
                self._suspected[place] = time_ms

    def _since(self, time_ms: int) -> tuple[int, int]:
        """The times between which that of the first row after the change must lie."""
        if self._back is not None:
            first = max(self._rows - self._back(self._river), 0)
            least = min(first - _MARKED, -(-(32 * first - self._rows) // 31))
            marks = self._marks[max(-(-least // _MARKED), 0) : first // _MARKED + 1]
            return min(marks), max(marks)
        place = 0
        if self.settings.detector == "page_hinkley":
            low, high = _extremes(self._river)
            up = self._river._sum_increase - low  # noqa: SLF001 -- river tells its sums nowhere else
            down = high - self._river._sum_decrease  # noqa: SLF001
            place = 0 if up >= down else 1
        suspected_ms = self._suspected[place]
        since_ms = time_ms if suspected_ms is None else suspected_ms
        return since_ms, since_ms


def differences(published: Sequence[Mapping[str, Any]], found: Sequence[Found]) -> list[Mismatch]:
    """Where the detections of a result differ from those found."""
    if len(published) != len(found):
        return [Mismatch("detectors.length", len(published), len(found))]
    answer: list[Mismatch] = []
    for place, (told, one) in enumerate(zip(published, found, strict=True)):
        path = f"detectors[{place}]"
        expected = {
            "detector": one.detector,
            "column": one.column,
            "at": rfc3339(one.at_ms),
            "rows": one.rows,
        }
        answer += mismatches(told, expected, path)
        if not one.earliest_ms <= milliseconds(told["since"]) <= one.latest_ms:
            answer.append(Mismatch(f"{path}.since", told["since"], rfc3339(one.latest_ms)))
    return answer


def _extremes(page_hinkley: Any) -> tuple[float, float]:
    return page_hinkley._min_increase, page_hinkley._max_decrease  # noqa: SLF001


def _rows_of_adwin(adwin: Any) -> int:
    return int(adwin.width)


def _rows_of_hddm_a(hddm_a: Any) -> int:
    """Rows since the cut point that river compares with: of a rise the lowest mean, of a fall the highest."""
    seen, low, high = hddm_a._z, hddm_a._x_min, hddm_a._x_max  # noqa: SLF001 -- river tells it nowhere else
    rose = seen.get() - low.get() >= high.get() - seen.get()
    return int(seen.n - (low.n if rose else high.n))
