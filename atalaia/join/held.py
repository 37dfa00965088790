"""What the join holds of an id: a prediction, a prediction with its label, or labels that came first.

::

    waiting    1  expires(6)  payload(k)
    matched    2  expires(6)  payload(k)  time(6)  position(6)  label(w)
    early      3  expires(6)  count(1)    { time(6)  known(6)  position(6)  label(w) } ...

``expires`` comes first in each, so that a sweep need not know the model a row belongs to.
"""

from dataclasses import dataclass

import numpy as np

from atalaia.join.rows import (
    BoolArray,
    ByteArray,
    IntArray,
    RowGroup,
    RowKeys,
    RowValues,
    pack_times,
    unpack,
    unpack_times,
)

WAITING, MATCHED, EARLY = 1, 2, 3
TIME_BYTES = 6
HEAD_BYTES = 1 + TIME_BYTES
_EARLY_HEAD_BYTES = HEAD_BYTES + 1
MOST_EARLY_LABELS = 8
"""Labels kept of an id that has no prediction yet."""


@dataclass(slots=True)
class LabelTable:
    """Labels ``(n,)`` and the row each belongs to, as its place among the rows at hand."""

    row: IntArray
    time_ms: IntArray
    known_ms: IntArray
    position: IntArray
    value: ByteArray

    def take(self, chosen: BoolArray | IntArray) -> "LabelTable":
        """Some of them, in the order given."""
        return LabelTable(
            self.row[chosen],
            self.time_ms[chosen],
            self.known_ms[chosen],
            self.position[chosen],
            self.value[chosen],
        )

    def concatenate(self, other: "LabelTable") -> "LabelTable":
        """These, then the others."""
        return LabelTable(
            np.concatenate([self.row, other.row]),
            np.concatenate([self.time_ms, other.time_ms]),
            np.concatenate([self.known_ms, other.known_ms]),
            np.concatenate([self.position, other.position]),
            np.concatenate([self.value, other.value]),
        )


