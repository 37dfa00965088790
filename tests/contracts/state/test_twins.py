"""The same steps sent to Redis and to its twin, in any order a machine thinks of: the same answers."""

import os

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from atalaia.join.rows import RowGroup, RowKeys, RowValues, RowWrites, pack_time, row_ids
from atalaia.state.fence import Fence, Loaded, OutboxEntry, Step, Token, Unit
from atalaia.state.memory import MemoryServer, MemoryState
from atalaia.state.redis import connect
from tests.contracts.state.conftest import drop

BUCKETS = 3
EXPIRES_MS = 1000
NAMES = st.sampled_from([b"", b"a", b"b\0", bytes(range(256))])
VALUES = st.binary(max_size=20)
IDS = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)


def row_keys(ids: list[str]) -> RowKeys:
    return RowKeys.of(row_ids("m", ids), BUCKETS)


class Twins(RuleBasedStateMachine):
    """Workers that load, step from what they know, send again, and lose; with wipes in between."""

    url: str

    @initialize()
    def open(self) -> None:
        self.unit = Unit(f"test-{os.urandom(6).hex()}", 0, "c0ffee")
        self.server = MemoryServer()
        self.real, self.twin = connect(self.url), MemoryState(self.server)
        self.client = redis.Redis.from_url(self.url)
        self.tokens: list[Token | None] = [None]
        self.steps: list[Step] = []
        self.incarnations = [b"0"]

    def teardown(self) -> None:
        drop(self.client, self.unit)
        self.client.close()
        self.real.close()

    @rule(
        back=st.integers(0, 3),
        writes=st.dictionaries(NAMES, VALUES, max_size=3),
        deletes=st.lists(NAMES, max_size=2),
        outbox=st.lists(st.tuples(NAMES, VALUES), max_size=3),
        metadata=VALUES,
        kept=IDS,
        gone=IDS,
        width=st.integers(1, 5),
        fresh=st.booleans(),
    )
    def step(
        self,
        *,
        back: int,
        writes: dict[bytes, bytes],
        deletes: list[bytes],
        outbox: list[tuple[bytes, bytes]],
        metadata: bytes,
        kept: list[str],
        gone: list[str],
        width: int,
        fresh: bool,
    ) -> None:
        if fresh:
            self.incarnations.append(b"%d" % len(self.incarnations))
        step = Step(
            self.tokens[max(len(self.tokens) - 1 - back, 0)],
            Fence({"o": len(self.steps)}, {"o": "id"}),
            b"%016d" % len(self.steps),
            self.incarnations[-1],
            metadata,
            writes,
            deletes,
            [OutboxEntry(*entry) for entry in outbox],
            RowWrites(
                (
                    RowGroup(
                        row_keys(kept), (b"v" + pack_time(EXPIRES_MS) + b"w" * width) * len(kept), width + 7
                    ),
                ),
                row_keys(gone),
            ),
        )
        self.steps.append(step)
        self.tokens.append(step.token)
        self.send(step)

    @rule(back=st.integers(1, 4))
    def resend(self, back: int) -> None:
        if self.steps:
            self.send(self.steps[-min(back, len(self.steps))])

    @rule()
    def begin_anew(self) -> None:
        self.tokens.append(None)

    @rule()
    def go_on_from_what_is_stored(self) -> None:
        self.tokens.append(self.twin.load(self.unit).token)

    @rule(ids=st.lists(NAMES, max_size=3))
    def acknowledge(self, ids: list[bytes]) -> None:
        self.real.acknowledge(self.unit, ids)
        self.twin.acknowledge(self.unit, ids)

    @rule(back=st.integers(0, 2))
    def discard(self, back: int) -> None:
        expected = self.tokens[max(len(self.tokens) - 1 - back, 0)]
        assert self.real.discard(self.unit, expected) == self.twin.discard(self.unit, expected)

    @rule()
    def wipe(self) -> None:
        drop(self.client, self.unit)
        self.server.wipe()

    @rule()
    def drop_orphans(self) -> None:
        name = self.incarnations[-1]
        assert self.real.drop_orphans(self.unit, name) == self.twin.drop_orphans(self.unit, name)

    @invariant()
    def hold_the_same(self) -> None:
        if not hasattr(self, "unit"):
            return
        assert _shown(self.real.load(self.unit)) == _shown(self.twin.load(self.unit))
        assert self.real.pending(self.unit) == self.twin.pending(self.unit)
        name = self.incarnations[-1]
        asked = row_keys(list("abcdef"))
        found = self.real.read_rows(self.unit, name, asked)
        assert found == self.twin.read_rows(self.unit, name, asked)
        for by_ms in (0, EXPIRES_MS):
            held = self.real.read_expired(self.unit, name, range(BUCKETS), by_ms)
            twin = self.twin.read_expired(self.unit, name, range(BUCKETS), by_ms)
            assert (_rows(held.rows), held.earliest_ms) == (_rows(twin.rows), twin.earliest_ms)

    def send(self, step: Step) -> None:
        assert self.real.step(self.unit, step) is self.twin.step(self.unit, step)


def _shown(loaded: Loaded) -> object:
    """All but the name of rows that do not exist yet, which is random."""
    rest = (loaded.metadata, loaded.panes, loaded.outbox, loaded.torn)
    return (None, *rest) if loaded.token is None else (loaded.token, loaded.incarnation, *rest)


def _rows(values: RowValues) -> list[tuple[bytes, bytes]]:
    place, rows = 0, []
    for number in range(len(values)):
        length = int.from_bytes(values.lengths[2 * number : 2 * number + 2], "little")
        rows.append((values.ids[16 * number : 16 * number + 16], values.values[place : place + length]))
        place += length
    return sorted(rows)


@pytest.mark.broker
def test_redis_and_its_twin_answer_alike(redis_url: str) -> None:
    machine = type("TwinsHere", (Twins,), {"url": redis_url})
    rules = settings(max_examples=40, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(machine, settings=rules)
