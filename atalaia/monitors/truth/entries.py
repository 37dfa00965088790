"""Errors that wait for certainty, in chunks by stretch of time."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.windows.watermark import IntArray

CHUNK = 4096
"""Entries after which a chunk is compressed and not written again."""
_OPEN, _SEALED = b"\1", b"\2"

FloatArray = npt.NDArray[np.float64]


@dataclass
class _Stretch:
    sealed: list[bytes] = field(default_factory=list)
    open: list[npt.NDArray[Any]] = field(default_factory=list)
    waiting: int = 0


class ErrorEntries:
    """Errors by stretch of time, each by the place of its row in the log: of one row the last counts.

    >>> entries = ErrorEntries(b"e/", binary=True)
    >>> entries.add(60, np.array([5, 3]), np.array([0, 1]), np.array([1.0, 1.0]))
    >>> entries.add(60, np.array([5]), np.array([0]), np.array([0.0]))
    >>> entries.pop(60)
    (array([63, 65]), array([1., 0.]))
    """

    def __init__(self, prefix: bytes, *, binary: bool) -> None:
        self._prefix = prefix
        self._dtype = np.dtype([("time", "<u4"), ("ordinal", "<u4"), ("error", "u1" if binary else "<f8")])
        self._stretches: dict[int, _Stretch] = {}
        self._changed: dict[bytes, bytes | None] = {}

    def add(self, start: int, times_ms: IntArray, ordinals: npt.NDArray[Any], errors: FloatArray) -> None:
        """Errors (n,) of rows at times after the start of their stretch."""
        entries = np.empty(len(times_ms), self._dtype)
        order = np.argsort(ordinals, kind="stable")  # the join knows no order; in the log's it is small
        entries["time"], entries["ordinal"] = times_ms[order], ordinals[order]
        entries["error"] = errors[order]
        stretch = self._stretches.setdefault(start, _Stretch())
        stretch.open.append(entries)
        stretch.waiting += len(entries)
        if stretch.waiting >= CHUNK:
            self._changed[self._name(start, len(stretch.sealed))] = None
            joined = np.concatenate(stretch.open)
            whole = len(joined) // CHUNK * CHUNK
            for first in range(0, whole, CHUNK):
                chunk = _SEALED + zlib.compress(_by_field(joined[first : first + CHUNK]), 1)
                self._changed[self._name(start, len(stretch.sealed))] = chunk
                stretch.sealed.append(chunk)
            stretch.open, stretch.waiting = [joined[whole:]], len(joined) - whole
        if stretch.waiting:
            self._changed[self._name(start, len(stretch.sealed))] = b""

    def starts(self) -> list[int]:
        """Of the stretches with errors, in order."""
        return sorted(self._stretches)

    def pop(self, start: int) -> tuple[IntArray, FloatArray]:
        """The times and errors (n,) of a stretch, in order; they are gone then."""
        stretch = self._stretches.pop(start)
        for number in range(len(stretch.sealed) + 1):
            self._changed[self._name(start, number)] = None
        parts = [self._entries(chunk) for chunk in stretch.sealed]
        entries = np.concatenate([*parts, *stretch.open])[::-1]
        _, last = np.unique(entries["ordinal"], return_index=True)
        entries = entries[last]
        entries = entries[np.argsort(entries["time"], kind="stable")]
        return start + entries["time"].astype(np.int64), entries["error"].astype(np.float64)

    def drop(self) -> None:
        """Forget everything."""
        for start in self.starts():
            self.pop(start)

    def writes(self) -> dict[bytes, bytes]:
        """What is to be stored since the last time, by name."""
        writes = {}
        for name, chunk in self._changed.items():
            if chunk == b"":
                start = int(name[len(self._prefix) :].split(b"/")[0])
                entries = np.concatenate(self._stretches[start].open)
                writes[name] = _OPEN + _by_field(entries)
            elif chunk is not None:
                writes[name] = chunk
        return writes

    def deletes(self) -> list[bytes]:
        """The names that are no more; asked for after `writes`."""
        deletes = [name for name, chunk in self._changed.items() if chunk is None]
        self._changed.clear()
        return deletes

    def restore(self, panes: Mapping[bytes, bytes]) -> None:
        """Go on from what was stored."""
        stored = []
        for name, value in panes.items():
            if name.startswith(self._prefix):
                start, number = (int(part) for part in name[len(self._prefix) :].split(b"/"))
                stored.append((start, number, value))
        for start, _, value in sorted(stored):
            stretch = self._stretches.setdefault(start, _Stretch())
            if value[:1] == _SEALED:
                stretch.sealed.append(value)
            else:
                entries = self._entries(value)
                stretch.open, stretch.waiting = [entries], len(entries)

    def _entries(self, chunk: bytes) -> npt.NDArray[Any]:
        data = zlib.decompress(chunk[1:]) if chunk[:1] == _SEALED else chunk[1:]
        entries = np.empty(len(data) // self._dtype.itemsize, self._dtype)
        place = 0
        for name in ("time", "ordinal"):
            planes = np.frombuffer(data, np.uint8, 4 * len(entries), place).reshape(4, -1)
            steps = np.ascontiguousarray(planes.T).view("<u4").reshape(-1)
            entries[name] = np.cumsum(steps, dtype=np.uint32)
            place += 4 * len(entries)
        entries["error"] = np.frombuffer(data, self._dtype["error"], len(entries), place)
        return entries

    def _name(self, start: int, number: int) -> bytes:
        return self._prefix + f"{start}/{number}".encode()


def _by_field(entries: npt.NDArray[Any]) -> bytes:
    """Field by field, times and places as steps from one to the next, byte by byte: small when compressed."""
    steps = [np.diff(entries[name], prepend=np.uint32(0)).astype("<u4") for name in ("time", "ordinal")]
    planes = [column.view(np.uint8).reshape(-1, 4).T.tobytes() for column in steps]
    return b"".join([*planes, entries["error"].tobytes()])
