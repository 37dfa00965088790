"""Everything that was said of a model's windows: each revision, and each change of an alert. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from atalaia.inference.columns import parse_time

Record = dict[str, Any]
"""A result or an alert, as it lies on its topic."""


class History:
    """Records of one model whose windows begin, or whose alerts go back to, within a span of event time.

    Parameters
    ----------
    values : by topic, in the order of the log
    start_ms, end_ms : the span, its end not included

    >>> window = {"start": "1970-01-01T00:00:00.000Z", "end": "1970-01-02T00:00:00.000Z"}
    >>> records = [{"model": "m", "window": window, "revision": revision} for revision in (0, 1)]
    >>> history = History("m", {"drift": map(orjson.dumps, records)}, start_ms=0, end_ms=1)
    >>> [[record["revision"] for record in window] for window in history.windows("drift")]
    [[0, 1]]
    """

    def __init__(
        self, model: str, values: Mapping[str, Iterable[bytes]], *, start_ms: int, end_ms: int
    ) -> None:
        self._records = {
            topic: [
                record
                for record in map(orjson.loads, several)
                if record["model"] == model and start_ms <= begins_ms(record) < end_ms
            ]
            for topic, several in values.items()
        }

    def windows(self, topic: str) -> list[list[Record]]:
        """Every window's revisions, in the order they were published; windows by time."""
        revisions: dict[str, list[Record]] = {}
        for record in self._records.get(topic, []):
            revisions.setdefault(record["window"]["start"], []).append(record)
        return [revisions[start] for start in sorted(revisions)]

    def latest(self, topic: str) -> list[Record]:
        """The last revision of every window, by time."""
        return [revisions[-1] for revisions in self.windows(topic)]

    def alerts(self, *, status: str | None = None, monitor: str | None = None) -> list[Record]:
        """Changes of alerts, in order: all of them, or those of a status or a monitor."""
        return [
            event
            for event in self._records.get("alerts", [])
            if status in (None, event["status"]) and monitor in (None, event["monitor"])
        ]


def begins_ms(record: Record) -> int:
    """When a result's window begins, or when what an alert says began."""
    return parse_time(record["window"]["start"] if "window" in record else record["since"])
