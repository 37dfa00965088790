"""What a worker may rely on, of Redis and of its twin alike."""

import os
from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

import numpy as np
import pytest
import redis

from atalaia.join.rows import RowGroup, RowKeys, RowWrites, pack_times, row_ids, unpack_time
from atalaia.state.errors import ExitAndReload, ResendStepOrExit, RetryRead, UnsafeRedis
from atalaia.state.fence import Fence, Loaded, OutboxEntry, Outcome, Step, Token, Unit
from atalaia.state.memory import MemoryServer, MemoryState
from atalaia.state.redis import RedisState, connect
from tests.contracts.state.conftest import Backend, drop

ALL_BYTES = bytes(range(256))


def fence(position: int, generation: int = 0) -> Fence:
    return Fence({"observations": position, "labels": 0}, {"observations": "topic-id"}, generation)


class Given(TypedDict, total=False):
    metadata: bytes
    writes: Mapping[bytes, bytes]
    deletes: Sequence[bytes]
    outbox: Sequence[OutboxEntry]
    rows: RowWrites


def first(loaded: Loaded, position: int = 1, **given: Unpack[Given]) -> Step:
    return after(loaded.token, loaded, position, **given)


def after(token: Token | None, loaded: Loaded, position: int, **given: Unpack[Given]) -> Step:
    return Step(token, fence(position), os.urandom(16), loaded.incarnation, **given)


class TestLoading:
    def test_nothing_is_stored_at_first(self, backend: Backend) -> None:
        loaded = backend.open().load(backend.unit)
        assert (loaded.token, loaded.fence, loaded.panes, loaded.outbox) == (None, None, {}, [])

    def test_what_a_step_wrote_is_loaded_whole(self, backend: Backend) -> None:
        store = backend.open()
        step = first(
            store.load(backend.unit),
            metadata=ALL_BYTES,
            writes={b"pane\0" + ALL_BYTES: ALL_BYTES, b"empty": b""},
            outbox=[OutboxEntry(ALL_BYTES, b"\0payload")],
        )
        assert store.step(backend.unit, step) is Outcome.APPLIED
        loaded = backend.open().load(backend.unit)
        assert loaded == Loaded(
            token=step.token,
            metadata=ALL_BYTES,
            panes={b"pane\0" + ALL_BYTES: ALL_BYTES, b"empty": b""},
            outbox=[OutboxEntry(ALL_BYTES, b"\0payload")],
            incarnation=step.incarnation,
        )
        assert loaded.fence == fence(1)

    def test_units_and_configurations_do_not_see_each_other(self, backend: Backend) -> None:
        store, unit = backend.open(), backend.unit
        store.step(unit, first(store.load(unit), writes={b"a": b"1"}))
        assert store.load(Unit(unit.service, unit.partition, "other")).token is None
        assert store.load(Unit(unit.service, 1, unit.configuration)).token is None

    def test_thousands_of_panes_and_events_fit_one_step(self, backend: Backend) -> None:
        store = backend.open()
        panes = {b"%d" % place: b"v" * (place % 7) for place in range(9000)}
        outbox = [OutboxEntry(b"%d" % place, b"") for place in range(9000)]
        step = first(store.load(backend.unit), writes=panes, outbox=outbox)
        assert store.step(backend.unit, step) is Outcome.APPLIED
        loaded = store.load(backend.unit)
        assert (loaded.panes, loaded.outbox) == (panes, outbox)


