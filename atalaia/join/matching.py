"""Predictions wait for labels, and labels for predictions, by id; pure, in columns.

A label and a prediction belong together by their recorded times alone, never by which of the two topics was
read first: with p the prediction's event time, ``time`` the label's, and ``known`` the later of that and the
labels' mark of time where the label lies, they meet where ::

    known - horizon < p   (else the label is too late)
    p < known + horizon   (else the prediction is too late for it)

and of the labels that meet a prediction the one with the greatest (time, position) wins, the last of one
message where several have the same. Rows are dropped by
the join's time, min(watermark of the observations, mark of time of the labels): predictions at p + horizon,
labels without a prediction at known + horizon + grace, where the grace is how far a row that still counts may
lie behind the watermark (longest window + lateness). By then nothing that may still come can meet them.

What comes out (which rows are matched, with which label; the sums of `JoinCounts`) is a function of the two
logs, with two exceptions, both of ids used again: a prediction whose id is used again after its horizon gives
way, though labels for it may be under way; and whether a label beyond the horizon counts as too late or, its
prediction having been swept already, as of an unknown id. Their sum is exact.

How a step goes: `plan` the ids, read them, `resolve`, and write what it returns in the fenced step. Nobody
else can have written in between, or the step is not applied.
"""

from dataclasses import dataclass

import msgspec
import numpy as np

from atalaia.join.held import MOST_EARLY_LABELS, HeldRows, LabelTable
from atalaia.join.rows import (
    BoolArray,
    ByteArray,
    IdArray,
    IntArray,
    RowKeys,
    RowValues,
    RowWrites,
    unique_ids,
)


class JoinRules(msgspec.Struct, frozen=True):
    """How one model is joined; part of what names its state.

    ``payload_bytes`` is the width of what is kept of a prediction, ``label_bytes`` of a label.
    """

    horizon_ms: int
    grace_ms: int
    payload_bytes: int
    label_bytes: int = 8


class JoinCounts(msgspec.Struct):
    """What became of predictions and labels, in sums over the state's life.

    Every label is in one of ``matched``, ``corrected`` (another value took the place of an earlier one),
    ``repeated`` (the value was known), ``superseded`` (a later one was known), ``too_late``, ``unknown``
    (no prediction came within the horizon), ``shed_labels``, or is among ``waiting_labels`` still.
    Every prediction is in ``stored``, ``duplicate`` (its id was there) or ``shed_predictions``; of the stored
    ones ``unlabelled`` went without a label. ``held_rows`` are in memory now.
    """

    stored: int = 0
    duplicate: int = 0
    shed_predictions: int = 0
    unlabelled: int = 0
    matched: int = 0
    corrected: int = 0
    repeated: int = 0
    superseded: int = 0
    too_late: int = 0
    unknown: int = 0
    shed_labels: int = 0
    waiting_labels: int = 0
    held_rows: int = 0

    def add(self, other: "JoinCounts") -> None:
        """Add the counts of a step."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Predictions:
    """Rows of a model ``(n,)`` in log order, those that were not late for their windows.

    ``watermark_ms`` is the watermark before each one's message; ``payload`` ``(n, k)`` is handed back when
    the row is matched.
    """

    ids: IdArray
    time_ms: IntArray
    watermark_ms: IntArray
    payload: ByteArray


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of a model ``(n,)`` in log order.

    ``mark_ms`` is the labels' mark of time where each lies, which never falls.
    """

    ids: IdArray
    time_ms: IntArray
    mark_ms: IntArray
    position: IntArray
    value: ByteArray


