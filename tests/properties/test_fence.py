"""Counted exactly once, whoever works: crashes, zombies, lost answers, wipes, in any order."""

import os
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from atalaia.state.errors import ExitAndReload, ResendStepOrExit
from atalaia.state.fence import Fence, Loaded, OutboxEntry, Outcome, Step, Token, Unit
from atalaia.state.memory import MemoryServer, MemoryState

UNIT = Unit("drift", 0, "c0ffee")
LOG = [n * 7 % 11 for n in range(60)]
"""The topic: a number a message, counted in the pane of its remainder by 3; every tenth closes a window."""


@dataclass
class Worker:
    """Counts in memory, writes by steps; whatever goes wrong, it exits and another one loads."""

    server: MemoryServer
    topic: list[str]
    store: MemoryState = field(init=False)
    loaded: Loaded = field(init=False)
    token: Token | None = field(init=False)
    position: int = field(init=False)
    panes: dict[bytes, int] = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryState(self.server)
        self.loaded = self.store.load(UNIT)
        self.token = self.loaded.token
        self.position = 0 if self.loaded.fence is None else self.loaded.fence.positions["log"]
        self.panes = {name: int(value) for name, value in self.loaded.panes.items()}
        self.publish()

    def work(self, count: int) -> bool:
        """Take a batch; whether the worker lives on."""
        batch = range(self.position, min(self.position + count, len(LOG)))
        for place in batch:
            name = b"%d" % (LOG[place] % 3)
            self.panes[name] = self.panes.get(name, 0) + LOG[place]
        step = Step(
            self.token,
            Fence({"log": batch.stop}, {"log": "id"}),
            os.urandom(16),
            self.loaded.incarnation,
            writes={name: b"%d" % value for name, value in self.panes.items()},
            outbox=[OutboxEntry(b"%d" % place, b"") for place in batch if place % 10 == 9],
        )
        try:
            outcome = self.store.step(UNIT, step)
        except ResendStepOrExit:
            outcome = self.store.step(UNIT, step)
        except ExitAndReload:
            return False
        if outcome is Outcome.LOST:
            return False
        self.token, self.position = step.token, batch.stop
        return True

    def publish(self) -> None:
        entries = self.store.pending(UNIT)
        self.topic += [entry.id.decode() for entry in entries]
        self.store.acknowledge(UNIT, [entry.id for entry in entries])


class Workers(RuleBasedStateMachine):
    """Several think the partition is theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.server = MemoryServer()
        self.topic: list[str] = []
        self.workers = [Worker(self.server, self.topic)]

    @rule()
    def assign(self) -> None:
        self.workers.append(Worker(self.server, self.topic))

    @rule(which=st.integers(0, 5), count=st.integers(0, 8), published=st.booleans(), unanswered=st.booleans())
    def work(self, *, which: int, count: int, published: bool, unanswered: bool) -> None:
        place = which % len(self.workers)
        self.server.drop_next_reply = unanswered
        if not self.workers[place].work(count):
            self.workers[place] = Worker(self.server, self.topic)
        elif published:
            self.workers[place].publish()
        self.server.drop_next_reply = False

    @rule()
    def wipe(self) -> None:
        self.server.wipe()

    @rule()
    def restart(self) -> None:
        self.server.restart()

    @invariant()
    def stored_counts_are_those_of_the_log_up_to_the_fence(self) -> None:
        loaded = MemoryState(self.server).load(UNIT)
        position = 0 if loaded.fence is None else loaded.fence.positions["log"]
        counts: dict[bytes, int] = {}
        for number in LOG[:position]:
            counts[b"%d" % (number % 3)] = counts.get(b"%d" % (number % 3), 0) + number
        assert {name: int(value) for name, value in loaded.panes.items()} == counts
        closed = {str(place) for place in range(position) if place % 10 == 9}
        assert closed <= set(self.topic) | {entry.id.decode() for entry in loaded.outbox}


TestWorkers = Workers.TestCase
TestWorkers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
