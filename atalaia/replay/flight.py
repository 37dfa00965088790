"""What has become of each row that was sent: counted from observations alone, by position."""

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.bundles.manifest import ClassLabel, Name
from atalaia.records import Array, ObservedMark, Role, SourceRange


class SeenModel(msgspec.Struct, frozen=True):
    """Of a `ModelObservation`, what a replay reads."""

    model: Name
    version: Name
    role: Role
    partition: Array
    offset: Array
    rows: Array
    score: Array
    applicability: Array
    abstained: Array
    label: Array | None = None
    classes: list[ClassLabel] | None = None


class SeenObservation(msgspec.Struct, frozen=True):
    """Of an `Observation`, what a replay reads."""

    ranges: list[SourceRange]
    models: list[SeenModel]
    marks: list[ObservedMark] = []


class Sent(NamedTuple):
    """A request that Kafka has: its offset and the rows of the file it holds."""

    offset: int
    first_row: int
    rows: int


class Flight:
    """Rows on their way from `requests` to `observations`.

    A request is accounted for once an observation covers its position: answered or abstained where the
    observation, or one before it, holds its rows, else failed. Neither the order of Kafka's two words on a
    request (that it is written, that it is observed) nor other traffic of the model matters.

    Parameters
    ----------
    model : whose rows are sent
    replay : whose marks are looked for
    """

    def __init__(self, model: str, *, replay: str) -> None:
        self.model = model
        self.sent_rows = self.answered = self.abstained = 0
        self._next_row = 0
        self._awaited: dict[int, deque[int]] = defaultdict(deque)
        self.failures: list[tuple[int, Sent]] = []
        self.failed = 0
        self.versions: dict[str, int] = {}
        self.ended: set[int] = set()
        self._replay = replay
        self._written: dict[int, deque[Sent]] = defaultdict(deque)
        self._seen: dict[int, dict[int, tuple[str, int, int]]] = defaultdict(dict)
        self._covered: dict[int, int] = {}

    @property
    def accounted(self) -> int:
        """Rows whose fate is known."""
        return self.answered + self.abstained + self.failed

    @property
    def in_flight(self) -> int:
        """Rows sent whose fate is not known."""
        return self.sent_rows - self.accounted

    @property
    def earliest_row(self) -> int:
        """The first row whose fate is not known; all before it are accounted for."""
        return min((rows[0] for rows in self._awaited.values() if rows), default=self._next_row)

    def sent(self, partition: int, first_row: int, rows: int) -> None:
        """A request is sent to a partition, after all that were sent to it before."""
        self.sent_rows += rows
        self._next_row = first_row + rows
        self._awaited[partition].append(first_row)

    def written(self, partition: int, sent: Sent) -> None:
        """Kafka has a request, after all that were sent to its partition before."""
        self._written[partition].append(sent)
        self._settle(partition)

    def observe(self, observation: SeenObservation) -> None:
        """The next message of the model's partition of `observations`."""
        for model in observation.models:
            if model.model == self.model and model.role != "shadow":
                self._see(model)
        for entry in observation.marks:
            if entry.mark.replay == self._replay and entry.mark.kind == "end":
                self.ended.add(entry.partition)
        for covered in observation.ranges:
            self._covered[covered.partition] = max(covered.end, self._covered.get(covered.partition, 0))
            self._settle(covered.partition)

    def _see(self, model: SeenModel) -> None:
        for partition, offset, rows, abstained in _requests(model):
            self._seen[partition][offset] = model.version, rows, abstained

    def _settle(self, partition: int) -> None:
        covered = self._covered.get(partition, 0)
        written, seen = self._written[partition], self._seen[partition]
        while written and written[0].offset < covered:
            sent = written.popleft()
            self._awaited[partition].popleft()
            found = seen.pop(sent.offset, None)
            if found is None:
                self._fail(partition, sent)
                continue
            version, rows, abstained = found
            self.answered += rows - abstained
            self.abstained += abstained
            self.versions[version] = self.versions.get(version, 0) + rows
        if written and seen:
            # Of requests that others sent; ours lie at or beyond the first of those awaited.
            self._seen[partition] = {
                offset: found for offset, found in seen.items() if offset >= written[0].offset
            }

    def _fail(self, partition: int, sent: Sent) -> None:
        self.failed += sent.rows
        self.failures.append((partition, sent))


def _requests(model: SeenModel) -> Iterator[tuple[int, int, int, int]]:
    """Partition, offset, rows and abstained rows of each request."""
    rows = model.rows.numpy()
    if not len(rows):
        return
    starts = np.concatenate([[0], np.cumsum(rows)[:-1]])
    abstained = np.add.reduceat(model.abstained.numpy().astype(np.int64), starts)
    yield from zip(
        model.partition.numpy().tolist(),
        model.offset.numpy().tolist(),
        rows.tolist(),
        abstained.tolist(),
        strict=True,
    )