class TestSteps:
    def test_steps_follow_one_another(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        one = first(loaded, writes={b"a": b"1", b"b": b"1"})
        two = after(one.token, loaded, 2, writes={b"a": b"2"}, deletes=[b"b", b"unknown"])
        assert [store.step(backend.unit, step) for step in (one, two)] == [Outcome.APPLIED] * 2
        assert store.load(backend.unit).panes == {b"a": b"2"}

    def test_a_pane_deleted_and_written_is_written(self, backend: Backend) -> None:
        store = backend.open()
        step = first(store.load(backend.unit), writes={b"a": b"1"}, deletes=[b"a"])
        store.step(backend.unit, step)
        assert store.load(backend.unit).panes == {b"a": b"1"}

    def test_the_same_step_again_changes_nothing(self, backend: Backend) -> None:
        store = backend.open()
        step = first(store.load(backend.unit), writes={b"a": b"1"}, outbox=[OutboxEntry(b"e", b"1")])
        store.step(backend.unit, step)
        store.acknowledge(backend.unit, [b"e"])
        assert store.step(backend.unit, step) is Outcome.ALREADY_MINE
        assert store.load(backend.unit).outbox == []

    @pytest.mark.parametrize("behind", [1, 2])
    def test_a_zombie_loses_and_leaves_no_trace(self, backend: Backend, behind: int) -> None:
        zombie, worker = backend.open(), backend.open()
        stale = zombie.load(backend.unit)
        token = None
        for position in range(1, behind + 1):
            step = after(token, stale, position, writes={b"a": b"%d" % position})
            assert worker.step(backend.unit, step) is Outcome.APPLIED
            token = step.token
        late = first(stale, 1, writes={b"a": b"zombie", b"z": b""}, outbox=[OutboxEntry(b"z", b"")])
        assert zombie.step(backend.unit, late) is Outcome.LOST
        loaded = worker.load(backend.unit)
        assert (loaded.token, loaded.panes, loaded.outbox) == (token, {b"a": b"%d" % behind}, [])

    def test_another_workers_step_to_the_same_position_is_not_ones_own(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        one, other = first(loaded), first(loaded)
        assert store.step(backend.unit, one) is Outcome.APPLIED
        assert store.step(backend.unit, other) is Outcome.LOST
        assert store.step(backend.unit, after(other.token, loaded, 2)) is Outcome.LOST

    def test_after_a_wipe_whoever_went_on_loses(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        step = first(loaded)
        store.step(backend.unit, step)
        backend.wipe()
        assert store.step(backend.unit, after(step.token, loaded, 2)) is Outcome.LOST
        assert store.load(backend.unit).token is None

    def test_a_restarted_store_is_refused(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        backend.restart(store)
        with pytest.raises(ExitAndReload, match="restarted"):
            store.step(backend.unit, first(loaded))
        with pytest.raises(ExitAndReload, match="restarted"):
            store.load(backend.unit)
        assert backend.open().load(backend.unit).token is None


class TestOutbox:
    def test_it_keeps_the_order_of_steps_and_within_them(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        one = first(loaded, outbox=[OutboxEntry(name, name) for name in (b"z", b"a", b"m")])
        two = after(one.token, loaded, 2, outbox=[OutboxEntry(name, name) for name in (b"c", b"b")])
        for step in (one, two):
            store.step(backend.unit, step)
        assert [entry.id for entry in store.pending(backend.unit)] == [b"z", b"a", b"m", b"c", b"b"]

    def test_the_same_event_again_goes_to_the_end(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        one = first(loaded, outbox=[OutboxEntry(b"a", b"1"), OutboxEntry(b"b", b"1")])
        two = after(one.token, loaded, 2, outbox=[OutboxEntry(b"a", b"2")])
        for step in (one, two):
            store.step(backend.unit, step)
        assert store.pending(backend.unit) == [OutboxEntry(b"b", b"1"), OutboxEntry(b"a", b"2")]

    def test_what_is_acknowledged_is_gone_and_the_rest_stays(self, backend: Backend) -> None:
        store = backend.open()
        step = first(store.load(backend.unit), outbox=[OutboxEntry(b"%d" % n, b"") for n in range(3)])
        store.step(backend.unit, step)
        store.acknowledge(backend.unit, [b"1", b"unknown"])
        store.acknowledge(backend.unit, [])
        assert [entry.id for entry in store.load(backend.unit).outbox] == [b"0", b"2"]


class TestRows:
    KEYS = RowKeys.of(row_ids("m", [f"id-{n}" for n in range(50)]), 7)

    def written(self, backend: Backend, width: int = 3) -> tuple[Step, Loaded]:
        store = backend.open()
        loaded = store.load(backend.unit)
        values = np.arange(50 * width, dtype=np.uint8).tobytes()
        step = first(loaded, rows=RowWrites((RowGroup(self.KEYS, values, width),)))
        assert store.step(backend.unit, step) is Outcome.APPLIED
        return step, loaded

    def test_rows_are_found_in_the_order_asked_for(self, backend: Backend) -> None:
        step, _ = self.written(backend)
        unknown = RowKeys.of(row_ids("m", ["no"]), 7)
        asked = RowKeys(unknown.ids + self.KEYS.ids, unknown.buckets + self.KEYS.buckets)
        found = backend.open().read_rows(backend.unit, step.incarnation, asked)
        assert np.frombuffer(found.lengths, "<u2").tolist() == [0] + [3] * 50
        assert found.values == step.rows.groups[0].values
        assert found.ids == asked.ids

    def test_what_expires_by_a_time_is_found_and_the_next_to_expire(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        expiries = np.arange(-20, 30) * 1000
        values = np.concatenate([np.full((50, 1), 1, np.uint8), pack_times(expiries)], axis=1)
        step = first(loaded, rows=RowWrites((RowGroup(self.KEYS, values.tobytes(), 7),)))
        store.step(backend.unit, step)
        found = store.read_expired(backend.unit, step.incarnation, range(7), 9000)
        times = [unpack_time(found.rows.values[7 * n + 1 : 7 * n + 7]) for n in range(len(found.rows))]
        ids = {found.rows.ids[16 * n : 16 * n + 16] for n in range(len(found.rows))}
        assert sorted(times) == list(range(-20_000, 10_000, 1000))
        assert ids == {self.KEYS.ids[16 * n : 16 * n + 16] for n in range(30)}
        assert found.earliest_ms == 10_000
        assert store.read_expired(backend.unit, step.incarnation, range(7), 30_000).earliest_ms is None
        assert len(store.read_expired(backend.unit, step.incarnation, [], 9000).rows) == 0

    def test_deletes_come_before_writes(self, backend: Backend) -> None:
        step, loaded = self.written(backend)
        head = RowKeys(self.KEYS.ids[:32], self.KEYS.buckets[:8])
        again = RowGroup(RowKeys(self.KEYS.ids[:16], self.KEYS.buckets[:4]), b"wider", 5)
        store = backend.open()
        store.step(backend.unit, after(step.token, loaded, 2, rows=RowWrites((again,), head)))
        found = store.read_rows(backend.unit, step.incarnation, head)
        assert (np.frombuffer(found.lengths, "<u2").tolist(), found.values) == ([5, 0], b"wider")

    def test_a_zombies_rows_are_not_written(self, backend: Backend) -> None:
        step, loaded = self.written(backend)
        late = first(loaded, rows=RowWrites((), self.KEYS))
        store = backend.open()
        assert store.step(backend.unit, late) is Outcome.LOST
        assert store.read_rows(backend.unit, step.incarnation, self.KEYS).values != b""

    def test_a_new_incarnation_does_not_see_the_rows_of_the_old_one(self, backend: Backend) -> None:
        step, _ = self.written(backend)
        store = backend.open()
        assert not store.discard(backend.unit, None)
        assert store.discard(backend.unit, step.token)
        fresh = store.load(backend.unit)
        assert fresh.incarnation != step.incarnation
        assert store.read_rows(backend.unit, fresh.incarnation, self.KEYS).values == b""
        assert store.drop_orphans(backend.unit, fresh.incarnation) == 0
        assert store.step(backend.unit, first(fresh)) is Outcome.APPLIED
        assert store.drop_orphans(backend.unit, fresh.incarnation) == 7
        assert store.read_rows(backend.unit, step.incarnation, self.KEYS).values == b""

    def test_a_zombie_takes_nobodys_rows_for_orphans(self, backend: Backend) -> None:
        step, _ = self.written(backend)
        store = backend.open()
        assert store.drop_orphans(backend.unit, b"a former") == 0
        assert store.read_rows(backend.unit, step.incarnation, self.KEYS).values != b""

    def test_rows_in_use_are_no_orphans(self, backend: Backend) -> None:
        step, _ = self.written(backend)
        store = backend.open()
        assert store.drop_orphans(backend.unit, step.incarnation) == 0
        assert store.read_rows(backend.unit, step.incarnation, self.KEYS).values != b""


class TestDiscarding:
    def test_a_state_that_somebody_moved_on_is_kept(self, backend: Backend) -> None:
        store = backend.open()
        loaded = store.load(backend.unit)
        one = first(loaded, writes={b"a": b"1"})
        two = after(one.token, loaded, 2)
        for step in (one, two):
            store.step(backend.unit, step)
        assert not store.discard(backend.unit, one.token)
        assert store.load(backend.unit).panes == {b"a": b"1"}
        assert store.discard(backend.unit, two.token)
        assert store.load(backend.unit).panes == {}
        assert store.step(backend.unit, after(two.token, loaded, 3)) is Outcome.LOST


def test_a_reply_that_got_lost_is_asked_for_again() -> None:
    server = MemoryServer()
    store, unit = MemoryState(server), Unit("test", 0, "c0ffee")
    step = first(store.load(unit))
    server.drop_next_reply = True
    with pytest.raises(ResendStepOrExit):
        store.step(unit, step)
    assert store.step(unit, step) is Outcome.ALREADY_MINE


@pytest.mark.broker
class TestRedisAlone:
    def test_a_step_that_fails_half_way_leaves_a_state_that_says_so(self, redis_url: str) -> None:
        unit = Unit(f"test-{os.urandom(6).hex()}", 0, "c0ffee")
        client, store = redis.Redis.from_url(redis_url), connect(redis_url)
        try:
            loaded = store.load(unit)
            one = first(loaded, writes={b"a": b"1"})
            store.step(unit, one)
            client.set(f"{unit.prefix}outbox", "of another type")
            two = after(one.token, loaded, 2, writes={b"a": b"2"}, outbox=[OutboxEntry(b"e", b"")])
            with pytest.raises(ExitAndReload, match="refused"):
                store.step(unit, two)
            client.delete(f"{unit.prefix}outbox")
            torn = store.load(unit)
            assert (torn.torn, torn.token, torn.panes) == (True, one.token, {b"a": b"2"})
            # Nobody builds on it but who tore it, with the very same step.
            assert store.step(unit, after(one.token, loaded, 2)) is Outcome.LOST
            assert store.step(unit, two) is Outcome.APPLIED
            assert not store.load(unit).torn
        finally:
            drop(client, unit)
            client.close()
            store.close()

    def test_a_server_that_may_evict_is_refused(self, redis_url: str) -> None:
        client = redis.Redis.from_url(redis_url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(UnsafeRedis, match="noeviction"):
                RedisState(client)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.close()

    def test_a_step_without_an_answer_is_sent_once(self, redis_url: str) -> None:
        store = connect(redis_url, timeout_seconds=0.05)
        unit = Unit(f"test-{os.urandom(6).hex()}", 0, "c0ffee")
        loaded = store.load(unit)
        client = redis.Redis.from_url(redis_url)
        try:
            step = first(loaded, writes={b"a": b"1"})
            client.client_pause(300)
            with pytest.raises(ResendStepOrExit):
                store.step(unit, step)
            with pytest.raises(RetryRead):
                store.pending(unit)
            client.client_unpause()
            again = connect(redis_url)
            assert again.load(unit).token in {None, step.token}
            assert again.step(unit, step) in {Outcome.APPLIED, Outcome.ALREADY_MINE}
            assert again.load(unit).panes == {b"a": b"1"}
            again.close()
        finally:
            client.client_unpause()
            drop(client, unit)
            client.close()
            store.close()

    def test_all_keys_of_a_unit_lie_on_one_node(self, redis_url: str) -> None:
        store = connect(redis_url)
        client = redis.Redis.from_url(redis_url)
        unit = Unit(f"test-{os.urandom(6).hex()}", 0, "c0ffee")
        try:
            group = RowGroup(RowKeys.of(row_ids("m", ["a"]), 7), b"x", 1)
            step = first(
                store.load(unit),
                writes={b"a": b""},
                outbox=[OutboxEntry(b"e", b"")],
                rows=RowWrites((group,)),
            )
            store.step(unit, step)
            keys = list(client.scan_iter(match=f"atalaia:{{{unit.service}:*"))
            assert len(keys) == 4
            assert all(b"{%s:0}" % unit.service.encode() in key for key in keys)
        finally:
            drop(client, unit)
            client.close()
            store.close()
