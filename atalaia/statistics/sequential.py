"""Sequential drift detectors of river: since when, one row after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from river import __version__ as river_version
from river import drift
from river.drift import binary

from atalaia.statistics.bins import FloatArray, IntArray
from atalaia.statistics.snapshots import SnapshotRefused, pack, restore, state_of, unpack

Parameters = Mapping[str, float | int | bool | str]

_MARK_EVERY = 32
_MARKS_AN_OCTAVE = 64
_THIN_EVERY = 1024


@dataclass(frozen=True, slots=True)
class Detection:
    """A change that a detector found at a row: that row's event time, and that of the first row after the
    change as the detector sees it; ``rows`` fed so far.
    """  # fmt: skip

    at_ms: int
    since_ms: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a detector is made and what it knows of when a change began.

    ``rows_back`` of a detector that has just fired: the rows since the change. ``binary`` ones take 0 and 1.
    """

    make: Callable[..., Any]
    binary: bool
    rows_back: Callable[[Any], float] | None = None


def _adwin_rows(detector: Any) -> float:
    return float(detector.width)


def _hddm_a_rows(detector: Any) -> float:
    seen = detector._z  # noqa: SLF001 -- river keeps the cut points nowhere else
    low, high = detector._x_min, detector._x_max  # noqa: SLF001
    rose = seen.get() - low.get() >= high.get() - seen.get()
    return float(seen.n - (low.n if rose else high.n))


def _rose(detector: Any) -> bool:
    """Whether Page-Hinkley, which has just fired, saw a rise."""
    up = detector._sum_increase - detector._min_increase  # noqa: SLF001
    down = detector._max_decrease - detector._sum_decrease  # noqa: SLF001
    return bool(up >= down)


_KINDS = {
    "adwin": _Kind(drift.ADWIN, binary=False, rows_back=_adwin_rows),
    "page_hinkley": _Kind(drift.PageHinkley, binary=False),
    "ddm": _Kind(binary.DDM, binary=True),
    "eddm": _Kind(binary.EDDM, binary=True),
    "hddm_a": _Kind(binary.HDDMA, binary=True, rows_back=_hddm_a_rows),
    "hddm_w": _Kind(binary.HDDMW, binary=True),
}
DETECTORS = tuple(_KINDS)
"""Names of the detectors there are."""


