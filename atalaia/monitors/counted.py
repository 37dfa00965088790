"""Counts by pane: those being filled as arrays, the others as the bytes they are stored as."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from atalaia.monitors.panes import decode_counts, encode_counts
from atalaia.statistics.bins import IntArray

_MOST_OPEN = 8
"""Panes held as arrays between batches."""


class PaneChanges:
    """What a batch writes and deletes of a unit's panes, by name."""

    def __init__(self) -> None:
        self.writes: dict[bytes, bytes] = {}
        self.deletes: set[bytes] = set()

    def write(self, name: bytes, data: bytes) -> None:
        """Store a pane."""
        self.writes[name] = data

    def delete(self, name: bytes) -> None:
        """Delete a pane, were it only just written."""
        self.writes.pop(name, None)
        self.deletes.add(name)


class CountedPanes:
    """Vectors of counts (width,) by the start of their pane.

    Parameters
    ----------
    prefix : how the names of its panes begin
    width : of every vector
    """

    def __init__(self, prefix: bytes, width: int) -> None:
        self._prefix, self._width = prefix, width
        self._stored: dict[int, bytes] = {}
        self._open: dict[int, IntArray] = {}
        self._changed: set[int] = set()
        self._plain: set[int] = set()
        self._dropped: set[int] = set()

    def restore(self, panes: Mapping[bytes, bytes]) -> None:
        """Take the panes whose names begin with the prefix."""
        for name, data in panes.items():
            if name.startswith(self._prefix):
                pane = int(name[len(self._prefix) :])
                self._stored[pane] = data
                # Whether it was compressed is not asked: once more does no harm.
                self._plain.add(pane)

    def fill(self, pane: int) -> IntArray:
        """The vector of a pane, to add to."""
        self._changed.add(pane)
        if pane not in self._open:
            stored = self._stored.get(pane)
            self._open[pane] = np.zeros(self._width, np.int64) if stored is None else decode_counts(stored)
        return self._open[pane]

    def read(self, pane: int) -> IntArray | None:
        """The vector of a pane, not to be changed; None where nothing was counted."""
        if pane in self._open:
            return self._open[pane]
        stored = self._stored.get(pane)
        return None if stored is None else decode_counts(stored)

    def total(self, panes: Iterable[int]) -> IntArray:
        """The sum of some panes."""
        total = np.zeros(self._width, np.int64)
        for pane in panes:
            counts = self.read(pane)
            if counts is not None:
                total += counts
        return total

    def drop(self, panes: Iterable[int]) -> None:
        """Forget some panes."""
        for pane in panes:
            if pane in self._stored:
                self._dropped.add(pane)
            self._stored.pop(pane, None)
            self._open.pop(pane, None)
            self._changed.discard(pane)
            self._plain.discard(pane)

    def collect(self, changes: PaneChanges, full: Callable[[int], bool]) -> None:
        """Say what changed since the last time; panes that are ``full`` are compressed, once."""
        for pane in self._dropped:
            changes.delete(self._name(pane))
        self._dropped.clear()
        for pane in sorted(self._changed | {pane for pane in self._plain if full(pane)}):
            compress = full(pane)
            counts = self._open[pane] if pane in self._open else decode_counts(self._stored[pane])
            self._stored[pane] = encode_counts(counts, compress=compress)
            changes.write(self._name(pane), self._stored[pane])
            if compress:
                self._open.pop(pane, None)
                self._plain.discard(pane)
            else:
                self._plain.add(pane)
        self._changed.clear()
        for pane in sorted(self._open)[:-_MOST_OPEN]:
            del self._open[pane]

    def delete(self, changes: PaneChanges) -> None:
        """Delete all there is."""
        for pane in self._stored.keys() | self._dropped:
            changes.delete(self._name(pane))

    def _name(self, pane: int) -> bytes:
        return self._prefix + str(pane).encode()
