"""Whatever becomes of workers, stores and answers, every record is counted once and every result is said."""

from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.monitors.units import Record
from atalaia.state.errors import ExitAndReload
from atalaia.topics import LABELS, OBSERVATIONS
from atalaia.worker.unit import UnitRunner
from tests.unit.worker.world import Crashed, MemoryPublisher, World, units_of

ACTIONS = st.sampled_from(
    [
        "observe", "observe", "observe", "label", "step", "step", "step in part", "again", "deliver",
        "acknowledge", "crash", "crash before Kafka", "zombie", "lose the answer", "wipe", "restart",
    ]
)  # fmt: skip


class Life:
    """Workers one after another on one unit, former ones still writing now and then."""

    def __init__(self) -> None:
        self.world = World()
        self.rows = 0
        self.labels = 0
        self.workers: list[tuple[UnitRunner, MemoryPublisher]] = []
        self.start()

    def start(self) -> None:
        worker = self.world.worker()
        worker[0].open()
        self.workers.append(worker)

    @property
    def current(self) -> tuple[UnitRunner, MemoryPublisher]:
        return self.workers[-1]

    def waiting(self, runner: UnitRunner) -> list[Record]:
        return self.world.log.read(runner.positions)

    def take(self, runner: UnitRunner, records: list[Record]) -> None:
        try:
            runner.take(records)
        except (ExitAndReload, Crashed):
            if runner is self.current[0]:
                self.start()
            else:
                self.workers = [worker for worker in self.workers if worker[0] is not runner]

    def act(self, action: str, size: int) -> None:
        runner, publisher = self.current
        if action == "observe":
            self.world.log.observe(size, skip=size % 3)
            self.rows += size
        elif action == "label":
            self.world.log.label()
            self.labels += 1
        elif action == "step":
            self.take(runner, self.waiting(runner))
        elif action == "step in part":
            self.take(runner, self.waiting(runner)[:size])
        elif action == "again":
            self.take(runner, self.world.log.read({OBSERVATIONS.name: 0, LABELS.name: 0}))
        elif action == "deliver":
            publisher.deliver()
        elif action == "acknowledge":
            units_of(runner, publisher).acknowledge()
        else:
            self.disturb(action)

    def disturb(self, action: str) -> None:
        runner, publisher = self.current
        if action == "crash":
            self.start()
        elif action == "crash before Kafka":
            publisher.broken = True
            self.take(runner, self.waiting(runner))
            self.start()
        elif action == "zombie" and len(self.workers) > 1:
            zombie = self.workers[-2][0]
            self.take(zombie, self.waiting(zombie))
        elif action == "lose the answer":
            self.world.server.drop_next_reply = True
        elif action == "wipe":
            self.world.server.wipe()
        elif action == "restart":
            self.world.server.restart()

    def finish(self) -> None:
        self.world.server.drop_next_reply = False
        self.start()
        runner, publisher = self.current
        self.world.log.observe(10)
        self.rows += 10
        runner.take(self.waiting(runner))
        publisher.deliver()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ACTIONS, st.integers(1, 12)), max_size=40))
def test_every_record_counts_once_and_every_full_window_is_said(actions: list[tuple[str, int]]) -> None:
    life = Life()
    for action, size in actions:
        life.act(action, size)
    life.finish()
    stored = life.world.stored()
    assert (stored.total, stored.labels) == (life.rows, life.labels)
    said = {dict(message.headers)["ce_subject"] for message in life.world.kafka.messages}
    assert said == {f"window {window}".encode() for window, rows in stored.windows.items() if rows == 10}
    assert life.current[0].gaps == 0
