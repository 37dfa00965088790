"""What a monitor is to the worker that runs it: one partition of its input, taken in batches."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Reference
from atalaia.join.rows import ExpiredRows, RowKeys, RowValues, RowWrites
from atalaia.records import MonitorChange
from atalaia.results import Cut
from atalaia.topics import Topic


class Record(NamedTuple):
    """One message as it lay in the log.

    ``marked`` where its header says that it is a mark of time. ``timestamp_ms`` is when it was written, or
    accepted before it was written again. ``key`` matters of labels, whose model it is.
    """

    topic: Topic
    offset: int
    timestamp_ms: int
    value: bytes | None
    marked: bool = False
    key: str | None = None


class Publication(NamedTuple):
    """Something to publish once the state that says it is stored.

    ``subject`` is what it speaks of (a window, an alert) and ``content`` a digest of what it says of it,
    revision and cut aside: a worker that makes its state anew publishes only what differs from the topic.
    With ``once`` the same content is never published twice of a subject, else never twice in a row.
    """

    topic: Topic
    key: str
    subject: str
    value: bytes
    content: str
    once: bool = False
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def id(self) -> str:
        """A name that the same publication always has."""
        parts = (self.topic.name, self.subject, self.value)
        joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
        return hashlib.sha256(joined).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch changed, in absolute values, and what follows to be published, in order."""

    metadata: bytes
    writes: Mapping[bytes, bytes] = field(default_factory=dict)
    deletes: Sequence[bytes] = ()
    publications: Sequence[Publication] = ()
    rows: RowWrites = field(default_factory=RowWrites)


class RowReader(Protocol):
    """The rows of the join as they are stored before a batch."""

    def read_rows(self, keys: RowKeys) -> RowValues:
        """What is held of the ids asked for, in their order."""

    def read_expired(self, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        """What some buckets hold that expires by a time."""


class Watched(NamedTuple):
    """A version as the monitors know it: of a bundle, what they read."""

    manifest: Manifest
    reference: Reference
    digest: str


class Models(Protocol):
    """Where monitors find the bundles of the versions they meet, and references made from the stream."""

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        """The version, None where its bundle is missing or is not the one of that digest."""

    def reference(self, change: MonitorChange) -> bytes | None:
        """The content of the reference file that a change names, None where it is missing or differs."""

    def changes(self, model: str) -> Sequence[MonitorChange]:
        """What the model's record says of its monitors, oldest first."""


class PartitionMonitor(Protocol):
    """The state of one partition.

    Between `restore` and the first `take` nothing is published. `take` is a function of the state and the
    records; it changes the state at once, so a worker whose step is lost must end.
    """

    topics: ClassVar[tuple[Topic, ...]]
    """What it reads, the same partition of each."""
    state_format: ClassVar[str]
    """Changes whenever stored state could not be read by the code any more."""

    def restore(self, metadata: bytes, panes: Mapping[bytes, bytes]) -> None:
        """Go on from stored state."""

    def begin(self, positions: Mapping[str, int]) -> None:
        """Start anew, from these positions by topic: 0, or the beginning of what is left."""

    def lose(self, topic: Topic, first: int, end: int) -> None:
        """Positions [first, end) expired before they were read: windows they may belong to are incomplete."""

    def take(self, records: Sequence[Record], cut: Cut, rows: RowReader) -> Change:
        """One batch, in log order within each topic; ``cut`` is where it ends."""

    def counts(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        """What was counted since the state began, by name; labels: model, version, role, as many as apply."""
