"""A unit over crashes, zombies and logs that change under it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from atalaia.monitors.units import Change
from atalaia.state.errors import ExitAndReload, ResendStepOrExit, RetryRead
from atalaia.state.fence import Loaded, StateStore, Unit
from atalaia.state.memory import MemoryState
from atalaia.topics import DRIFT, LABELS, OBSERVATIONS
from atalaia.worker.errors import RecordsSkipped
from atalaia.worker.history import History
from atalaia.worker.outgoing import Outgoing
from atalaia.worker.unit import UnitRunner
from atalaia.worker.units import Units
from tests.unit.worker.world import PARTITION, UNIT, Crashed, MemoryPublisher, Summing, World, units_of


@pytest.fixture
def world() -> World:
    return World()


def run(runner: UnitRunner, world: World) -> None:
    """Take all there is."""
    runner.take(world.log.read(runner.open()))


def acknowledge(publisher: MemoryPublisher, world: World) -> None:
    publisher.deliver()
    runner, _ = world.worker()
    units = units_of(runner, publisher)
    units.acknowledge()


class Failing:
    """A store that fails once, before or after it did what it was asked."""

    def __init__(self, store: StateStore, method: str, error: BaseException, *, after: bool = False) -> None:
        self._store, self._method, self._error, self._after = store, method, error, after
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        call: Callable[..., Any] = getattr(self._store, name)
        if name != self._method or self.failed:
            return call

        def fail(*arguments: Any) -> Any:
            self.failed = True
            if self._after:
                call(*arguments)
            raise self._error

        return fail


@pytest.mark.parametrize("point", ["before the step", "after the step", "before Kafka", "after Kafka"])
def test_a_crash_anywhere_counts_once_and_publishes_all(world: World, point: str) -> None:
    for rows in (4, 9, 12):
        world.log.observe(rows)

    def wrap(store: StateStore) -> StateStore:
        if point.endswith("the step"):
            return Failing(store, "step", Crashed(), after=point.startswith("after"))
        return store

    runner, publisher = world.worker(wrap)
    publisher.broken = point == "before Kafka"
    if point == "after Kafka":
        run(runner, world)
        publisher.deliver()  # and the process dies before it says so
    else:
        with pytest.raises(Crashed):
            run(runner, world)

    runner, publisher = world.worker()
    world.log.observe(10)
    run(runner, world)
    acknowledge(publisher, world)
    assert world.stored().total == 35
    assert set(world.kafka.values()) == {"0=10 at 5", "1=10 at 5", "2=10 at 7"} or set(
        world.kafka.values()
    ) == {"0=10 at 7", "1=10 at 7", "2=10 at 7"}
    assert world.server.units[UNIT].outbox == {}


def test_records_that_come_again_are_left_out(world: World) -> None:
    records = [world.log.observe(3), world.log.label(), world.log.observe(4)]
    runner, _ = world.worker()
    runner.open()
    runner.take(records[:2])
    runner.take(records)
    runner.take(records)
    assert (runner.dropped, runner.steps, runner.messages) == (5, 2, 3)
    assert world.stored().total == 7
    assert runner.positions == {OBSERVATIONS.name: 3, LABELS.name: 1}


def test_an_answer_that_got_lost_is_asked_for_once_more(world: World) -> None:
    world.log.observe(3)
    runner, _ = world.worker()
    positions = runner.open()
    world.server.drop_next_reply = True
    runner.take(world.log.read(positions))
    runner.take([world.log.observe(5)])
    assert world.stored().total == 8


def test_a_store_that_answers_neither_time_ends_the_worker(world: World) -> None:
    world.log.observe(3)

    class Mute(Failing):
        def __getattr__(self, name: str) -> Any:
            self.failed = False
            return super().__getattr__(name)

    runner, _ = world.worker(lambda store: Mute(store, "step", ResendStepOrExit("no answer")))
    with pytest.raises(ResendStepOrExit):
        run(runner, world)


def test_a_zombie_writes_nothing(world: World) -> None:
    zombie, publisher = world.worker()
    run(zombie, world)
    first = world.log.observe(10)
    zombie.take([first])
    successor, _ = world.worker()
    successor.open()
    second = world.log.observe(10)
    successor.take([second])
    with pytest.raises(ExitAndReload, match="another worker moved the fence"):
        zombie.take([second])
    publisher.deliver()
    assert world.kafka.values() == ["0=10 at 1"]
    assert world.stored().total == 20


def test_two_that_begin_at_once_are_told_apart(world: World) -> None:
    first, _ = world.worker()
    second, _ = world.worker()
    first.open(), second.open()
    record = world.log.observe(3)
    first.take([record])
    with pytest.raises(ExitAndReload):
        second.take([record])
    assert world.stored().total == 3


def test_a_store_that_was_restarted_ends_the_worker(world: World) -> None:
    runner, _ = world.worker()
    run(runner, world)
    world.server.restart()
    with pytest.raises(ExitAndReload, match="restarted"):
        runner.take([world.log.observe(1)])


def test_what_waits_in_the_outbox_is_published_first(world: World) -> None:
    world.log.observe(10)
    runner, publisher = world.worker()
    run(runner, world)
    publisher.flying.clear()  # dies before Kafka has it
    runner, publisher = world.worker()
    world.log.observe(10)
    run(runner, world)
    publisher.deliver()
    assert world.kafka.values() == ["0=10 at 1", "1=10 at 3"]


def test_a_message_says_what_it_is(world: World) -> None:
    world.log.observe(10)
    runner, publisher = world.worker()
    run(runner, world)
    (message,) = publisher.flying.values()
    assert (message.topic, message.key) == ("drift", "m")
    headers = dict(message.headers)
    assert len(headers.pop("ce_id")) == 32
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"atalaia.drift",
        "ce_source": b"/atalaia/drift",
        "ce_subject": b"window 0",
        "ce_time": b"2026-01-01T00:00:00Z",
        "content-type": b"application/json",
        "content": b"10",
        "generation": b"0",
    }


@pytest.mark.parametrize("why", ["wiped", "another topic", "torn", "beyond the end"])
def test_state_made_anew_says_only_what_differs(
    world: World, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        world.log.observe(10)
    runner, publisher = world.worker()
    run(runner, world)
    acknowledge(publisher, world)
    assert len(world.kafka.messages) == 3
    if why == "wiped":
        world.server.wipe()
    elif why == "another topic":
        world.log.ids[OBSERVATIONS.name] = "second"
    elif why == "torn":
        load = type(runner._store).load

        def torn(store: Any, unit: Unit) -> Loaded:
            loaded = load(store, unit)
            return loaded if loaded.token is None else _replace(loaded, torn=True)

        monkeypatch.setattr(type(runner._store), "load", torn)
    else:
        del world.log.records[OBSERVATIONS.name][4]
        world.log.ends[OBSERVATIONS.name] = 4
    runner, publisher = world.worker()
    positions = runner.open()
    assert positions == {OBSERVATIONS.name: 0, LABELS.name: 0}
    assert runner.generation == 1
    runner.take(world.log.read(positions)[:1])
    monkeypatch.undo()
    if why != "torn":  # a crash in the middle of the rebuild, which goes on
        runner, publisher = world.worker()
        runner.open()
        assert runner.generation == 1
    runner.take(world.log.read(runner.positions))
    assert publisher.flying == {}
    if why == "beyond the end":  # it had been said of what is now cut off
        runner.take([world.log.observe(10)])
        assert publisher.flying == {}
    runner.take([world.log.observe(10)])
    (message,) = publisher.flying.values()
    assert message.value.startswith(b"3=10")
    assert dict(message.headers)["generation"] == b"1"


def _replace(loaded: Loaded, *, torn: bool) -> Loaded:
    return Loaded(loaded.token, loaded.metadata, loaded.panes, loaded.outbox, loaded.incarnation, torn)


def test_another_topic_with_other_records_corrects_what_was_said(world: World) -> None:
    world.log.observe(10), world.log.observe(10)
    runner, publisher = world.worker()
    run(runner, world)
    acknowledge(publisher, world)
    world.server.wipe()
    # A message is gone for good: window 0 never fills again, window 1 is said already.
    del world.log.records[OBSERVATIONS.name][0]
    world.log.starts[OBSERVATIONS.name] = 1
    runner, publisher = world.worker()
    run(runner, world)
    assert publisher.flying == {}
    assert isinstance(runner.monitor, Summing)
    assert runner.monitor.state.began == {OBSERVATIONS.name: 1, LABELS.name: 0}


def test_what_expired_is_lost_in_name(world: World) -> None:
    runner, _ = world.worker()
    run(runner, world)
    runner.take([world.log.observe(10)])
    for _ in range(3):
        world.log.observe(10)
    del world.log.records[OBSERVATIONS.name][2]
    world.log.starts[OBSERVATIONS.name] = 4
    runner, publisher = world.worker()
    assert runner.open()[OBSERVATIONS.name] == 4
    assert runner.lost == 3
    runner.take(world.log.read(runner.positions))
    waiting, letter, *_ = publisher.flying.values()
    assert (waiting.topic, letter.topic) == ("drift", "dead-letters")
    assert letter.value == b'{"from":1,"to":4}'
    headers = dict(letter.headers)
    assert (headers["reason"], headers["partition"]) == (b"lost_by_retention", str(PARTITION).encode())
    assert runner.gaps == 0
    stored = world.stored()
    assert (stored.lost, stored.total) == ([(OBSERVATIONS.name, 1, 4)], 30)


def test_an_observation_that_was_not_delivered_ends_the_worker(world: World) -> None:
    runner, _ = world.worker()
    run(runner, world)
    world.log.observe(3)
    skipped, after = world.log.observe(4), world.log.observe(5)
    runner.take(world.log.read({OBSERVATIONS.name: 0, LABELS.name: 0})[:1])
    with pytest.raises(RecordsSkipped, match=f"the log holds {skipped.offset}"):
        runner.take([after])


def test_a_label_that_was_not_delivered_ends_the_worker(world: World) -> None:
    runner, _ = world.worker()
    run(runner, world)
    world.log.label()
    with pytest.raises(RecordsSkipped, match="labels partition 1"):
        runner.take([world.log.label()])


def test_labels_written_in_transactions_are_proven_complete_batch_by_batch(world: World) -> None:
    runner, _ = world.worker()
    run(runner, world)
    for _ in range(2):
        runner.take([world.log.label(skip=1) for _ in range(20)])
    assert (world.stored().labels, world.log.asked) == (40, 2)
    world.log.label(skip=1)
    last = world.log.label(skip=1)
    with pytest.raises(
        RecordsSkipped, match=f"comes offset {last.offset}, but the log holds {last.offset - 2}"
    ):
        runner.take([last])


def test_a_gap_of_the_log_itself_is_counted_and_passed(world: World) -> None:
    runner, _ = world.worker()
    run(runner, world)
    world.log.observe(3)
    world.log.observe(4, start=100)
    label = world.log.label()
    del world.log.records[LABELS.name][label.offset]
    world.log.label()
    runner.take(world.log.read(runner.positions))
    assert runner.gaps == 1
    assert world.stored().total == 7


def test_redis_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atalaia.worker.patience.time.sleep", lambda _: None)
    monkeypatch.setattr("atalaia.worker.patience.patiently.__kwdefaults__", {"pause": lambda _: None})
    world.log.observe(3)
    runner, _ = world.worker(lambda store: Failing(store, "load", RetryRead("away")))
    run(runner, world)
    assert world.stored().total == 3


class Counting:
    """Counts how often rows of others are swept away."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


