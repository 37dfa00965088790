"""Fenced state: what a worker reads, and the one step by which it writes.

The unit is a service and one partition of its input. Whoever has the partition loads the unit, and from
then on writes it by steps: each says from which fence it started, and is applied as a whole, or not at all
because somebody else has moved the fence. Values are absolute, never increments, so a step sent twice is
applied once. What is to be published lies in the same step's outbox until Kafka has it.

The protocol is `StateStore`; `atalaia.state.redis` implements it, `atalaia.state.memory` is its twin.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

import msgspec

from atalaia.join.rows import ExpiredRows, RowKeys, RowValues, RowWrites


class Outcome(Enum):
    """What became of a step."""

    APPLIED = "applied"
    ALREADY_MINE = "mine"
    """This very step, sent before, had been applied."""
    LOST = "lost"
    """Somebody else has moved the fence, or the state is gone: exit."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Whose state: a service, a partition of its input, and the digest of what shapes its state.

    All keys of a unit share one hash tag, so that they lie on one node of a cluster.
    """

    service: str
    partition: int
    configuration: str

    @property
    def prefix(self) -> str:
        """How all its keys begin.

        >>> Unit("drift", 3, "c0ffee").prefix
        'atalaia:{drift:3}:c0ffee:'
        """
        return f"atalaia:{{{self.service}:{self.partition}}}:{self.configuration}:"


class Fence(msgspec.Struct, frozen=True):
    """What a unit's state stands for: the next position of each topic read, and which topics those were.

    ``generation`` grows whenever state is made anew, so that results of two histories can be ordered.
    """

    positions: dict[str, int]
    topic_ids: dict[str, str]
    generation: int = 0

    def encode(self) -> bytes:
        """The same bytes for the same fence."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def decode(cls, data: bytes) -> "Fence":
        """The fence of `encode`."""
        return msgspec.json.decode(data, type=cls)


class Token(NamedTuple):
    """A fence as one worker's step wrote it; no two steps leave the same."""

    fence: bytes
    nonce: bytes


class OutboxEntry(NamedTuple):
    """Something to publish; its id is a function of what it says."""

    id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """A unit as it was at one moment.

    ``token`` and ``fence`` are None where nothing is stored. ``torn`` says that a step failed half-way and
    what is stored is no state at all: discard it and rebuild. ``incarnation`` names the rows of the join.
    """

    token: Token | None
    metadata: bytes
    panes: dict[bytes, bytes]
    outbox: list[OutboxEntry]
    incarnation: bytes
    torn: bool = False

    @property
    def fence(self) -> Fence | None:
        """What the state stands for."""
        return None if self.token is None else Fence.decode(self.token.fence)


@dataclass(frozen=True, slots=True)
class Step:
    """All of what one batch of messages changes, and the fence after it.

    Parameters
    ----------
    expected : the token the worker started from; None where nothing was stored
    fence, nonce : the fence after the step, and 16 random bytes; a resent step has the same nonce
    incarnation : as it was loaded
    metadata : what is kept beside the fence, whole
    writes, deletes : panes by name; a name deleted and written is written
    outbox : in the order of publishing
    rows : rows of the join
    """

    expected: Token | None
    fence: Fence
    nonce: bytes
    incarnation: bytes
    metadata: bytes = b""
    writes: Mapping[bytes, bytes] = field(default_factory=dict)
    deletes: Sequence[bytes] = ()
    outbox: Sequence[OutboxEntry] = ()
    rows: RowWrites = field(default_factory=RowWrites)

    @property
    def token(self) -> Token:
        """What the next step expects, once this one is applied."""
        return Token(self.fence.encode(), self.nonce)


class StateStore(Protocol):
    """Where the state of monitors is kept."""

    def load(self, unit: Unit) -> Loaded:
        """All of a unit but its rows, as it is at one moment.

        Raises
        ------
        ExitAndReload
            when the store was restarted since it was opened.
        RetryRead
            when it does not answer.
        """

    def step(self, unit: Unit, step: Step) -> Outcome:
        """Apply a step as a whole, if the stored fence is the expected one.

        Raises
        ------
        ResendStepOrExit
            when no answer came.
        ExitAndReload
            when the store was restarted since it was opened, or refused the step.
        """

    def pending(self, unit: Unit) -> list[OutboxEntry]:
        """What is not yet acknowledged, in the order it was put there."""

    def acknowledge(self, unit: Unit, ids: Iterable[bytes]) -> None:
        """Kafka has these; whoever says so, it is true."""

    def discard(self, unit: Unit, expected: Token | None) -> bool:
        """Forget a unit, to rebuild it, if the stored token is still the expected one; whether it was."""

    def read_rows(self, unit: Unit, incarnation: bytes, keys: RowKeys) -> RowValues:
        """What the join holds of the ids asked for, in their order."""

    def read_expired(self, unit: Unit, incarnation: bytes, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        """What some buckets of the join hold that expires by a time."""

    def drop_orphans(self, unit: Unit, incarnation: bytes) -> int:
        """Remove rows that discarded states, of any configuration, left behind; how many buckets.

        Nothing, unless the unit stored is of this incarnation: nobody else knows that the others are dead.
        """


def configuration_digest(configuration: Any) -> str:
    """A short name of whatever shapes state, so that state of another shape is never read.

    >>> configuration_digest({"pane_seconds": 60}) == configuration_digest({"pane_seconds": 30})
    False
    """
    return hashlib.sha256(msgspec.json.encode(configuration, order="deterministic")).hexdigest()[:16]
