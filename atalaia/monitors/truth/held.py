"""Counts by pane, and which of them are to be stored."""

from collections.abc import Iterable, Mapping

import numpy as np

from atalaia.monitors.panes import decode_counts, encode_counts
from atalaia.windows import Window
from atalaia.windows.watermark import IntArray


class PaneCounts:
    """Arrays of counts by pane; those that changed since they were last written are written, whole.

    Arrays ``(n, width)`` of one kind may differ in length: what a shorter one lacks is zero.

    >>> counts = PaneCounts(b"x/")
    >>> counts.add(60, np.array([1, 2])); counts.add(120, np.array([0, 0, 5]))
    >>> counts.over(Window(0, 180)).tolist()
    [1, 2, 5]
    """

    def __init__(self, prefix: bytes, *, width: int = 1) -> None:
        self.prefix = prefix
        self.width = width
        self._panes: dict[int, IntArray] = {}
        self._changed: set[int] = set()
        self._dropped: set[int] = set()

    def __contains__(self, pane: object) -> bool:
        return pane in self._panes

    def add(self, pane: int, counts: IntArray) -> None:
        """Add to a pane; the array given is kept."""
        held = self._panes.get(pane)
        if held is not None and len(held) >= len(counts):
            held[: len(counts)] += counts
        else:
            if held is not None:
                counts[: len(held)] += held
            self._panes[pane] = counts
        self._changed.add(pane)

    def over(self, window: Window) -> IntArray | None:
        """The sum over a window; None where it has no pane."""
        within = [counts for pane, counts in self._panes.items() if window.contains(pane)]
        if len(within) < 2:
            return within[0] if within else None
        total = np.zeros_like(max(within, key=len))
        for counts in within:
            total[: len(counts)] += counts
        return total

    def drop(self, panes: Iterable[int] | None = None) -> None:
        """Forget some, or all."""
        for pane in list(self._panes if panes is None else panes):
            if self._panes.pop(pane, None) is not None:
                self._dropped.add(pane)
                self._changed.discard(pane)

    def writes(self) -> dict[bytes, bytes]:
        """What is to be stored since the last time, by name."""
        changed, self._changed = sorted(self._changed), set()
        return {self._name(pane): encode_counts(self._panes[pane].reshape(-1)) for pane in changed}

    def deletes(self) -> list[bytes]:
        """The names that are no more, since the last time."""
        dropped, self._dropped = sorted(self._dropped - self._panes.keys()), set()
        return [self._name(pane) for pane in dropped]

    def restore(self, stored: Mapping[bytes, bytes]) -> None:
        """Go on from what was stored."""
        for name, value in stored.items():
            if name.startswith(self.prefix):
                counts = decode_counts(value)
                pane = int(name[len(self.prefix) :])
                self._panes[pane] = counts if self.width == 1 else counts.reshape(-1, self.width)

    def _name(self, pane: int) -> bytes:
        return self.prefix + str(pane).encode()