def test_rows_of_others_are_swept_once_the_fence_is_this_workers(world: World) -> None:
    counted: list[Counting] = []

    def wrap(store: StateStore) -> StateStore:
        counted.append(Counting(store))
        return counted[0]

    runner, _ = world.worker(wrap)
    run(runner, world)
    assert "drop_orphans" not in counted[0].calls
    runner.take([world.log.observe(1)])
    runner.take([world.log.observe(1)])
    assert counted[0].calls == ["load", "step", "drop_orphans", "step"]


def test_units_take_only_what_is_theirs(world: World) -> None:
    runner, publisher = world.worker()
    units = units_of(runner, publisher)
    record = world.log.observe(3)
    units.take(PARTITION, [record])
    assert runner.steps == 0
    assert units.assign([PARTITION]) == {(OBSERVATIONS, PARTITION): 0, (LABELS, PARTITION): 0}
    units.take(PARTITION, [record])
    units.release()
    units.take(PARTITION, [world.log.observe(3)])
    report = units.report()
    assert (report.totals["steps"], report.positions, report.monitors) == (1, {}, {})


def test_what_is_published_is_acknowledged_whoever_owns_the_unit(world: World) -> None:
    runner, publisher = world.worker()
    units = units_of(runner, publisher)
    units.assign([PARTITION])
    units.take(PARTITION, [world.log.observe(10)])
    assert [Outgoing.of(entry).value for entry in runner._store.pending(UNIT)] == [b"0=10 at 1"]
    units.release()
    publisher.deliver()
    units.acknowledge()
    assert runner._store.pending(UNIT) == []


