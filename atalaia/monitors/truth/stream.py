"""One stream of rows: a version of a model in one role, since its monitors last began anew."""

import hashlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.alerts import AlertEvent
from atalaia.monitors.rows import ObservedRows
from atalaia.monitors.truth.cells import Cells
from atalaia.monitors.truth.fairness import Fairness, FairnessState
from atalaia.monitors.truth.gaps import Gaps
from atalaia.monitors.truth.layout import IN_FAIRNESS, IN_PERFORMANCE, Layout, StructArray, concatenated
from atalaia.monitors.truth.performance import Performance, PerformanceState
from atalaia.monitors.truth.told import Relabelled, Rows, Telling, Watch
from atalaia.records import Role
from atalaia.results import Cut
from atalaia.windows.watermark import BoolArray, IntArray


class StreamState(msgspec.Struct, frozen=True, array_like=True):
    """A `Stream` between two batches, its panes aside."""

    index: int
    version: str
    role: Role
    digest: str
    probabilities: int
    ordinal: int
    seen_ms: int
    performance: PerformanceState | None
    fairness: FairnessState | None


class Stream:
    """What is counted of the rows of a version in a role.

    Parameters
    ----------
    index : what its rows name it by in the join
    watch : who it is
    cells : the combinations of attributes of its layout
    prefix : of the names it is stored under
    probabilities : how many its rows have
    """

    def __init__(
        self, index: int, watch: Watch, layout: Layout, cells: Cells, *, prefix: bytes, probabilities: int
    ) -> None:
        self.index, self.watch, self.layout, self.cells = index, watch, layout, cells
        self.prefix, self.probabilities = prefix, probabilities
        self.performance: Performance | None = None
        self.fairness: Fairness | None = None
        if watch.settings.performance.enabled:
            self.performance = Performance(
                watch, prefix=self.prefix, probabilities=_scored(watch, probabilities)
            )
        if watch.settings.fairness.enabled and layout.attributes:
            self.fairness = Fairness(watch, cells, prefix=self.prefix)
        self.former: Stream | None = None
        self.ordinal = 0
        self.seen_ms = 0
        self.touched = True
        self._arrived: list[tuple[IntArray, StructArray, BoolArray]] = []

    @property
    def shape(self) -> str:
        """Names all that its state depends on; where it changes the stream begins anew."""
        return shape_of(self.watch)

    @property
    def parts(self) -> list[Performance | Fairness]:
        """What is enabled of it."""
        return [part for part in (self.performance, self.fairness) if part is not None]

    @property
    def late_rows(self) -> dict[str, int]:
        """Rows too late for every window, by monitor."""
        named = {"performance": self.performance, "fairness": self.fairness}
        return {name: part.timeline.book.late_rows for name, part in named.items() if part is not None}

    @property
    def longest_ms(self) -> int:
        """How long after a row its last window may be revised."""
        return max((part.timeline.settled_ms + part.timeline.size_ms for part in self.parts), default=0)

    @property
    def idle(self) -> bool:
        """Whether nothing can change any more and no alert stands."""
        return all(part.idle for part in self.parts)

    def take(
        self, rows: ObservedRows, counted: BoolArray, watermark_ms: int | None
    ) -> tuple[npt.NDArray[np.intp], StructArray]:
        """Rows of a message that are ``counted``; the places of those that wait for labels, and they."""
        times = rows.times_ms[counted]
        if not len(times):
            return np.zeros(0, np.intp), np.zeros(0, self.layout.row)
        self.touched = True
        self.seen_ms = max(self.seen_ms, int(times.max()))
        flags = np.zeros(len(times), np.int64)
        for part, bit in ((self.performance, IN_PERFORMANCE), (self.fairness, IN_FAIRNESS)):
            if part is not None:
                flags |= part.timeline.add(times, watermark_ms).astype(np.int64) * bit
        structs = self._structs(rows, counted, flags)
        abstained = rows.abstained[counted]
        kept = flags > 0
        self._arrived.append((times[kept], structs[kept], abstained[kept]))
        waiting = kept & ~abstained
        structs["ordinal"][waiting] = self.ordinal + np.arange(int(waiting.sum()), dtype=np.int64)
        self.ordinal = (self.ordinal + int(waiting.sum())) & 0xFFFFFFFF
        return np.flatnonzero(counted)[waiting], structs[waiting]

    def count(self) -> None:
        """Count what has arrived in a batch."""
        if not self._arrived:
            return
        times, parts, abstained = zip(*self._arrived, strict=True)
        self._arrived = []
        rows = Rows(np.concatenate(times), concatenated(parts, self.layout.row), np.concatenate(abstained))
        for part, bit in ((self.performance, IN_PERFORMANCE), (self.fairness, IN_FAIRNESS)):
            if part is not None and len(rows.times_ms):
                within = (rows.rows["stream"] & bit) > 0
                whole = bool(within.all())
                part.arrive(rows if whole else rows.take(within))

    def relabel(self, changed: Relabelled) -> None:
        """Count labels that have come."""
        self.touched = True
        for part, bit in ((self.performance, IN_PERFORMANCE), (self.fairness, IN_FAIRNESS)):
            if part is not None:
                within = (changed.rows["stream"] & bit) > 0
                if within.any():
                    part.relabel(changed if within.all() else changed.take(within))

    def close(self, watermark_ms: int | None, *, offset: int) -> None:
        """After a message."""
        for part in self.parts:
            part.timeline.close(watermark_ms, offset=offset)

    def flush(self, *, offset: int) -> None:
        """Close what is open as it is."""
        for part in self.parts:
            part.timeline.flush(offset=offset)

    def advance(self, watermark_ms: int | None, join_ms: int | None) -> None:
        """Time has come so far."""
        for part in self.parts:
            part.timeline.advance(watermark_ms, join_ms)
        if self.performance is not None:
            self.performance.errors.advance(watermark_ms, join_ms)

    def follow(self) -> list[AlertEvent]:
        """Take the place of another of the same shape: what its alerts said is over."""
        former, self.former = self.former, None
        if former is None:
            return []
        events = []
        for part, other in zip(self.parts, former.parts, strict=True):
            for name, fold in part.folds.items():
                fold.restore(other.folds[name].snapshot())
                events += fold.lapse()
        self.touched = True
        return events

    def tell(self, watermark_ms: int | None, join_ms: int | None, *, cut: Cut, gaps: Gaps) -> Telling:
        """What the batch has changed, in results and alerts."""
        if self.performance is not None and self.performance.errors.feed():
            self.touched = True
        answer = Telling([], [])
        for part in self.parts:
            told = part.tell(cut=cut, gaps=gaps)
            self.touched |= bool(part.settle(watermark_ms, join_ms))
            answer.results.extend(told.results)
            answer.events.extend(told.events)
        self.touched = self.touched or bool(answer.results)
        return answer

    def change(self, watch: Watch) -> None:
        """Other thresholds from now on."""
        self.watch = watch
        self.touched = True
        for part in self.parts:
            part.change(watch)

    def drop(self) -> None:
        """Forget everything."""
        for part in self.parts:
            part.panes.drop()
        if self.performance is not None:
            self.performance.errors.drop()

    def writes(self) -> dict[bytes, bytes]:
        """What is to be stored since the last time, by name."""
        writes: dict[bytes, bytes] = {}
        for part in self.parts:
            writes |= part.panes.writes()
        if self.performance is not None:
            writes |= self.performance.errors.writes()
        if self.touched or writes:
            writes[self.prefix + b"state"] = msgspec.msgpack.encode(self._snapshot())
        self.touched = False
        return writes

    def deletes(self) -> list[bytes]:
        """The names that are no more, since the last time; asked for after `writes`."""
        deletes = [name for part in self.parts for name in part.panes.deletes()]
        if self.performance is not None:
            deletes += self.performance.errors.deletes()
        return deletes

    def restore(self, state: StreamState, panes: dict[bytes, bytes]) -> None:
        """Go on from where a snapshot was taken."""
        self.ordinal, self.seen_ms, self.touched = state.ordinal, state.seen_ms, False
        if self.performance is not None and state.performance is not None:
            self.performance.restore(state.performance, panes)
        if self.fairness is not None and state.fairness is not None:
            self.fairness.restore(state.fairness, panes)

    def _snapshot(self) -> StreamState:
        watch = self.watch
        return StreamState(
            self.index,
            watch.version,
            watch.role,
            watch.digest,
            self.probabilities,
            self.ordinal,
            self.seen_ms,
            None if self.performance is None else self.performance.snapshot(),
            None if self.fairness is None else self.fairness.snapshot(),
        )

    def _structs(self, rows: ObservedRows, counted: BoolArray, flags: IntArray) -> StructArray:
        section = rows.section
        structs = np.zeros(len(flags), self.layout.row)
        structs["stream"] = self.index | flags
        structs["score"] = section.score.numpy()[counted]
        if self.layout.classes and section.label is not None:
            structs["predicted"] = section.label.numpy()[counted]
        if self.layout.probabilities and section.probabilities is not None:
            structs["probabilities"] = section.probabilities.numpy()[counted]
        if self.layout.attributes:
            structs["cell"] = self.cells.of_context(section.context, len(rows))[counted]
        return structs


def shape_of(watch: Watch) -> str:
    """Names all that the state of a stream depends on."""
    settings = watch.settings
    performance, fairness = settings.performance, settings.fairness
    shaping: list[Any] = [
        (watch.digest, watch.baseline),
        settings.labels.horizon,
        [
            (windows.enabled, windows.window, windows.step, windows.last_rows, windows.pane, windows.lateness)
            for windows in (performance, fairness)
        ],
        performance.detectors,
        (fairness.attributes, fairness.favourable, fairness.most_groups),
    ]
    return hashlib.sha256(msgspec.json.encode(shaping, order="deterministic")).hexdigest()[:16]


def _scored(watch: Watch, probabilities: int) -> bool:
    return probabilities > 0 or len(watch.manifest.classes) == 2
