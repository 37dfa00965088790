"""The join of one model: its rows and labels of a batch, in the spaces they belong to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Manifest
from atalaia.join.matching import Changes, JoinCounts, Labels, Predictions, plan, resolve
from atalaia.join.rows import IdArray, RowWrites, row_ids
from atalaia.join.sweep import JoinSpace, Sweep
from atalaia.labels import LabelRows, label_codes
from atalaia.monitors.truth.cells import NO_CELL, Cells
from atalaia.monitors.truth.layout import Layout, StructArray, as_bytes, as_structs, concatenated
from atalaia.monitors.truth.told import Relabelled
from atalaia.monitors.units import RowReader
from atalaia.windows.watermark import BoolArray, IntArray

NEVER_MS = -(1 << 46)
_NO_IDS: IdArray = np.zeros((0, 2), np.uint64)


class TimedLabels(NamedTuple):
    """Labels (n,) of one model in log order, with the labels' time where each lies, and its position."""

    rows: LabelRows
    mark_ms: IntArray
    position: IntArray


@dataclass
class Space:
    """Rows of one layout and scope: main ones, which one version answers each, or a shadow's.

    ``salt`` keeps its ids apart from those of others; the lists are of the batch.
    """

    layout: Layout
    cells: Cells
    manifest: Manifest
    salt: IdArray
    ids: list[IdArray] = field(default_factory=list)
    times_ms: list[IntArray] = field(default_factory=list)
    watermarks_ms: list[IntArray] = field(default_factory=list)
    rows: list[StructArray] = field(default_factory=list)
    offsets: list[IntArray] = field(default_factory=list)

    def add(
        self, ids: IdArray, times_ms: IntArray, rows: StructArray, *, watermark_ms: int | None, offset: int
    ) -> None:
        """Rows of a message that wait for labels."""
        self.ids.append(ids ^ self.salt)
        self.times_ms.append(times_ms)
        self.watermarks_ms.append(np.full(len(times_ms), NEVER_MS if watermark_ms is None else watermark_ms))
        self.rows.append(rows)
        self.offsets.append(np.full(len(times_ms), offset))

    def predictions(self) -> Predictions:
        """The rows of the batch."""
        return Predictions(
            np.concatenate(self.ids) if self.ids else _NO_IDS,
            _joined(self.times_ms),
            _joined(self.watermarks_ms),
            as_bytes(concatenated(self.rows, self.layout.row)),
        )

    def labels(self, given: TimedLabels, ids: IdArray) -> tuple[Labels, BoolArray]:
        """The labels that are a truth of this space, and which of those given they are."""
        codes = label_codes(self.manifest, given.rows.labels)
        valid = ~np.isnan(codes) if codes.dtype == np.float64 else codes >= 0
        structs = np.zeros(len(codes), self.layout.label)
        structs["truth"] = np.where(valid, codes, 0)
        structs["cell"] = NO_CELL
        if self.layout.attributes and given.rows.context:
            structs["cell"] = self.cells.of_labels(given.rows.context, len(codes))
        labels = Labels(
            (ids ^ self.salt)[valid],
            given.rows.time_ms[valid],
            given.mark_ms[valid],
            given.position[valid],
            as_bytes(structs[valid]),
        )
        return labels, valid

    def no_labels(self) -> Labels:
        """None at all."""
        nothing = np.zeros(0, np.int64)
        return Labels(_NO_IDS, nothing, nothing, nothing, np.zeros((0, self.layout.label.itemsize), np.uint8))

    def clear(self) -> None:
        """The batch is over."""
        for column in (self.ids, self.times_ms, self.watermarks_ms, self.rows, self.offsets):
            column.clear()


class Joined(NamedTuple):
    """What a batch comes to: what to write, rows whose label is another by stream, offsets of rows shed."""

    writes: RowWrites
    changes: list[tuple[int, Relabelled]]
    shed: IntArray


class JoinState(msgspec.Struct, frozen=True):
    """A `ModelJoin` between two batches."""

    sweep: Sweep
    counts: JoinCounts
    invalid: int