def test_a_result_too_large_for_its_topic_becomes_a_dead_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, publisher = world.worker()
    run(runner, world)
    take = Summing.take

    def inflated(*arguments: Any) -> Change:
        change = take(*arguments)
        large = [entry._replace(value=bytes(DRIFT.max_value_bytes + 1)) for entry in change.publications]
        return dataclasses.replace(change, publications=large)

    monkeypatch.setattr(Summing, "take", inflated)
    runner.take([world.log.observe(10)])
    (letter,) = publisher.flying.values()
    headers = dict(letter.headers)
    assert (letter.topic, headers["reason"], headers["topic"]) == ("dead-letters", b"too_large", b"drift")
    assert headers["ce_subject"] == b"drift/drift/1/window 0"
    assert runner.oversized == 1


def test_what_was_said_is_read_once_for_all_units_that_are_opened_together(world: World) -> None:
    reads: list[History] = []

    def read() -> History:
        reads.append(History())
        return reads[-1]

    def make(partition: int, history: Callable[[], History]) -> UnitRunner:
        assert partition in {0, 1, 2}
        store = MemoryState(world.server)
        unit = Unit("drift", PARTITION, str(partition))
        return UnitRunner(unit, Summing, store=store, log=world.log, publisher=publisher, history=history)

    publisher = MemoryPublisher(world.kafka)
    units = Units(make, read_history=read, store=MemoryState(world.server), publisher=publisher)
    units.assign([0, 1, 2])
    assert len(reads) == 1
    units.assign([1])
    assert len(reads) == 2