class HeldRows:
    """The rows at hand ``(u,)``, decoded: their prediction and winning label, where they have one.

    ``expires_ms`` is when a prediction is dropped. Labels that wait for a prediction are in ``early``.
    """

    def __init__(self, count: int, *, payload_bytes: int, label_bytes: int) -> None:
        self.absent = np.ones(count, np.bool_)
        self.predicted = np.zeros(count, np.bool_)
        self.expires_ms = np.zeros(count, np.int64)
        self.payload = np.zeros((count, payload_bytes), np.uint8)
        self.labelled = np.zeros(count, np.bool_)
        self.label_time_ms = np.zeros(count, np.int64)
        self.label_position = np.zeros(count, np.int64)
        self.label = np.zeros((count, label_bytes), np.uint8)
        nothing = np.zeros(0, np.int64)
        self.early = LabelTable(nothing, nothing, nothing, nothing, np.zeros((0, label_bytes), np.uint8))

    @classmethod
    def decode(cls, found: RowValues, *, payload_bytes: int, label_bytes: int) -> "HeldRows":
        """What was read.

        Raises
        ------
        ValueError
            for values that are not of these widths.
        """
        held = cls(len(found), payload_bytes=payload_bytes, label_bytes=label_bytes)
        for rows, data in unpack(found):
            held.absent[rows] = False
            for kind in np.unique(data[:, 0]).tolist():
                same = data[:, 0] == kind
                if same.all():
                    held._decode(kind, rows, data)
                else:
                    held._decode(kind, rows[same], data[same])
        return held

    def encode(self, dirty: BoolArray, keys: RowKeys, *, early_grace_ms: int) -> tuple[RowGroup, ...]:
        """The rows that are to be written; early labels stay until so long after they were known."""
        waiting = np.flatnonzero(dirty & self.predicted & ~self.labelled)
        matched = np.flatnonzero(dirty & self.predicted & self.labelled)
        groups = []
        if len(waiting):
            parts = [self._head(WAITING, self.expires_ms[waiting]), self.payload[waiting]]
            groups.append(_group(keys, waiting, parts))
        if len(matched):
            parts = [
                self._head(MATCHED, self.expires_ms[matched]),
                self.payload[matched],
                pack_times(self.label_time_ms[matched]),
                pack_times(self.label_position[matched]),
                self.label[matched],
            ]
            groups.append(_group(keys, matched, parts))
        return (*groups, *self._encode_early(dirty, keys, early_grace_ms))

    def _decode(self, kind: int, rows: IntArray, data: ByteArray) -> None:
        if kind == EARLY:
            self._decode_early(rows, data)
            return
        payload_end = HEAD_BYTES + self.payload.shape[1]
        label_start = payload_end + 2 * TIME_BYTES
        width = payload_end if kind == WAITING else label_start + self.label.shape[1]
        if kind not in (WAITING, MATCHED) or data.shape[1] != width:
            raise ValueError(
                f"a row of the join is of kind {kind} and {data.shape[1]} bytes, expected {width}: its state "
                "was made under another configuration; give that a name of its own"
            )
        self.predicted[rows] = True
        self.expires_ms[rows] = unpack_times(data[:, 1:HEAD_BYTES])
        self.payload[rows] = data[:, HEAD_BYTES:payload_end]
        if kind == MATCHED:
            self.labelled[rows] = True
            self.label_time_ms[rows] = unpack_times(data[:, payload_end : payload_end + TIME_BYTES])
            self.label_position[rows] = unpack_times(data[:, payload_end + TIME_BYTES : label_start])
            self.label[rows] = data[:, label_start:]

    def _decode_early(self, rows: IntArray, data: ByteArray) -> None:
        entry = 3 * TIME_BYTES + self.label.shape[1]
        entries = data[:, _EARLY_HEAD_BYTES:].reshape(-1, entry)
        count = len(entries) // len(rows)
        time, known, position = (
            unpack_times(entries[:, start : start + TIME_BYTES]) for start in (0, TIME_BYTES, 2 * TIME_BYTES)
        )
        found = LabelTable(np.repeat(rows, count), time, known, position, entries[:, 3 * TIME_BYTES :])
        self.early = self.early.concatenate(found)

    def _encode_early(self, dirty: BoolArray, keys: RowKeys, grace_ms: int) -> list[RowGroup]:
        early = self.early
        if not len(early.row):
            return []
        early = early.take(dirty[early.row])
        early = early.take(np.lexsort((early.position, early.row)))
        rows, starts, counts = np.unique(early.row, return_index=True, return_counts=True)
        known = np.maximum.reduceat(early.known_ms, starts) if len(starts) else early.known_ms
        entries = np.concatenate(
            [pack_times(early.time_ms), pack_times(early.known_ms), pack_times(early.position), early.value],
            axis=1,
        )
        groups = []
        for count in np.unique(counts).tolist():
            chosen = counts == count
            members = (starts[chosen][:, None] + np.arange(count)).reshape(-1)
            parts = [
                self._head(EARLY, known[chosen] + grace_ms),
                np.full((int(chosen.sum()), 1), count, np.uint8),
                entries[members].reshape(int(chosen.sum()), -1),
            ]
            groups.append(_group(keys, rows[chosen], parts))
        return groups

    @staticmethod
    def _head(kind: int, expires_ms: IntArray) -> ByteArray:
        return np.concatenate([np.full((len(expires_ms), 1), kind, np.uint8), pack_times(expires_ms)], axis=1)


def select(keys: RowKeys, rows: IntArray | BoolArray) -> RowKeys:
    """Some of the keys."""
    ids = np.frombuffer(keys.ids, "V16")[rows]
    return RowKeys(ids.tobytes(), np.frombuffer(keys.buckets, "<u4")[rows].tobytes())


def _group(keys: RowKeys, rows: IntArray, parts: list[ByteArray]) -> RowGroup:
    packed = np.concatenate(parts, axis=1)
    return RowGroup(select(keys, rows), packed.tobytes(), packed.shape[1])