@dataclass(frozen=True, slots=True)
class Plan:
    """The distinct ids of a batch, to be read, and which of them each row and label has."""

    keys: RowKeys
    first: IntArray
    of_prediction: IntArray
    of_label: IntArray


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows ``(m,)`` whose winning label, or its time, is another than before the batch.

    Counts take the new label in, and the ``previous`` one out where a row ``had`` one.
    """

    time_ms: IntArray
    payload: ByteArray
    label: ByteArray
    label_time_ms: IntArray
    had: BoolArray
    previous: ByteArray
    previous_time_ms: IntArray


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a batch comes to: what to write, what to count, which predictions ``(n,)`` were taken in.

    A prediction not taken in was a duplicate, or was shed at the memory bound: the latter are ``shed``
    ``(n,)``, whose range is to be published, as nothing else shows why they have no label.
    """

    writes: RowWrites
    changes: Changes
    counts: JoinCounts
    stored: BoolArray
    shed: BoolArray


def plan(predictions: Predictions, labels: Labels, *, buckets: int, first_bucket: int = 0) -> Plan:
    """What to read for a batch."""
    ids = np.concatenate([predictions.ids, labels.ids])
    first, places = unique_ids(ids)
    split = len(predictions.ids)
    return Plan(RowKeys.of(ids[first], buckets, first=first_bucket), first, places[:split], places[split:])


def resolve(
    rules: JoinRules,
    planned: Plan,
    found: RowValues,
    predictions: Predictions,
    labels: Labels,
    *,
    room: int,
) -> Resolved:
    """Join a batch with what was found.

    Parameters
    ----------
    room : how many more ids may be held; of new ones beyond it the last to come are shed
    """
    return _Batch(
        rules=rules, planned=planned, found=found, predictions=predictions, labels=labels, room=room
    ).resolve()


