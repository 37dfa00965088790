"""One model: its time, its streams of rows, and its join."""

from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.join.matching import JoinCounts
from atalaia.join.rows import RowWrites, row_ids, with_places
from atalaia.join.sweep import JoinSpace
from atalaia.monitors.clock import ClockState, ObservationClock
from atalaia.monitors.publications import publish_event, publish_missing_bundle, publish_result
from atalaia.monitors.rows import ObservedRows
from atalaia.monitors.truth.cells import Cells
from atalaia.monitors.truth.gaps import Gaps, GapsState
from atalaia.monitors.truth.intake import Awaited
from atalaia.monitors.truth.joining import JoinState, ModelJoin, TimedLabels, earlier
from atalaia.monitors.truth.layout import MOST_STREAMS, Layout
from atalaia.monitors.truth.letters import shed_letters
from atalaia.monitors.truth.overlay import Overlay
from atalaia.monitors.truth.stream import Stream, StreamState, shape_of
from atalaia.monitors.truth.told import Watch
from atalaia.monitors.units import Models, Publication, RowReader
from atalaia.records import ModelObservation, Observation, Role
from atalaia.results import Cut, FairnessResult, PerformanceResult
from atalaia.statistics.groups import Key
from atalaia.topics import FAIRNESS, PERFORMANCE

BUCKETS_A_MODEL = 1 << 22
"""Models of a unit have buckets of their own, since their times, by which rows expire, differ."""
MOST_STREAMS_KEPT = 100
"""Streams of a model; the one longest without rows gives way."""
_BEHIND_MS = 10_000
"""How far the clocks of those who mark the two topics may lie apart."""

StreamKey = tuple[str, Role]


class ModelState(msgspec.Struct, frozen=True):
    """A `WatchedModel` between two batches, its streams aside."""

    clock: ClockState
    slot: int
    next_index: int
    retired_labels: int
    late_rows: dict[str, int]
    gaps: GapsState
    space: JoinSpace | None
    join: JoinState | None
    streams: list[int]
    layouts: list[str]
    awaited: Awaited | None


class Told(NamedTuple):
    """What a batch makes of a model."""

    rows: RowWrites
    publications: list[Publication]