class Sequential:
    """A detector of river, fed one by one, that can be stopped anywhere and go on as if it had not been.

    Its detections and its state depend on the rows and their order alone, never on the batches they came in:
    feed it in the order of `in_order`. ADWIN and HDDM_A know how many rows ago a change began; DDM, EDDM and
    HDDM_W are taken at the first row of the warning that led to it, Page-Hinkley at the last extreme of its
    sum. Event times of earlier rows are kept every 32 rows, sparser the older they are: ``since_ms`` is early
    by at most 32 rows or a thirty-second of the rows since.

    Source: Bifet, Gavalda (2007) for ADWIN; Gama et al. (2004), DDM; Baena-Garcia et al. (2006), EDDM;
    Frias-Blanco et al. (2015), HDDM; Page (1954). The detectors are river's own.

    Parameters
    ----------
    kind : one of `DETECTORS`
    parameters : of river's class, its defaults where left out

    Raises
    ------
    ValueError
        for an unknown detector or a parameter it does not take.

    >>> detector = Sequential("adwin")
    >>> values = np.repeat([0.0, 1.0], 1000)
    >>> [(found.at_ms, found.since_ms) for found in detector.feed(values, np.arange(2000))]
    [(1023, 960)]
    >>> again = Sequential.restored(detector.snapshot(), "adwin")
    >>> again.rows
    2000
    """

    def __init__(self, kind: str, parameters: Parameters | None = None) -> None:
        if kind not in _KINDS:
            raise ValueError(f"no detector is called {kind!r}; there are {', '.join(DETECTORS)}")
        self.kind = kind
        self.parameters = dict(parameters or {})
        self.rows = 0
        self._kind = _KINDS[kind]
        try:
            self._detector = self._kind.make(**self.parameters)
        except TypeError as error:
            raise ValueError(f"the detector {kind} takes no such parameter ({error})") from error
        self._suspected: list[int | None] = [None, None]
        """Times: of a warning; of Page-Hinkley's lowest rising and highest falling sum."""
        self._marks: list[tuple[int, int]] = []

    @property
    def drift_detected(self) -> bool:
        """Whether the latest row made it fire."""
        return bool(self._detector.drift_detected)

    @property
    def warning_detected(self) -> bool:
        """Whether it is in its warning zone; always False of those without one."""
        return bool(getattr(self._detector, "warning_detected", False))

    def feed(self, values: FloatArray, event_time_ms: IntArray) -> list[Detection]:
        """Detections among rows (n,), in their order, with event times (n,).

        Raises
        ------
        ValueError
            for values that are not finite, or not 0 and 1 where the detector takes errors: leave out rows
            without a value.
        """
        self._check(values)
        found = []
        for value, time_ms in zip(values.tolist(), event_time_ms.tolist(), strict=True):
            self._update(value, time_ms)
            if self._detector.drift_detected:
                found.append(Detection(time_ms, self._since(time_ms), self.rows))
                self._suspected = [None, None]
        return found

    def snapshot(self) -> bytes:
        """Everything that the next row depends on, as JSON with a digest; never a pickle."""
        return pack(
            {
                "detector": self.kind,
                "parameters": self.parameters,
                "river": river_version,
                "rows": self.rows,
                "suspected_ms": self._suspected,
                "marks": self._marks,
                "state": state_of(self._detector),
            }
        )

    @classmethod
    def restored(cls, snapshot: bytes, kind: str, parameters: Parameters | None = None) -> Self:
        """The detector that a snapshot was taken of; kind and parameters are ours, not the snapshot's.

        Raises
        ------
        SnapshotRefused
            when it is damaged, of another detector, or of another version of river: feed the log again.
        """
        self = cls(kind, parameters)
        content = unpack(snapshot)
        expected = {"detector": kind, "parameters": self.parameters, "river": river_version}
        for name, value in expected.items():
            if content.get(name) != value:
                raise SnapshotRefused(
                    f"the snapshot is of {name} {content.get(name)!r}, expected {value!r}; feed the log again"
                )
        restore(self._detector, content.get("state"))
        try:
            self.rows = int(content["rows"])
            first, second = content["suspected_ms"]
            self._suspected = [None if time_ms is None else int(time_ms) for time_ms in (first, second)]
            self._marks = [(int(rows), int(time_ms)) for rows, time_ms in content["marks"]]
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotRefused(f"the snapshot lacks its rows or times ({error!r})") from error
        return self

    def _check(self, values: FloatArray) -> None:
        if not np.isfinite(values).all():
            raise ValueError("the values hold NaN or infinity, expected finite ones: leave such rows out")
        if self._kind.binary and not np.isin(values, (0, 1)).all():
            raise ValueError(f"the detector {self.kind} takes errors, 0 or 1; other values came")

    def _update(self, value: float, time_ms: int) -> None:
        """Update river's detector, and keep the time at which what it suspects began."""
        detector = self._detector
        if self._kind.rows_back is not None:
            if self.rows % _MARK_EVERY == 0:
                self._mark(time_ms)
            detector.update(value)
        elif self._kind.binary:
            detector.update(value)
            if not (detector.warning_detected or detector.drift_detected):
                self._suspected[0] = None
            elif self._suspected[0] is None:
                self._suspected[0] = time_ms
        else:
            low, high = detector._min_increase, detector._max_decrease  # noqa: SLF001
            detector.update(value)
            if detector._min_increase != low:  # noqa: SLF001
                self._suspected[0] = time_ms
            if detector._max_decrease != high:  # noqa: SLF001
                self._suspected[1] = time_ms
        self.rows += 1

    def _since(self, time_ms: int) -> int:
        if self._kind.rows_back is None:
            suspected = self._suspected[0 if self._kind.binary or _rose(self._detector) else 1]
            return time_ms if suspected is None else suspected
        first = self.rows - self._kind.rows_back(self._detector)
        return max((at_ms for row, at_ms in self._marks if row <= first), default=self._marks[0][1])

    def _mark(self, time_ms: int) -> None:
        self._marks.append((self.rows, time_ms))
        if self.rows % _THIN_EVERY == 0:
            self._marks = [(row, at_ms) for row, at_ms in self._marks if _kept(row, self.rows)]


class LogDistance:
    """The applicability distance as detectors are fed it: its logarithm, standardised on the reference.

    Source: none; it makes a heavy-tailed distance nearly normal, with mean 0 and deviation 1 at rest.

    Parameters
    ----------
    reference : squared distances (m,) of held-out rows

    Raises
    ------
    ValueError
        when the reference has fewer than two distinct distances above 0.

    >>> LogDistance(np.exp([1.0, 3.0])).standardise(np.exp([2.0, 4.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, reference: FloatArray) -> None:
        positive = reference[reference > 0]
        logarithms = np.log(positive)
        self.least = float(positive.min(initial=np.inf))
        self.mean = float(logarithms.mean()) if len(positive) else 0.0
        self.deviation = float(logarithms.std()) if len(positive) else 0.0
        if not self.deviation > 0:
            raise ValueError("the reference distances are all alike, expected at least two that differ")

    def standardise(self, distances: FloatArray) -> FloatArray:
        """(ln D^2 - mean) / deviation (n,); distances below any of the reference's count as its least."""
        answer: FloatArray = (np.log(np.maximum(distances, self.least)) - self.mean) / self.deviation
        return answer


def in_order(
    event_time_ms: IntArray, partition: IntArray, offset: IntArray, row: IntArray | None = None
) -> IntArray:
    """Places (n,) of rows in the one order detectors are fed: event time, source partition, offset, row.

    Rows of one request share an offset; without ``row`` they keep the order they are in.

    >>> in_order(np.array([5, 5, 4]), np.array([1, 0, 2]), np.array([7, 9, 3])).tolist()
    [2, 1, 0]
    """
    keys = (offset, partition, event_time_ms) if row is None else (row, offset, partition, event_time_ms)
    return np.lexsort(keys).astype(np.int64)


def _kept(row: int, rows: int) -> bool:
    """Whether the mark at ``row`` survives until ``rows``: 64 marks for each doubling of age."""
    place = row // _MARK_EVERY
    step = place & -place if place else 1 << 62
    return rows - row <= _MARKS_AN_OCTAVE * _MARK_EVERY * step
