"""Messages gathered for a step, within a time and a size."""

from collections import defaultdict

from atalaia.monitors.units import Record

MOST_MESSAGES = 1_000
MOST_BYTES = 4_194_304
"""A step of more rows than these hold would keep Redis from others for long."""


class Gathered:
    """Records by partition, in the order they came."""

    def __init__(self) -> None:
        self._records: dict[int, list[Record]] = defaultdict(list)
        self._messages = 0
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether a step should not wait for more."""
        return self._messages >= MOST_MESSAGES or self._bytes >= MOST_BYTES

    def add(self, partition: int, record: Record) -> None:
        """One more."""
        self._records[partition].append(record)
        self._messages += 1
        self._bytes += len(record.value or b"")

    def clear(self) -> None:
        """Forget them: they are read again."""
        self._records = defaultdict(list)
        self._messages = self._bytes = 0

    def pop(self) -> dict[int, list[Record]]:
        """All of them, by partition."""
        records = dict(self._records)
        self.clear()
        return records
