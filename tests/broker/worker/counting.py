"""A worker whose monitor counts: ``python -m tests.broker.worker.counting``, set by the environment.

Its every step publishes what it has counted so far, so that results show each step once.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from atalaia.monitors.units import Change, Models, Publication, Record, RowReader
from atalaia.records import Observation
from atalaia.results import Cut
from atalaia.settings import load
from atalaia.topics import DRIFT, LABELS, OBSERVATIONS, Topic
from atalaia.worker.run import run_worker

SERVICE = "drift"
HANG_AT_ROWS = int(os.environ.get("HANG_AT_ROWS", "-1"))
"""A test lets it hang there, as a fault would."""


class Counted(msgspec.Struct):
    """State: rows by scorer, labels, and what was lost."""

    rows: dict[str, int] = {}
    labels: int = 0
    lost: int = 0


class Counting:
    """Counts the values of ``to - from`` by scorer, and labels."""

    topics: ClassVar[tuple[Topic, ...]] = (OBSERVATIONS, LABELS)
    state_format: ClassVar[str] = "counting 1"

    def __init__(self, models: Models, partition: int) -> None:
        del models, partition
        self._state = Counted()

    def restore(self, metadata: bytes, panes: Mapping[bytes, bytes]) -> None:
        self._state = msgspec.json.decode(metadata, type=Counted)
        assert panes == {b"labels": str(self._state.labels).encode()}

    def begin(self, positions: Mapping[str, int]) -> None:
        del positions

    def lose(self, topic: Topic, first: int, end: int) -> None:
        del topic
        self._state.lost += end - first

    def take(self, records: Sequence[Record], cut: Cut, rows: RowReader) -> Change:
        del rows
        state = self._state
        for record in records:
            if record.topic is LABELS:
                state.labels += 1
                continue
            observation = msgspec.json.decode(record.value or b"", type=Observation)
            count = sum(entry.end - entry.start for entry in observation.ranges)
            state.rows[observation.scorer] = state.rows.get(observation.scorer, 0) + count
            if sum(state.rows.values()) == HANG_AT_ROWS:
                time.sleep(3600)
        encoded = msgspec.json.encode(state)
        result = msgspec.json.encode({"cut": cut, "state": state})
        return Change(
            metadata=encoded,
            writes={b"labels": str(state.labels).encode()},
            publications=[
                Publication(DRIFT, "m", f"all/{cut.observations}/{cut.labels}", result, encoded.decode())
            ],
        )

    def counts(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        return {"rows": {("m",): sum(self._state.rows.values())}}


if __name__ == "__main__":
    settings = load()
    sys.exit(run_worker(SERVICE, settings, settings.drift, Counting))