class WatchedModel:
    """What the monitor keeps of a model.

    Parameters
    ----------
    name : the model's
    models : where its bundles are
    slot : which buckets are its own
    """

    def __init__(self, name: str, models: Models, *, slot: int) -> None:
        self.name, self.slot = name, slot
        self._models = models
        self.clock = ObservationClock(name)
        self.overlay = Overlay()
        self.join: ModelJoin | None = None
        self.retired_labels = 0
        self.late_rows: dict[str, int] = {}
        self._streams: dict[StreamKey, Stream] = {}
        self._retiring: list[Stream] = []
        self._layouts: dict[str, Cells] = {}
        self._kept_cells: dict[str, int] = {}
        self._gone: list[bytes] = []
        self._next_index = 0
        self._gaps = Gaps()
        self._latest: dict[int, int] = {}
        self.awaited: Awaited | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to keep."""
        held = self.join is not None and self.join.counts.held_rows > 0
        return not (self._streams or self._retiring or held or self.clock.replaying)

    @property
    def streams(self) -> list[Stream]:
        """Those about to be forgotten, then those there are, which have the last word."""
        return [*self._retiring, *self._streams.values()]

    def begin(self, observation: Observation, *, offset: int) -> int | None:
        """Before the rows of a message; the time they are held against.

        A replay's rows are in windows of their own, also where others of those hours were counted.
        """
        replay = self.clock.replay
        self.clock.begin(observation)
        if self.clock.replaying and self.clock.replay != replay:
            for key, former in list(self._streams.items()):
                self._retire(key, offset=offset)
                self._add(
                    self._free_index(), former.watch, former.layout, probabilities=former.probabilities
                ).former = former
        self._await(observation, "begin")
        self._latest = {}
        return self.clock.time_ms

    def take(
        self, observation: Observation, section: ModelObservation, *, watermark_ms: int | None, offset: int
    ) -> list[Publication]:
        """The rows of one version in a message."""
        rows = ObservedRows(section)
        believed = self.clock.plausible(observation, rows.times_ms, rows.partitions)
        for partition, time_ms in rows.latest_ms(believed).items():
            self._latest[partition] = max(time_ms, self._latest.get(partition, time_ms))
        if not len(rows):
            return []
        stream = self._stream(section, offset=offset)
        if stream is None:
            return publish_missing_bundle(observation, section)
        expired = np.repeat(section.expired.numpy(), section.rows.numpy())
        waiting, structs = stream.take(rows, believed & ~expired, watermark_ms)
        if len(waiting) and self.join is not None:
            ids = row_ids(self.name, section.id)
            counts = section.rows.numpy()
            ids = np.repeat(ids, counts, axis=0) if len(ids) != len(rows) else ids
            scope = f"shadow/{section.version}" if section.role == "shadow" else ""
            space = self.join.space(scope, stream.layout, stream.cells, stream.watch.manifest)
            space.add(
                with_places(ids[waiting], rows.places[waiting]),
                rows.times_ms[waiting],
                structs,
                watermark_ms=watermark_ms,
                offset=offset,
            )
        return []

    def finish(self, observation: Observation, *, offset: int, label_ms: int | None) -> None:
        """After the rows of a message."""
        ended = self.clock.finish(observation, self._latest)
        time_ms = self.clock.time_ms
        if time_ms is not None:
            self._gaps.close(max([time_ms, *self._latest.values()]))
        for stream in self._streams.values():
            stream.close(time_ms, offset=offset)
        if ended:
            self._await(observation, "end")
            for stream in self._streams.values():
                stream.flush(offset=offset)
                stream.advance(time_ms, earlier(time_ms, label_ms))
            self.clock.resume()

    def reconfigure(self, overlay: Overlay, *, offset: int) -> None:
        """Other settings from the next message on; what no longer fits begins anew."""
        self.overlay = overlay
        for key, stream in list(self._streams.items()):
            watch = self._watch(stream.watch.version, stream.watch.role, stream.watch.digest)
            if watch is None:
                continue
            if shape_of(watch) == stream.shape:
                stream.change(watch)
            else:
                self._retire(key, offset=offset)

    def lose(self, label_ms: int | None) -> None:
        """Part of the log is lost: windows that it may belong to are incomplete."""
        times = [time_ms for time_ms in (self.clock.time_ms, label_ms) if time_ms is not None]
        longest = max((stream.longest_ms for stream in self._streams.values()), default=0)
        self._gaps.open(min(times) - longest if times else None)

    def tell(self, labels: TimedLabels | None, rows: RowReader, *, cut: Cut, label_ms: int | None) -> Told:
        """Join the batch, count it, and say what it has changed."""
        time_ms = self.clock.time_ms
        join_ms = earlier(time_ms, label_ms)
        for stream in self.streams:
            stream.count()
        writes, publications = self._join(labels, rows, join_ms)
        for stream in self.streams:
            stream.advance(time_ms, join_ms)
            publications += [publish_event(event) for event in stream.follow()]
            told = stream.tell(time_ms, join_ms, cut=cut, gaps=self._gaps)
            for result in told.results:
                if isinstance(result, PerformanceResult):
                    publications.append(publish_result(PERFORMANCE, result))
                elif isinstance(result, FairnessResult):
                    publications.append(publish_result(FAIRNESS, result))
            publications += [publish_event(event) for event in told.events]
        self._forget(time_ms)
        return Told(writes, _last_words(publications))

    def counts(self) -> JoinCounts:
        """What became of rows and labels."""
        return JoinCounts() if self.join is None else self.join.counts

    def too_late(self) -> dict[str, int]:
        """Rows that were in no window any more, by monitor."""
        answer = dict(self.late_rows)
        for stream in self.streams:
            for name, rows in stream.late_rows.items():
                answer[name] = answer.get(name, 0) + rows
        return answer

    def writes(self) -> dict[bytes, bytes]:
        """What is to be stored since the last time, by name."""
        writes: dict[bytes, bytes] = {}
        for stream in self._streams.values():
            writes |= stream.writes()
        for digest, cells in self._layouts.items():
            if self._kept_cells.get(digest) != len(cells.keys):
                self._kept_cells[digest] = len(cells.keys)
                writes[self._cells_name(digest)] = msgspec.msgpack.encode(cells.keys)
        return writes

    def deletes(self) -> list[bytes]:
        """The names that are no more; asked for after `writes`."""
        deletes = [name for stream in self._streams.values() for name in stream.deletes()]
        deletes += self._gone
        self._gone = []
        return deletes

    def snapshot(self) -> ModelState:
        """What `restore` takes."""
        return ModelState(
            clock=self.clock.snapshot(),
            slot=self.slot,
            next_index=self._next_index,
            retired_labels=self.retired_labels,
            late_rows=self.late_rows,
            gaps=self._gaps.snapshot(),
            space=None if self.join is None else self.join.sweep.space,
            join=None if self.join is None else self.join.snapshot(),
            streams=[stream.index for stream in self._streams.values()],
            layouts=list(self._layouts),
            awaited=self.awaited,
        )

    def restore(self, state: ModelState, panes: dict[bytes, bytes], overlay: Overlay) -> None:
        """Go on from where a snapshot was taken; of a version whose bundle is gone, without its streams."""
        self.overlay = overlay
        self.clock.restore(state.clock)
        self.awaited = state.awaited
        self._next_index, self.retired_labels = state.next_index, state.retired_labels
        self.late_rows = dict(state.late_rows)
        self._gaps.restore(state.gaps)
        if state.space is not None and state.join is not None:
            self.join = ModelJoin(self.name, state.space, horizon_ms=state.join.sweep.horizon_ms)
            self.join.restore(state.join)
        for digest in state.layouts:
            self._gone.append(self._cells_name(digest))
        for index in state.streams:
            prefix = self._prefix(index)
            own = {name: value for name, value in panes.items() if name.startswith(prefix)}
            self._restore(msgspec.msgpack.decode(own[prefix + b"state"], type=StreamState), own, panes)
        kept = {self._cells_name(digest) for digest in self._layouts}
        self._gone = [name for name in self._gone if name not in kept]

    def _await(self, observation: Observation, kind: str) -> None:
        recorded_ms = max((entry.time_ms for entry in observation.ranges), default=0)
        for entry in observation.marks:
            mark = entry.mark
            if mark.model == self.name and mark.kind == kind and mark.replay is not None:
                self.awaited = Awaited(mark.replay, recorded_ms + _BEHIND_MS)

    def _restore(self, state: StreamState, own: dict[bytes, bytes], panes: dict[bytes, bytes]) -> None:
        watch = self._watch(state.version, state.role, state.digest)
        if watch is None:
            self._gone += own
            return
        layout = Layout.of(watch.manifest, watch.settings, probabilities=state.probabilities)
        if layout.digest not in self._layouts:
            stored = panes.get(self._cells_name(layout.digest))
            cells = self._cells(layout)
            if stored is not None:
                cells.restore(msgspec.msgpack.decode(stored, type=list[Key]))
                self._kept_cells[layout.digest] = len(cells.keys)
        stream = self._add(state.index, watch, layout, probabilities=state.probabilities)
        stream.restore(state, own)

    def _join(
        self, labels: TimedLabels | None, rows: RowReader, join_ms: int | None
    ) -> tuple[RowWrites, list[Publication]]:
        if self.join is None:
            return RowWrites(), []
        most_rows = max((stream.watch.settings.labels.most_rows for stream in self.streams), default=0)
        joined = self.join.join(labels, rows, join_ms=join_ms, most_rows=most_rows)
        by_index = {stream.index: stream for stream in self.streams}
        for index, changed in joined.changes:
            stream = by_index.get(index)
            if stream is None:
                self.retired_labels += len(changed.times_ms)
            else:
                stream.relabel(changed)
        return joined.writes, shed_letters(self.name, joined.shed)

    def _stream(self, section: ModelObservation, *, offset: int) -> Stream | None:
        key = section.version, section.role
        stream = self._streams.get(key)
        if stream is not None and stream.watch.digest == section.digest:
            return stream
        watch = self._watch(section.version, section.role, section.digest)
        if watch is None:
            return None
        if stream is not None:
            self._retire(key, offset=offset)
        probabilities = 0 if section.probabilities is None else section.probabilities.width
        layout = Layout.of(watch.manifest, watch.settings, probabilities=probabilities)
        return self._add(self._free_index(), watch, layout, probabilities=probabilities)

    def _add(self, index: int, watch: Watch, layout: Layout, *, probabilities: int) -> Stream:
        cells = self._cells(layout)
        stream = Stream(index, watch, layout, cells, prefix=self._prefix(index), probabilities=probabilities)
        self._streams[watch.version, watch.role] = stream
        if self.join is None:
            space = JoinSpace(watch.settings.labels.most_rows, first=self.slot * BUCKETS_A_MODEL)
            self.join = ModelJoin(self.name, space, horizon_ms=layout.horizon_ms)
        scope = f"shadow/{watch.version}" if watch.role == "shadow" else ""
        self.join.space(scope, layout, cells, watch.manifest)
        return stream

    def _cells(self, layout: Layout) -> Cells:
        if layout.digest not in self._layouts:
            self._layouts[layout.digest] = Cells(layout.attributes, most=layout.most_groups)
        return self._layouts[layout.digest]

    def _watch(self, version: str, role: Role, digest: str) -> Watch | None:
        return self.overlay.watch(self._models, model=self.name, version=version, role=role, digest=digest)

    def _retire(self, key: StreamKey, *, offset: int) -> None:
        stream = self._streams.pop(key)
        stream.flush(offset=offset)
        self._retiring.append(stream)

    def _forget(self, time_ms: int | None) -> None:
        if time_ms is not None:
            for key, stream in list(self._streams.items()):
                if time_ms - stream.seen_ms > stream.longest_ms and stream.idle:
                    self._retiring.append(self._streams.pop(key))
        while len(self._streams) > MOST_STREAMS_KEPT:
            oldest = min(self._streams, key=lambda key: self._streams[key].seen_ms)
            self._retiring.append(self._streams.pop(oldest))
        for stream in self._retiring:
            self._drop(stream)
        self._retiring = []
        if time_ms is not None:
            longest = max((stream.longest_ms for stream in self._streams.values()), default=0)
            self._gaps.forget(time_ms - 2 * longest)

    def _drop(self, stream: Stream) -> None:
        for name, rows in stream.late_rows.items():
            self.late_rows[name] = self.late_rows.get(name, 0) + rows
        stream.drop()
        stream.writes()
        self._gone += [*stream.deletes(), stream.prefix + b"state"]
        alive = {entry.layout.digest for entry in self._streams.values()}
        for digest in self._layouts.keys() - alive:
            del self._layouts[digest]
            self._gone.append(self._cells_name(digest))
            self._kept_cells.pop(digest, None)
        if self.join is not None:
            self.join.keep(
                (f"shadow/{key[0]}" if key[1] == "shadow" else "", entry.layout.digest)
                for key, entry in self._streams.items()
            )

    def _free_index(self) -> int:
        taken = {stream.index for stream in self.streams}
        while self._next_index in taken:
            self._next_index = (self._next_index + 1) % MOST_STREAMS
        index, self._next_index = self._next_index, (self._next_index + 1) % MOST_STREAMS
        return index

    def _prefix(self, index: int) -> bytes:
        return f"{self.slot}/{index}/".encode()

    def _cells_name(self, digest: str) -> bytes:
        return f"{self.slot}/cells/{digest}".encode()


def _last_words(publications: list[Publication]) -> list[Publication]:
    """Of results of one window the last, by the stream that took another's place; all events."""
    last = {(entry.topic.name, entry.subject): place for place, entry in enumerate(publications)}
    return [
        entry
        for place, entry in enumerate(publications)
        if entry.once or last[entry.topic.name, entry.subject] == place
    ]
