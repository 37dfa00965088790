"""The rows of one partition of `observations`, taken in log order, and the windows they belong to.

What is kept of a message is the message; which of its rows were in time is decided as it comes, by the
model's clock. A window is recomputed when the log has reached its cut, and rows that no window to come
needs are let go.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing.published import Stream
from atalaia.monitors.clock import ObservationClock
from atalaia.records import ModelObservation, Observation
from atalaia.windows import Window
from atalaia.windows.definitions import WindowDefinition
from atalaia.windows.watermark import BoolArray, IntArray

AnyArray = npt.NDArray[Any]
_OF_ANSWERED_ROWS = {"performance", "fairness"}
"""Monitors in whose windows rows whose deadline had passed have no part."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """When a row comes too late for every window of a monitor; after ``unused_ms`` without any, where that is
    known, the monitor forgets their stream and begins anew.
    """  # fmt: skip

    definition: WindowDefinition
    lateness_ms: int
    unused_ms: int | None = None

    def kept(self, times_ms: IntArray, watermark_ms: int | None) -> BoolArray:
        """Which rows ``(n,)`` were in time, at the watermark before their message."""
        if watermark_ms is None:
            return np.ones(len(times_ms), np.bool_)
        pane_ms = self.definition.pane_ms
        panes, places = np.unique(times_ms // pane_ms * pane_ms, return_inverse=True)
        kept = [self.definition.settles_ms(pane) + self.lateness_ms > watermark_ms for pane in panes.tolist()]
        answer: BoolArray = np.array(kept, np.bool_)[places.reshape(-1)]
        return answer


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of a stream in one message, and which of them were believed and in time, by monitor.

    Of a canary's rows among a primary's the inputs count only.
    """

    offset: int
    section: ModelObservation
    times_ms: IntArray
    watermark_ms: int | None
    kept: Mapping[str, BoolArray]
    inputs_only: bool = False

    @property
    def latest_ms(self) -> int:
        """The latest event time."""
        return int(self.times_ms.max())

    def inside(self, monitor: str, window: Window) -> BoolArray:
        """Which rows lie in a window and were in time for the monitor."""
        times = self.times_ms
        kept = self.kept.get(monitor)
        if kept is None:
            return np.zeros(len(times), np.bool_)
        answer: BoolArray = kept & (times >= window.start_ms) & (times < window.end_ms)
        return answer


@dataclass(slots=True)
class Rows:
    """The rows of a stream that are still needed, in log order."""

    chunks: list[Chunk] = field(default_factory=list)

    def of(
        self, monitor: str, window: Window, *, since: int, before: int
    ) -> Iterator[tuple[Chunk, BoolArray]]:
        """The messages at positions [since, before) with rows in a window, and which of their rows."""
        for chunk in self.chunks:
            if since <= chunk.offset < before:
                inside = chunk.inside(monitor, window)
                if inside.any():
                    yield chunk, inside

    def forget(self, before_ms: int) -> None:
        """Let go of messages all of whose rows lie before a time."""
        self.chunks = [chunk for chunk in self.chunks if chunk.latest_ms >= before_ms]


class ModelLog:
    """The rows of one model, by stream, and its time."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.clock = ObservationClock(model)
        self.rows: dict[Stream, Rows] = {}
        self.fresh: list[tuple[Stream, Chunk]] = []
        """What the last message has brought."""
        self.time_ms: int | None = None
        """Event time after the last message, before it began anew."""
        self._primary: Stream | None = None

    def take(
        self, offset: int, observation: Observation, lateness: Mapping[Stream, Mapping[str, Lateness]]
    ) -> bool:
        """A message, whether it has rows of the model or not; True where a replay ended with it.

        ``lateness`` says when rows of a stream come too late, by monitor.
        """
        clock = self.clock
        clock.begin(observation)
        self.fresh = []
        latest: dict[int, int] = {}
        own = (section for section in observation.models if section.model == self.model)
        for section in sorted(own, key=lambda section: section.role != "primary"):
            stream = Stream(section.model, section.version, section.role)
            if section.role == "primary":
                self._primary = stream
            times, partitions = section.event_time_ms.numpy(), by_row(section, section.partition.numpy())
            believed = clock.plausible(observation, times, partitions)
            for partition in np.unique(partitions[believed]).tolist():
                reached = int(times[believed & (partitions == partition)].max())
                latest[partition] = max(reached, latest.get(partition, reached))
            if believed.any():
                self._add(offset, section, stream, believed, lateness)
        ended = clock.finish(observation, latest)
        self.time_ms = clock.time_ms
        if ended:
            clock.resume()
        return ended

    def _add(
        self,
        offset: int,
        section: ModelObservation,
        stream: Stream,
        believed: BoolArray,
        lateness: Mapping[Stream, Mapping[str, Lateness]],
    ) -> None:
        """Keep a message's rows; those of a canary count among the inputs of the primary beside it, too."""
        times, watermark_ms = section.event_time_ms.numpy(), self.clock.time_ms
        if stream in lateness:
            kept = {
                monitor: believed & rule.kept(times, watermark_ms)
                for monitor, rule in lateness[stream].items()
            }
            expired = by_row(section, section.expired.numpy())
            for monitor in kept.keys() & _OF_ANSWERED_ROWS:
                kept[monitor] = kept[monitor] & ~expired
            self._keep(stream, Chunk(offset, section, times, watermark_ms, kept))
        if section.role == "canary" and self._primary is not None:
            rule = lateness.get(self._primary, {}).get("drift")
            if rule is not None:
                kept = {"drift": believed & rule.kept(times, watermark_ms)}
                chunk = Chunk(offset, section, times, watermark_ms, kept, inputs_only=True)
                self._keep(self._primary, chunk)

    def _keep(self, stream: Stream, chunk: Chunk) -> None:
        self.rows.setdefault(stream, Rows()).chunks.append(chunk)
        self.fresh.append((stream, chunk))


def by_row(section: ModelObservation, by_request: AnyArray) -> AnyArray:
    """What holds of requests, for each of their rows."""
    return np.repeat(by_request, section.rows.numpy())


def row_places(section: ModelObservation) -> IntArray:
    """The place of each row in its request."""
    counts = section.rows.numpy().astype(np.int64)
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
