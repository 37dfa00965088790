"""One partition of a service's input: its monitor, the fence it stands at, and what it has to publish."""

import os
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Records
from datetime import UTC, datetime

import msgspec
import structlog

from atalaia.monitors.units import PartitionMonitor, Publication, Record
from atalaia.results import Cut
from atalaia.state.errors import ExitAndReload, ResendStepOrExit
from atalaia.state.fence import Fence, Loaded, Outcome, StateStore, Step, Token, Unit
from atalaia.topics import LABELS, OBSERVATIONS, Topic
from atalaia.worker import letters
from atalaia.worker.history import History
from atalaia.worker.log import Log
from atalaia.worker.outgoing import outbox_entry
from atalaia.worker.patience import patiently
from atalaia.worker.publisher import Publisher
from atalaia.worker.sequence import Sequence
from atalaia.worker.stored_rows import StoredRows

_log = structlog.get_logger()
_NONCE_BYTES = 16


class Metadata(msgspec.Struct, frozen=True, array_like=True):
    """What is kept beside the fence: the runner's own, and the monitor's.

    ``rebuilt_to`` are the ends of the log as they were when the state was begun anew: up to there, what is
    to be said may have been said before.
    """

    ends: dict[int, int]
    rebuilt_to: dict[str, int] | None
    monitor: bytes


