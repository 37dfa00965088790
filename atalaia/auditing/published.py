"""What the topics of results say last of each window."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from atalaia.results import DriftResult, FairnessResult, PerformanceResult, Result
from atalaia.topics import DRIFT, FAIRNESS, PERFORMANCE
from atalaia.windows import Window

KINDS: Mapping[str, type[Result]] = {
    DRIFT.name: DriftResult,
    PERFORMANCE.name: PerformanceResult,
    FAIRNESS.name: FairnessResult,
}
"""The type of results by topic."""


class Stream(NamedTuple):
    """The rows of one version of a model in one role."""

    model: str
    version: str
    role: str


class Place(NamedTuple):
    """A window of a monitor over a stream of rows: what results are unique for but for their revisions."""

    monitor: str
    stream: Stream
    window: Window


class Published(NamedTuple):
    """The last revision of a window: as a record, and as plain values to compare."""

    place: Place
    result: Result
    body: dict[str, Any]

    @property
    def labels_cut(self) -> int:
        """The labels it is a function of lie before this position."""
        return self.result.cut.labels or 0


def read_result(monitor: str, value: bytes) -> Published:
    """A message of a topic of results."""
    result = msgspec.json.decode(value, type=KINDS[monitor])
    window = Window(milliseconds(result.window.start), milliseconds(result.window.end))
    place = Place(monitor, Stream(result.model, result.version, result.role), window)
    return Published(place, result, _plain(result))


def latest(results: Iterable[Published]) -> dict[Place, Published]:
    """The last revision of each window, by (generation, observations, labels), then as they lie."""
    found: dict[Place, Published] = {}
    for published in results:
        known = found.get(published.place)
        if known is None or order(known) <= order(published):
            found[published.place] = published
    return found


def order(published: Published) -> tuple[int, int, int]:
    """What orders revisions."""
    cut = published.result.cut
    return cut.generation, cut.observations, -1 if cut.labels is None else cut.labels


def milliseconds(text: str) -> int:
    """Of a time as records carry it.

    >>> milliseconds("1970-01-01T00:00:01.500Z")
    1500
    """
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _plain(value: Any) -> Any:
    """Records as plain values, members that have their default value too."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return value
