"""What a replay comes to: rows by their fate, and what the monitors said of them."""

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from atalaia.bundles.manifest import Name
from atalaia.inference.columns import parse_time
from atalaia.records import Time
from atalaia.replay.monitors import CAUGHT_UP
from atalaia.topics import ALERTS, DRIFT, FAIRNESS, PERFORMANCE

RESULTS = (DRIFT, PERFORMANCE, FAIRNESS)
Result = dict[str, Any]
"""A record of one of the topics of results, as it is published."""


class Failure(msgspec.Struct, frozen=True):
    """Rows that were refused, counted from 1 after the header, and why."""

    row: int
    rows: int
    reason: str
    detail: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a replay.

    ``start`` and ``end`` are its own time. ``seconds`` are ours, from the first row sent until the last was
    accounted for. ``failures`` names the first of the failed. ``monitors`` says how far each service came;
    of each window of the replay the results hold the latest revision, by window.
    """

    replay: str
    model: Name
    version: Name
    start: Time
    end: Time
    rows: int
    answered: int
    abstained: int
    failed: int
    seconds: float
    rows_per_second: float
    failures: list[Failure] = []
    monitors: dict[str, str] = {}
    drift: list[Result] = []
    performance: list[Result] = []
    fairness: list[Result] = []
    alerts: list[Result] = []

    @property
    def complete(self) -> bool:
        """Whether every row is accounted for and every monitor has taken all of it."""
        accounted = self.answered + self.abstained + self.failed == self.rows
        return accounted and all(word == CAUGHT_UP for word in self.monitors.values())


class Results:
    """Gathers what monitors publish of a model, windows within a replay's own time.

    Parameters
    ----------
    start_ms, end_ms : event times of the first and the last row
    """

    def __init__(self, model: str, *, start_ms: int, end_ms: int) -> None:
        self._model = model
        self._start_ms, self._end_ms = start_ms, end_ms
        self._latest: dict[str, dict[tuple[str, ...], tuple[tuple[int, ...], Result]]] = {
            topic.name: {} for topic in RESULTS
        }
        self.alerts: list[Result] = []

    def add(self, topic: str, value: bytes) -> None:
        """The next message of one of the topics."""
        record: Result = orjson.loads(value)
        if record.get("model") != self._model:
            return
        if topic == ALERTS.name:
            # What stood before has lapsed as the replay began; it is not of this replay.
            begun = any(event["fingerprint"] == record["fingerprint"] for event in self.alerts)
            if begun or record["status"] != "resolved":
                self.alerts.append(record)
        elif topic in self._latest and self._meets(record):
            window = record["window"]
            key = (record["version"], record["role"], window["start"], window["end"])
            order = _order(record)
            known = self._latest[topic].get(key)
            if known is None or order >= known[0]:
                self._latest[topic][key] = order, record

    def of(self, topic: str) -> list[Result]:
        """Latest revisions of a topic, by version, role and window."""
        records = (record for _, record in self._latest[topic].values())
        return sorted(records, key=_by_window)

    def _meets(self, record: Result) -> bool:
        """Whether a window has anything to do with the replay's time."""
        window = record["window"]
        return parse_time(window["start"]) <= self._end_ms and parse_time(window["end"]) > self._start_ms


def provisional(results: Iterable[Result]) -> int:
    """How many windows may still change."""
    return sum(bool(result["provisional"]) for result in results)


def _order(record: Result) -> tuple[int, ...]:
    """Of two revisions the later one has the greater."""
    cut = record["cut"]
    return cut["generation"], cut["observations"], cut.get("labels") or 0, record["revision"]


def _by_window(record: Result) -> tuple[str, str, int, int]:
    window = record["window"]
    return record["version"], record["role"], parse_time(window["end"]), parse_time(window["start"])
