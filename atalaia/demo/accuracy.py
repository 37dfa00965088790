"""Accuracy and what follows from it, counted again from rows with scikit-learn, SciPy and river. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from river.drift import ADWIN
from river.drift.binary import DDM
from sklearn.metrics import accuracy_score, confusion_matrix

from atalaia.alerts import rfc3339
from atalaia.demo.history import Record, begins_ms
from atalaia.demo.recounted import Figure, difference
from atalaia.inference.columns import parse_time
from atalaia.monitors.configuration import PerformanceSettings

LEVEL = 0.999
_MARK_EVERY = 32
"""ADWIN knows a row, whose time is told early by so many rows, or by that share of the rows since."""

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows (n,) in the order of time: what was ``said`` of them, the ``truth``, and which were refused."""

    time_ms: IntArray
    said: IntArray
    truth: IntArray
    abstained: BoolArray

    def take(self, which: BoolArray) -> "Answered":
        """Some of them."""
        return Answered(self.time_ms[which], self.said[which], self.truth[which], self.abstained[which])

    def before(self, time_ms: int) -> "Answered":
        """Those before a time."""
        return self.take(self.time_ms < time_ms)

    def of(self, record: Record) -> "Answered":
        """Those of a result's window."""
        return self.take((self.time_ms >= begins_ms(record)) & (self.time_ms < ends_ms(record)))

    @property
    def answered(self) -> "Answered":
        """Those that were not refused."""
        return self.take(~self.abstained)

    @property
    def right(self) -> tuple[int, int]:
        """How many answers are as the truth is, of how many."""
        rows = self.answered
        return int((rows.said == rows.truth).sum()), len(rows.truth)


class Verdict(NamedTuple):
    """A judged window, and by how much its accuracy lies below the reference, with the 99.9 % interval."""

    start: str
    end: str
    drop: float
    low: float
    high: float
    hit: bool


class Episode(NamedTuple):
    """Since when an alert fired, and until when; None where it still does."""

    since: str
    until: str | None


class Detected(NamedTuple):
    """A detection: the row's time, how many were fed, and the first and last time it may say it was since."""

    at: str
    rows: int
    earliest: str
    latest: str


def compare(result: Record, rows: Answered, reference: tuple[int, int]) -> list[Figure]:
    """The figures of a published result of performance, beside the same of its window's rows.

    Parameters
    ----------
    rows : of the window, some of them answered; classes by their place
    reference : right answers and answers on the held-out rows
    """
    some = rows.answered
    name = result["window"]["start"]
    classes = range(len(result["classes"]))
    matrix = confusion_matrix(some.truth, some.said, labels=list(classes)).tolist()
    counted = [
        ("n", result["n"], len(some.truth)),
        ("labelled", result["labelled"], len(some.truth)),
        ("abstained", result.get("abstained", 0), int(rows.abstained.sum())),
        ("accuracy", result["metrics"]["accuracy"], accuracy_score(some.truth, some.said)),
        *(
            (f"{said} for {truth}", result["confusion_matrix"][truth][said], matrix[truth][said])
            for truth in classes
            for said in classes
        ),
        *_interval(result, rows, reference),
    ]
    return [(f"{name} {figure}", told, other) for figure, told, other in counted]


def judge(
    results: Sequence[Record], rows: Answered, reference: tuple[int, int], maximum_drop: float
) -> list[Verdict]:
    """Of windows: a hit where accuracy has surely fallen by more than ``maximum_drop``."""
    verdicts = []
    for result in results:
        drop, low, high = difference(*reference, *rows.of(result).right, LEVEL)
        window = result["window"]
        verdicts.append(Verdict(window["start"], window["end"], drop, low, high, low > maximum_drop))
    return verdicts


def compare_evidence(firing: Sequence[Record], verdicts: Sequence[Verdict]) -> list[Figure]:
    """What firing alerts on accuracy say of their windows, beside the verdicts on these."""
    known = {verdict.start: verdict for verdict in verdicts}
    return [
        (f"{window['start']} {name} of the alert", window[field], getattr(verdict, name))
        for event in firing
        if event["subject"] == "accuracy"
        for window in event["evidence"]["windows"]
        if (verdict := known.get(window["start"])) is not None
        for name, field in (("drop", "change"), ("low", "low"), ("high", "high"))
    ]


