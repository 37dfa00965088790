"""The rows of an observation, as arrays with one entry a row."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from atalaia.records import ModelObservation
from atalaia.windows.watermark import BoolArray, IntArray

PlaceArray = npt.NDArray[np.intp]


class ObservedRows:
    """The rows of one version of a model in one message; ``(n,)`` of each property, in the same order."""

    def __init__(self, section: ModelObservation) -> None:
        self.section = section
        self.times_ms: IntArray = section.event_time_ms.numpy()

    def __len__(self) -> int:
        return len(self.times_ms)

    @cached_property
    def partitions(self) -> IntArray:
        """Source partition."""
        return self._by_row(self.section.partition.numpy())

    @cached_property
    def offsets(self) -> IntArray:
        """Offset of the row's request."""
        return self._by_row(self.section.offset.numpy())

    @cached_property
    def places(self) -> IntArray:
        """Place of the row in its request."""
        counts = self.section.rows.numpy().astype(np.int64)
        starts = np.cumsum(counts) - counts
        return np.arange(len(self), dtype=np.int64) - np.repeat(starts, counts)

    @cached_property
    def abstained(self) -> BoolArray:
        """Whether the answer was withheld."""
        return np.asarray(self.section.abstained.numpy(), np.bool_)

    def latest_ms(self, believed: BoolArray) -> dict[int, int]:
        """The latest event time of the believed rows, by source partition."""
        partitions, times = self.partitions, self.times_ms
        if not believed.all():
            partitions, times = partitions[believed], times[believed]
        if not len(times):
            return {}
        first = int(partitions[0])
        if (partitions == first).all():
            return {first: int(times.max())}
        return {int(p): int(times[partitions == p].max()) for p in np.unique(partitions)}

    def by_pane(self, kept: BoolArray, pane_ms: int) -> dict[int, PlaceArray | None]:
        """Which of the kept rows lie in each pane; None where these are all rows of the message."""
        whole = bool(kept.all())
        places: PlaceArray = np.arange(len(self)) if whole else np.flatnonzero(kept)
        if not len(places):
            return {}
        panes = (self.times_ms if whole else self.times_ms[places]) // pane_ms * pane_ms
        first = int(panes[0])
        if (panes == first).all():
            return {first: None if whole else places}
        return {int(pane): places[panes == pane] for pane in np.unique(panes)}

    def _by_row(self, by_request: npt.NDArray[np.generic]) -> IntArray:
        counts = self.section.rows.numpy()
        if (counts == 1).all():
            return by_request.astype(np.int64)
        return np.repeat(by_request, counts).astype(np.int64)
