"""The rows of the join as a unit's store has them."""

from collections.abc import Sequence

from atalaia.join.rows import ExpiredRows, RowKeys, RowValues
from atalaia.state.fence import StateStore, Unit
from atalaia.worker.patience import patiently


class StoredRows:
    """The `RowReader` of one unit, as its rows are before a batch."""

    def __init__(self, store: StateStore, unit: Unit, incarnation: bytes) -> None:
        self._store, self._unit, self._incarnation = store, unit, incarnation

    def read_rows(self, keys: RowKeys) -> RowValues:
        """What is held of the ids asked for."""
        return patiently(lambda: self._store.read_rows(self._unit, self._incarnation, keys))

    def read_expired(self, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        """What some buckets hold that expires by a time."""
        return patiently(lambda: self._store.read_expired(self._unit, self._incarnation, buckets, by_ms))