def episodes(verdicts: Sequence[Verdict], settings: PerformanceSettings) -> list[Episode]:
    """The alerts that follow from verdicts in the order of time.

    >>> hits = [False, True, False, True, False, False, False, True]
    >>> several = [Verdict(f"{day}", f"{day + 1}", 0, 0, 0, hit) for day, hit in enumerate(hits)]
    >>> episodes(several, PerformanceSettings(hits=2, among=3, quiet_windows=3))
    [Episode(since='1', until='7')]
    """
    found: list[Episode] = []
    recent: list[Verdict] = []
    since = None
    for verdict in verdicts:
        recent.append(verdict)
        hits = [one for one in recent[-settings.among :] if one.hit]
        if since is None and verdict.hit and len(hits) >= settings.hits:
            since, recent = hits[0].start, [verdict]
        last = recent[-settings.quiet_windows :]
        if since is not None and len(last) == settings.quiet_windows and not any(one.hit for one in last):
            found.append(Episode(since, verdict.end))
            since, recent = None, []
    return [*found, Episode(since, None)] if since is not None else found


def detections(rows: Answered) -> dict[str, list[Detected]]:
    """What river finds, fed with the errors of the answered rows one by one in their order, by detector."""
    some = rows.answered
    errors = (some.said != some.truth).astype(int).tolist()
    times = some.time_ms.tolist()
    return {"ddm": list(_ddm(errors, times)), "adwin": list(_adwin(errors, times))}


def differing_detections(results: Sequence[Record], counted: Mapping[str, Sequence[Detected]]) -> list[str]:
    """Where what was published and what river finds are not the same, in words."""
    wrong = []
    for name, expected in counted.items():
        told = published(results, name)
        if len(told) != len(expected):
            wrong.append(f"{name}: {len(told)} told, counted {len(expected)}")
        for one, other in zip(told, expected, strict=False):
            same = (one["at"], one["rows"]) == (other.at, other.rows)
            if not same or not other.earliest <= one["since"] <= other.latest:
                wrong.append(f"{name}: {one}, counted {other}")
    return wrong


def published(results: Sequence[Record], detector: str) -> list[Record]:
    """What a detector found, over all windows."""
    return [one for result in results for one in result["detectors"] if one["detector"] == detector]


def ends_ms(record: Record) -> int:
    """When a result's window is over."""
    return parse_time(record["window"]["end"])


def _interval(result: Record, rows: Answered, reference: tuple[int, int]) -> Iterator[Figure]:
    """Of the drop of accuracy, where the window was judged."""
    for told in result["judgements"]:
        if told["metric"] == "accuracy":
            counted = difference(*reference, *rows.right, LEVEL)
            for field, figure in zip(("change", "low", "high"), counted, strict=True):
                yield f"drop {field}", told[field], figure


def _ddm(errors: Sequence[int], times: Sequence[int]) -> Iterator[Detected]:
    """Since the first row of the warning that led to it."""
    detector, warned = DDM(), None
    for row, (error, time_ms) in enumerate(zip(errors, times, strict=True)):
        detector.update(error)
        if detector.warning_detected or detector.drift_detected:
            warned = time_ms if warned is None else warned
        else:
            warned = None
        if detector.drift_detected and warned is not None:
            yield Detected(rfc3339(time_ms), row + 1, rfc3339(warned), rfc3339(warned))
            warned = None


def _adwin(errors: Sequence[int], times: Sequence[int]) -> Iterator[Detected]:
    """Since the first row that its window still holds."""
    detector = ADWIN()
    for row, (error, time_ms) in enumerate(zip(errors, times, strict=True)):
        detector.update(error)
        if detector.drift_detected:
            width = int(detector.width)
            first = row + 1 - width
            early = max(first - max(_MARK_EVERY, -(-width // _MARK_EVERY)), 0)
            yield Detected(rfc3339(time_ms), row + 1, rfc3339(times[early]), rfc3339(times[first]))