class ModelJoin:
    """The join of one model, in buckets of its own.

    Parameters
    ----------
    model : its name
    space : its buckets
    horizon_ms : the longest of its versions
    """

    def __init__(self, model: str, space: JoinSpace, *, horizon_ms: int) -> None:
        self.model = model
        self.sweep = Sweep(space, horizon_ms)
        self.counts = JoinCounts()
        self.invalid = 0
        self.spaces: dict[tuple[str, str], Space] = {}

    def space(self, scope: str, layout: Layout, cells: Cells, manifest: Manifest) -> Space:
        """That of rows of a layout and scope."""
        key = scope, layout.digest
        if key not in self.spaces:
            name = "\0".join((self.model, *key)).encode()
            salt = np.frombuffer(blake2b(name, digest_size=16).digest(), "<u8").astype(np.uint64)
            self.spaces[key] = Space(layout, cells, manifest, salt)
        return self.spaces[key]

    def keep(self, alive: Iterable[tuple[str, str]]) -> None:
        """Forget the spaces of versions that are no more; what they hold expires."""
        kept = set(alive)
        self.spaces = {key: space for key, space in self.spaces.items() if key in kept}

    def join(
        self, given: TimedLabels | None, rows: RowReader, *, join_ms: int | None, most_rows: int
    ) -> Joined:
        """Join the batch, and drop some of what has expired."""
        ids = _NO_IDS if given is None else row_ids(self.model, given.rows.ids, given.rows.rows)
        truths = np.zeros(len(ids), np.bool_)
        answer = Joined(RowWrites(), [], np.zeros(0, np.int64))
        touched = [_NO_IDS]
        for space in self.spaces.values():
            labels = space.no_labels()
            if given is not None:
                labels, valid = space.labels(given, ids)
                truths |= valid
            if space.ids or len(labels.ids):
                answer = self._join(space, labels, rows, answer, most_rows)
                touched += [*space.ids, labels.ids]
            space.clear()
        self.invalid += len(ids) - int(truths.sum())
        writes = self._drop(rows, join_ms, np.concatenate(touched))
        return answer._replace(writes=answer.writes.merge(writes))

    def snapshot(self) -> JoinState:
        """What `restore` takes."""
        return JoinState(self.sweep, self.counts, self.invalid)

    def restore(self, state: JoinState) -> None:
        """Go on from where a snapshot was taken."""
        self.sweep, self.counts, self.invalid = state.sweep, state.counts, state.invalid

    def _join(self, space: Space, labels: Labels, rows: RowReader, answer: Joined, most_rows: int) -> Joined:
        buckets = self.sweep.space
        predictions = space.predictions()
        planned = plan(predictions, labels, buckets=buckets.buckets, first_bucket=buckets.first)
        found = rows.read_rows(planned.keys)
        room = most_rows - self.counts.held_rows
        resolved = resolve(space.layout.rules, planned, found, predictions, labels, room=room)
        self.counts.add(resolved.counts)
        shed = answer.shed
        if resolved.shed.any():
            shed = np.concatenate([shed, np.concatenate(space.offsets)[resolved.shed]])
        changes = _relabelled(space, resolved.changes)
        return Joined(answer.writes.merge(resolved.writes), [*answer.changes, *changes], shed)

    def _drop(self, rows: RowReader, join_ms: int | None, touched: IdArray) -> RowWrites:
        looked = self.sweep.due(join_ms, rows=len(touched), held_rows=self.counts.held_rows)
        if not looked or join_ms is None:
            return RowWrites()
        expired = rows.read_expired(list(looked), join_ms)
        writes, counts = self.sweep.drop(looked, expired, join_ms, touched)
        self.counts.add(counts)
        return writes


def earlier(one_ms: int | None, other_ms: int | None) -> int | None:
    """The join's time: the earlier of the two topics'; None while either has none."""
    return None if one_ms is None or other_ms is None else min(one_ms, other_ms)


def _relabelled(space: Space, changes: Changes) -> list[tuple[int, Relabelled]]:
    """By stream, rows whose label is another."""
    if not len(changes.time_ms):
        return []
    rows = as_structs(changes.payload, space.layout.row)
    label = as_structs(changes.label, space.layout.label)
    before = as_structs(changes.previous, space.layout.label)
    cell, had = rows["cell"].astype(np.int64), changes.had
    cell_before = space.cells.merged(cell, np.where(had, before["cell"], NO_CELL))
    changed = Relabelled(
        times_ms=changes.time_ms,
        rows=rows,
        truth=_truth(label["truth"]),
        label_ms=changes.label_time_ms,
        cell=space.cells.merged(cell, label["cell"]),
        had=had,
        before=_truth(before["truth"]),
        label_ms_before=changes.previous_time_ms,
        cell_before=cell_before,
    )
    streams = rows["stream"] & 0x3FFF
    first = int(streams[0])
    if (streams == first).all():
        return [(first, changed)]
    return [(index, changed.take(streams == index)) for index in np.unique(streams).tolist()]


def _truth(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