class UnitRunner:
    """Opens a unit where its fence stands and moves it on, batch by batch, each in one step.

    Whatever it raises, the process has to end: the monitor's state may be ahead of what is stored.

    Parameters
    ----------
    unit : whose state
    make_monitor : a monitor without state
    history : what the service's topics say, read when the state is made anew
    now : the time of publishing, RFC 3339
    """

    def __init__(
        self,
        unit: Unit,
        make_monitor: Callable[[], PartitionMonitor],
        *,
        store: StateStore,
        log: Log,
        publisher: Publisher,
        history: Callable[[], History],
        now: Callable[[], str] = lambda: datetime.now(UTC).isoformat(),
    ) -> None:
        self.unit = unit
        self.monitor = make_monitor()
        self.generation = 0
        self.steps = 0
        self.messages = 0
        self.rebuilds = 0
        self.lost = 0
        self.oversized = 0
        self._make_monitor = make_monitor
        self._store = store
        self._log = log
        self._publisher = publisher
        self._read_history = history
        self._now = now
        self._sequence = Sequence(unit.partition, {}, {}, log)
        self._token: Token | None = None
        self._incarnation = b""
        self._topic_ids: dict[str, str] = {}
        self._rebuilt_to: dict[str, int] | None = None
        self._history: History | None = None
        self._losses: list[Publication] = []
        self._swept = False

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What it reads."""
        return self.monitor.topics

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset of each topic, by name."""
        return self._sequence.positions

    @property
    def dropped(self) -> int:
        """Records that came once more and were left out."""
        return self._sequence.dropped

    @property
    def gaps(self) -> int:
        """Times that the log itself did not follow on."""
        return self._sequence.gaps

    def open(self) -> Mapping[str, int]:
        """Load what is stored, or begin anew where it cannot stand; the positions to read from.

        What is in the outbox is published first.
        """
        self.monitor = self._make_monitor()
        self._topic_ids = self._log.topic_ids(self.topics)
        bounds = {topic.name: self._log.bounds(topic, self.unit.partition) for topic in self.topics}
        loaded = patiently(lambda: self._store.load(self.unit))
        self._history, self._losses, self._swept = None, [], False
        why = self._unfit(loaded, bounds)
        if loaded.fence is None or why is not None:
            self._begin(loaded, bounds, why)
        else:
            self._restore(loaded, loaded.fence, bounds)
        return self.positions

    def take(self, records: Records[Record]) -> None:
        """Count records, in log order within each topic, in one step; those taken before are left out.

        Raises
        ------
        RecordsSkipped, ExitAndReload, ResendStepOrExit, RetryRead
            and whatever else: the process has to end.
        """
        fresh = self._sequence.admit(records)
        if not fresh:
            return
        change = self.monitor.take(fresh, self._cut(), StoredRows(self._store, self.unit, self._incarnation))
        said = [*self._losses, *(self._fitting(entry) for entry in change.publications)]
        outbox = [
            outbox_entry(entry, service=self.unit.service, generation=self.generation, time=self._now())
            for entry in said
            if self._is_news(entry)
        ]
        self._end_of_rebuild()
        metadata = Metadata(self._sequence.ends, self._rebuilt_to, change.metadata)
        step = Step(
            expected=self._token,
            fence=Fence(dict(self.positions), self._topic_ids, self.generation),
            nonce=os.urandom(_NONCE_BYTES),
            incarnation=self._incarnation,
            metadata=msgspec.msgpack.encode(metadata),
            writes=change.writes,
            deletes=change.deletes,
            outbox=outbox,
            rows=change.rows,
        )
        self._apply(step)
        self._losses = []
        self.steps += 1
        self.messages += len(fresh)
        self._publisher.publish(self.unit, outbox)
        self._sweep()

    def _apply(self, step: Step) -> None:
        try:
            outcome = self._store.step(self.unit, step)
        except ResendStepOrExit as error:
            _log.warning("the step is sent once more", unit=self.unit.prefix, reason=str(error))
            outcome = self._store.step(self.unit, step)
        if outcome is Outcome.LOST:
            raise ExitAndReload(
                f"another worker moved the fence of {self.unit.service} on partition {self.unit.partition}"
            )
        self._token = step.token

    def _sweep(self) -> None:
        """Once the stored fence is this worker's, rows of any other incarnation are nobody's."""
        if not self._swept:
            self._swept = True
            patiently(lambda: self._store.drop_orphans(self.unit, self._incarnation))

    def _unfit(self, loaded: Loaded, bounds: Mapping[str, tuple[int, int]]) -> str | None:
        """Why stored state has to be made anew; None where it has not, or there is none."""
        fence = loaded.fence
        if fence is None:
            return None
        if loaded.torn:
            return "a step had failed half-way"
        if fence.topic_ids != self._topic_ids:
            return "it stands for other topics"
        beyond = [name for name, position in fence.positions.items() if position > bounds[name][1]]
        return f"it stands beyond the end of {', '.join(beyond)}" if beyond else None

    def _begin(self, loaded: Loaded, bounds: Mapping[str, tuple[int, int]], why: str | None) -> None:
        stored = -1 if loaded.fence is None else loaded.fence.generation
        incarnation = loaded.incarnation
        if loaded.token is not None:
            if not patiently(lambda: self._store.discard(self.unit, loaded.token)):
                raise ExitAndReload("another worker moved the fence of a state that was to be discarded")
            incarnation = patiently(lambda: self._store.load(self.unit)).incarnation
        self._history = self._read_history()
        self.generation = max(stored, self._history.generation) + 1
        self._token, self._incarnation = None, incarnation
        self._rebuilt_to = {name: end for name, (_, end) in bounds.items()}
        positions = {name: start for name, (start, _) in bounds.items()}
        self._sequence = Sequence(self.unit.partition, positions, {}, self._log)
        self.monitor.begin(positions)
        if self.generation:
            self.rebuilds += 1
            _log.warning("state is made anew", unit=self.unit.prefix, reason=why or "there is none")

    def _restore(self, loaded: Loaded, fence: Fence, bounds: Mapping[str, tuple[int, int]]) -> None:
        metadata = msgspec.msgpack.decode(loaded.metadata, type=Metadata)
        self.generation = fence.generation
        self._token, self._incarnation = loaded.token, loaded.incarnation
        self._rebuilt_to = metadata.rebuilt_to
        if self._rebuilt_to is not None:
            self._history = self._read_history()
        self._sequence = Sequence(self.unit.partition, fence.positions, metadata.ends, self._log)
        self.monitor.restore(metadata.monitor, loaded.panes)
        self._publisher.publish(self.unit, loaded.outbox)
        for topic in self.topics:
            start = bounds[topic.name][0]
            if fence.positions[topic.name] < start:
                self._lose(topic, fence.positions[topic.name], start)

    def _lose(self, topic: Topic, first: int, end: int) -> None:
        _log.error("records expired before they were read", topic=topic.name, first=first, end=end)
        self.lost += end - first
        self.monitor.lose(topic, first, end)
        self._sequence.lose(topic, end)
        self._losses.append(letters.expired(self.unit, topic, first, end))

    def _fitting(self, publication: Publication) -> Publication:
        letter = letters.too_large(self.unit, publication, self.positions[OBSERVATIONS.name])
        if letter is None:
            return publication
        _log.error("too large to be published", topic=publication.topic.name, subject=publication.subject)
        self.oversized += 1
        return letter

    def _cut(self) -> Cut:
        positions = self.positions
        return Cut(self.generation, positions[OBSERVATIONS.name], positions.get(LABELS.name))

    def _is_news(self, publication: Publication) -> bool:
        if self._history is None:
            return True
        news = self._history.is_news(publication)
        if news:
            topic, subject = publication.topic.name, publication.subject
            self._history.add(topic, subject, publication.content, self.generation)
        return news

    def _end_of_rebuild(self) -> None:
        rebuilt_to = self._rebuilt_to
        if rebuilt_to is not None and all(self.positions[name] >= end for name, end in rebuilt_to.items()):
            self._rebuilt_to = self._history = None