class _Batch:
    def __init__(
        self,
        *,
        rules: JoinRules,
        planned: Plan,
        found: RowValues,
        predictions: Predictions,
        labels: Labels,
        room: int,
    ) -> None:
        self.rules, self.planned, self.predictions = rules, planned, predictions
        self.held = HeldRows.decode(found, payload_bytes=rules.payload_bytes, label_bytes=rules.label_bytes)
        self.labels = LabelTable(
            planned.of_label,
            labels.time_ms,
            np.maximum(labels.time_ms, labels.mark_ms),
            labels.position,
            labels.value,
        )
        self.counts = JoinCounts()
        self.had = self.held.labelled.copy()
        self.previous = self.held.label.copy()
        self.previous_time_ms = self.held.label_time_ms.copy()
        self.dirty = np.zeros(len(found), np.bool_)
        self.shed = self._shed(room)

    def resolve(self) -> Resolved:
        stored = self._take_predictions()
        self._take_labels()
        held, counts = self.held, self.counts
        counts.held_rows = int((held.absent & ~self.shed).sum())
        grace_ms = self.rules.horizon_ms + self.rules.grace_ms
        groups = held.encode(self.dirty, self.planned.keys, early_grace_ms=grace_ms)
        moved = (held.label != self.previous).any(axis=1) | (held.label_time_ms != self.previous_time_ms)
        changed = held.labelled & (~self.had | moved)
        where = np.flatnonzero(changed)
        changes = Changes(
            held.expires_ms[where] - self.rules.horizon_ms,
            held.payload[where],
            held.label[where],
            held.label_time_ms[where],
            self.had[where],
            self.previous[where],
            self.previous_time_ms[where],
        )
        return Resolved(RowWrites(groups), changes, counts, stored, self.shed[self.planned.of_prediction])

    def _shed(self, room: int) -> BoolArray:
        """Of the ids that are not held yet, those for which there is no room, the last to come."""
        shed = np.zeros(len(self.dirty), np.bool_)
        new = np.flatnonzero(self.held.absent)
        if len(new) > room:
            in_order = new[np.argsort(self.planned.first[new], kind="stable")]
            shed[in_order[max(room, 0) :]] = True
        return shed

    def _take_predictions(self) -> BoolArray:
        """Which predictions are taken in: the first of an id, and the next one after its horizon."""
        held, given, rows = self.held, self.predictions, self.planned.of_prediction
        stored = np.zeros(len(rows), np.bool_)
        candidates = np.flatnonzero(~self.shed[rows])
        for part in _one_by_one(candidates, rows[candidates]):
            of = rows[part]
            dead = held.predicted[of] & (held.expires_ms[of] <= given.watermark_ms[part])
            taken = dead | ~held.predicted[of]
            self.counts.unlabelled += int((dead & ~held.labelled[of]).sum())
            # What is replaced keeps its label in its own window; this one begins without.
            held.labelled[of[dead]] = self.had[of[dead]] = False
            chosen, of = part[taken], of[taken]
            held.predicted[of] = self.dirty[of] = stored[chosen] = True
            held.expires_ms[of] = given.time_ms[chosen] + self.rules.horizon_ms
            held.payload[of] = given.payload[chosen]
        self.counts.stored = int(stored.sum())
        self.counts.shed_predictions = len(rows) - len(candidates)
        self.counts.duplicate = len(candidates) - self.counts.stored
        return stored

    def _take_labels(self) -> None:
        held, counts, rules = self.held, self.counts, self.rules
        wanted = ~self.shed[self.labels.row]
        counts.shed_labels = len(wanted) - int(wanted.sum())
        new = self.labels.take(wanted)
        before = len(held.early.row)
        labels = held.early.concatenate(new)
        predicted = held.predicted[labels.row]
        self.dirty[new.row[~held.predicted[new.row]]] = True
        self._keep_early(labels.take(~predicted))
        counts.waiting_labels = len(held.early.row) - before
        labels = labels.take(predicted)
        expires = held.expires_ms[labels.row]
        too_late = labels.known_ms >= expires
        too_early = expires - rules.horizon_ms >= labels.known_ms + rules.horizon_ms
        counts.too_late = int(too_late.sum())
        counts.unknown = int(too_early.sum())
        self._choose(labels.take(~too_late & ~too_early))

    def _keep_early(self, labels: LabelTable) -> None:
        """Labels without a prediction, of an id the latest few: which one wins depends on who it meets."""
        if len(labels.row) and np.bincount(labels.row).max() > MOST_EARLY_LABELS:
            last_first = -np.arange(len(labels.row))
            order = np.lexsort((last_first, -labels.position, -labels.time_ms, labels.row))
            ranks = np.empty(len(order), np.int64)
            ranks[order] = _ranks(labels.row[order])
            kept = ranks < MOST_EARLY_LABELS
            self.counts.superseded += len(kept) - int(kept.sum())
            labels = labels.take(kept)
        self.held.early = labels

    def _choose(self, labels: LabelTable) -> None:
        """The winning label of each row; labels of one row are taken in the order of the log."""
        held, counts = self.held, self.counts
        for chosen in _one_by_one(np.arange(len(labels.row)), labels.row):
            of = labels.row[chosen]
            known = held.labelled[of]
            time, position, value = labels.time_ms[chosen], labels.position[chosen], labels.value[chosen]
            later = (time > held.label_time_ms[of]) | (
                (time == held.label_time_ms[of]) & (position >= held.label_position[of])
            )
            same = (value == held.label[of]).all(axis=1)
            counts.matched += int((~known).sum())
            counts.corrected += int((known & later & ~same).sum())
            counts.repeated += int((known & later & same).sum())
            counts.superseded += int((known & ~later).sum())
            wins = ~known | later
            of = of[wins]
            held.labelled[of] = self.dirty[of] = True
            held.label_time_ms[of] = time[wins]
            held.label_position[of] = position[wins]
            held.label[of] = value[wins]


def _one_by_one(entries: IntArray, rows: IntArray) -> list[IntArray]:
    """The entries such that each part has a row once: all first ones, then all second ones, and so on."""
    if not len(entries):
        return []
    order = np.argsort(rows, kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = _ranks(rows[order])
    most = int(ranks.max())
    if most == 0:
        return [entries]
    return [entries[ranks == rank] for rank in range(most + 1)]


def _ranks(rows: IntArray) -> IntArray:
    """The how-manieth of its row each entry is, rows being sorted."""
    places = np.arange(len(rows))
    first = np.ones(len(rows), np.bool_)
    first[1:] = rows[1:] != rows[:-1]
    ranks: IntArray = places - np.maximum.accumulate(np.where(first, places, 0))
    return ranks
