"""Rows of the join as they are stored: 16-byte ids in buckets, values packed end to end.

Thousands of rows travel as a few byte strings, so that neither side handles a row as an object of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

ID_BYTES = 16
BUCKET_BYTES = 4

IdArray = npt.NDArray[np.uint64]
"""Ids ``(n, 2)``: the two halves of a digest."""
ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_ROW_STEP = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Which rows: their ids, and the bucket of each, big-endian."""

    ids: bytes
    buckets: bytes

    def __len__(self) -> int:
        return len(self.ids) // ID_BYTES

    @classmethod
    def of(cls, ids: IdArray, buckets: int, *, first: int = 0) -> "RowKeys":
        """The keys of ids, spread over so many buckets from ``first`` on."""
        places = ids[:, 0] % np.uint64(buckets) + np.uint64(first)
        return cls(ids.tobytes(), places.astype(">u4").tobytes())


@dataclass(frozen=True, slots=True)
class RowValues:
    """What was found: the length of each value, little-endian in two bytes, 0 where there is none."""

    ids: bytes
    lengths: bytes
    values: bytes

    def __len__(self) -> int:
        return len(self.lengths) // 2


@dataclass(frozen=True, slots=True)
class ExpiredRows:
    """Rows past a time, and the earliest expiry of those that are not, where there are any."""

    rows: RowValues
    earliest_ms: int | None


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Values of one width to be written."""

    keys: RowKeys
    values: bytes
    width: int


@dataclass(frozen=True, slots=True)
class RowWrites:
    """What a step does to the rows: deletes, then writes."""

    groups: tuple[RowGroup, ...] = ()
    deletes: RowKeys = RowKeys(b"", b"")

    def merge(self, other: "RowWrites") -> "RowWrites":
        """Both, of ids of which none is in both."""
        deletes = RowKeys(self.deletes.ids + other.deletes.ids, self.deletes.buckets + other.deletes.buckets)
        return RowWrites(self.groups + other.groups, deletes)


def row_ids(model: str, ids: Sequence[str], rows: IntArray | None = None) -> IdArray:
    """Digests ``(n, 2)`` of a model's request ids, and of the place of each row in its request.

    A collision of 128 bits is beyond even who chooses ids to make one (2^64 tries).

    >>> one, other = row_ids("m", ["a", "a"], np.array([0, 1]))
    >>> bool((one == row_ids("m", ["a"])[0]).all()), bool((one == other).any())
    (True, False)
    """
    prefix = model.encode() + b"\0"
    joined = b"".join([blake2b(prefix + text.encode(), digest_size=ID_BYTES).digest() for text in ids])
    digests = np.frombuffer(joined, "<u8").reshape(-1, 2).astype(np.uint64)
    return digests if rows is None else with_places(digests, rows)


def with_places(requests: IdArray, rows: IntArray) -> IdArray:
    """The ids of rows ``(n, 2)`` from those of their requests, and the place of each row in its own."""
    place = rows.astype(np.uint64)[:, None] * np.array([_ROW_STEP, _ROW_STEP >> 7 | 1], np.uint64)
    return requests ^ place


def unique_ids(ids: IdArray) -> tuple[IntArray, IntArray]:
    """Where each distinct id ``(u,)`` first occurs, and which of them each id ``(n,)`` is."""
    low, high = ids[:, 0], ids[:, 1]
    order = np.argsort(low, kind="stable")
    distinct = _changes(low[order])
    if (_changes(high[order]) & ~distinct).any():
        # Two ids with one half alike: rare enough to be sorted by both only then.
        order = np.lexsort((high, low))
        distinct = _changes(low[order]) | _changes(high[order])
    places = np.empty(len(ids), np.int64)
    places[order] = np.cumsum(distinct) - 1
    return order[distinct], places


def unpack(found: RowValues) -> list[tuple[IntArray, ByteArray]]:
    """The values by their width: which rows have it, and their bytes ``(m, width)``."""
    lengths = np.frombuffer(found.lengths, "<u2").astype(np.int64)
    data = np.frombuffer(found.values, np.uint8)
    groups = []
    starts = np.cumsum(lengths) - lengths
    for width in np.unique(lengths[lengths > 0]).tolist():
        rows = np.flatnonzero(lengths == width)
        if len(rows) * width == len(data):
            groups.append((rows, data.reshape(-1, width)))
        else:
            groups.append((rows, data[starts[rows][:, None] + np.arange(width)]))
    return groups


def pack_times(values: IntArray) -> ByteArray:
    """Integers of up to 47 bits and a sign as six bytes each ``(n, 6)``, in the order of the integers."""
    shifted = (values + (1 << 47)).astype(">u8")
    return shifted.view(np.uint8).reshape(-1, 8)[:, 2:]


def unpack_times(data: ByteArray) -> IntArray:
    """The integers of `pack_times`.

    >>> unpack_times(pack_times(np.array([-5, 1 << 41]))).tolist()
    [-5, 2199023255552]
    """
    wide = np.zeros((len(data), 8), np.uint8)
    wide[:, 2:] = data
    integers: IntArray = wide.view(">u8").reshape(-1).astype(np.int64) - (1 << 47)
    return integers


def pack_time(value: int) -> bytes:
    """One integer as `pack_times` packs it."""
    return (value + (1 << 47)).to_bytes(6, "big")


def unpack_time(data: bytes) -> int:
    """The integer of `pack_time`."""
    return int.from_bytes(data, "big") - (1 << 47)


def _changes(values: npt.NDArray[np.uint64]) -> BoolArray:
    """Where a sorted array differs from the entry before; the first always does."""
    changes = np.ones(len(values), np.bool_)
    changes[1:] = values[1:] != values[:-1]
    return changes
