"""The twin of `RedisState` in memory, for tests: the same answers to the same calls."""

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from atalaia.join.rows import BUCKET_BYTES, ID_BYTES, ExpiredRows, RowKeys, RowValues, pack_time, unpack_time
from atalaia.state.errors import ExitAndReload, ResendStepOrExit
from atalaia.state.fence import Loaded, OutboxEntry, Outcome, Step, Token, Unit


@dataclass
class _Stored:
    token: Token
    metadata: bytes
    incarnation: bytes
    panes: dict[bytes, bytes] = field(default_factory=dict)
    outbox: dict[bytes, bytes] = field(default_factory=dict)


_Buckets = dict[bytes, dict[bytes, bytes]]


class MemoryServer:
    """What several workers share, and what tests do to it.

    ``drop_next_reply`` leaves the worker of the next step without an answer, the step being applied.
    """

    def __init__(self) -> None:
        self.run_id = os.urandom(20).hex()
        self.units: dict[Unit, _Stored] = {}
        self.rows: dict[tuple[Unit, bytes], _Buckets] = {}
        self.drop_next_reply = False

    def wipe(self) -> None:
        """All is gone, as after FLUSHALL."""
        self.units.clear()
        self.rows.clear()

    def restart(self) -> None:
        """The server came back, with all it had."""
        self.run_id = os.urandom(20).hex()


class MemoryState:
    """A `StateStore` that a worker opens on a `MemoryServer`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self.run_id = server.run_id

    def load(self, unit: Unit) -> Loaded:
        """All of a unit but its rows, as it is at one moment."""
        self._check_run()
        stored = self._server.units.get(unit)
        if stored is None:
            return Loaded(None, b"", {}, [], os.urandom(8))
        return Loaded(
            stored.token, stored.metadata, dict(stored.panes), self.pending(unit), stored.incarnation
        )

    def step(self, unit: Unit, step: Step) -> Outcome:
        """Apply a step as a whole, if the stored fence is the expected one."""
        self._check_run()
        stored = self._server.units.get(unit)
        if stored is not None and stored.token == step.token:
            return Outcome.ALREADY_MINE
        if (None if stored is None else stored.token) != step.expected:
            return Outcome.LOST
        if stored is None:
            stored = self._server.units[unit] = _Stored(step.token, step.metadata, step.incarnation)
        self._apply(unit, stored, step)
        if self._server.drop_next_reply:
            self._server.drop_next_reply = False
            raise ResendStepOrExit("no answer came, as the test asked for")
        return Outcome.APPLIED

    def pending(self, unit: Unit) -> list[OutboxEntry]:
        """What is not yet acknowledged, in the order it was put there."""
        stored = self._server.units.get(unit)
        return [] if stored is None else [OutboxEntry(*entry) for entry in stored.outbox.items()]

    def acknowledge(self, unit: Unit, ids: Iterable[bytes]) -> None:
        """Kafka has these."""
        stored = self._server.units.get(unit)
        if stored is not None:
            for name in ids:
                stored.outbox.pop(name, None)

    def discard(self, unit: Unit, expected: Token | None) -> bool:
        """Forget a unit, to rebuild it, if the stored token is still the expected one; whether it was."""
        stored = self._server.units.get(unit)
        if (None if stored is None else stored.token) != expected:
            return False
        self._server.units.pop(unit, None)
        return True

    def read_rows(self, unit: Unit, incarnation: bytes, keys: RowKeys) -> RowValues:
        """What the join holds of the ids asked for, in their order."""
        held = self._server.rows.get((unit, incarnation), {})
        values = [held.get(bucket, {}).get(name, b"") for bucket, name in _split(keys)]
        return RowValues(keys.ids, _lengths(values), b"".join(values))

    def read_expired(self, unit: Unit, incarnation: bytes, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        """What some buckets of the join hold that expires by a time."""
        held = self._server.rows.get((unit, incarnation), {})
        rows = [entry for bucket in buckets for entry in held.get(struct.pack(">I", bucket), {}).items()]
        limit = pack_time(by_ms)
        found = [entry for entry in rows if entry[1][1:7] <= limit]
        values = [value for _, value in found]
        earliest = min((value[1:7] for _, value in rows if value[1:7] > limit), default=None)
        return ExpiredRows(
            RowValues(b"".join(name for name, _ in found), _lengths(values), b"".join(values)),
            None if earliest is None else unpack_time(earliest),
        )

    def drop_orphans(self, unit: Unit, incarnation: bytes) -> int:
        """Remove rows that discarded states, of any configuration, left behind; how many buckets."""
        stored = self._server.units.get(unit)
        if stored is None or stored.incarnation != incarnation:
            return 0
        orphans = [
            (owner, name)
            for owner, name in self._server.rows
            if (owner.service, owner.partition) == (unit.service, unit.partition)
            and (owner, name) != (unit, incarnation)
        ]
        return sum(len(self._server.rows.pop(orphan)) for orphan in orphans)

    def _apply(self, unit: Unit, stored: _Stored, step: Step) -> None:
        for name in step.deletes:
            stored.panes.pop(name, None)
        stored.panes.update(step.writes)
        for entry in step.outbox:
            stored.outbox.pop(entry.id, None)
            stored.outbox[entry.id] = entry.payload
        held = self._server.rows.setdefault((unit, step.incarnation), {})
        for bucket, name in _split(step.rows.deletes):
            rows = held.get(bucket, {})
            rows.pop(name, None)
            if not rows:
                held.pop(bucket, None)
        for group in step.rows.groups:
            for place, (bucket, name) in enumerate(_split(group.keys)):
                value = group.values[place * group.width : (place + 1) * group.width]
                held.setdefault(bucket, {})[name] = value
        stored.token, stored.metadata, stored.incarnation = step.token, step.metadata, step.incarnation

    def _check_run(self) -> None:
        if self._server.run_id != self.run_id:
            raise ExitAndReload("the store was restarted since this worker began")


def _split(keys: RowKeys) -> list[tuple[bytes, bytes]]:
    return [
        (
            keys.buckets[place * BUCKET_BYTES : (place + 1) * BUCKET_BYTES],
            keys.ids[place * ID_BYTES : (place + 1) * ID_BYTES],
        )
        for place in range(len(keys))
    ]


def _lengths(values: Sequence[bytes]) -> bytes:
    return np.array([len(value) for value in values], "<u2").tobytes()
