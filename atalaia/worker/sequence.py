"""Where a unit stands in its topics, and the proof that nothing was left out on the way."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec
import structlog

from atalaia.monitors.units import Record
from atalaia.records import SourceRange
from atalaia.topics import OBSERVATIONS, Topic
from atalaia.worker.errors import RecordsSkipped
from atalaia.worker.log import Log

_log = structlog.get_logger()


class _Ranges(msgspec.Struct):
    ranges: list[SourceRange]


_DECODER = msgspec.json.Decoder(_Ranges)


class Sequence:
    """Positions of one partition's topics, moved by records in log order.

    Offsets of `observations` may skip forward, past transaction markers and aborted records; there the
    source ranges of the messages follow each other. Elsewhere offsets follow each other. Where they do
    not, the log itself is asked: it may really have a gap, which is counted; else records were not
    delivered.

    Parameters
    ----------
    positions : next offset by topic
    ends : of each partition of `requests` the end of the last range seen
    """

    def __init__(
        self, partition: int, positions: Mapping[str, int], ends: Mapping[int, int], log: Log
    ) -> None:
        self.positions = dict(positions)
        self.ends = dict(ends)
        self.dropped = 0
        self.gaps = 0
        self._partition = partition
        self._log = log
        self._last: dict[str, int] = {}
        self._there: dict[str, list[int]] = {}

    def admit(self, records: Iterable[Record]) -> list[Record]:
        """The records that were not yet taken; the positions move past them.

        Raises
        ------
        RecordsSkipped
            where the log holds records that were not delivered.
        """
        given = list(records)
        self._last = {record.topic.name: record.offset for record in given}
        self._there = {}
        return [record for record in given if self._admit(record)]

    def lose(self, topic: Topic, position: int) -> None:
        """Go on from a position, what lay before having expired."""
        self.positions[topic.name] = position
        if topic is OBSERVATIONS:
            self.ends.clear()

    def _admit(self, record: Record) -> bool:
        expected = self.positions[record.topic.name]
        if record.offset < expected:
            self.dropped += 1
            return False
        if record.topic is OBSERVATIONS:
            self._follow(record, expected)
        elif record.offset > expected:
            self._prove(record, expected)
        self.positions[record.topic.name] = record.offset + 1
        return True

    def _follow(self, record: Record, expected: int) -> None:
        try:
            ranges = _DECODER.decode(record.value or b"").ranges
        except msgspec.DecodeError:  # the monitor says what becomes of it
            return
        broken = [entry for entry in ranges if self.ends.get(entry.partition, entry.start) != entry.start]
        if broken:
            self._prove(record, expected)
            for entry in broken:
                self.gaps += 1
                _log.error(
                    "observations do not follow each other in the log itself",
                    partition=self._partition,
                    offset=record.offset,
                    source_partition=entry.partition,
                    expected=self.ends[entry.partition],
                    found=entry.start,
                )
        self.ends.update((entry.partition, entry.end) for entry in ranges)

    def _prove(self, record: Record, expected: int) -> None:
        there = self._there.get(record.topic.name)
        if there is None:  # asked once for all of a batch: where labels come in transactions, gaps are many
            end = self._last[record.topic.name] + 1
            there = self._log.offsets(record.topic, self._partition, expected, end)
            self._there[record.topic.name] = there
        found = next(iter(there[bisect_left(there, expected) :]), None)
        if found != record.offset:
            raise RecordsSkipped(
                f"{record.topic.name} partition {self._partition}: after position {expected} comes offset "
                f"{record.offset}, but the log holds {found}: records were not delivered"
            )
