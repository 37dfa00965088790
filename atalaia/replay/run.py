"""A replay from its first row to what the monitors say of it."""

import contextlib
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from atalaia.alerts import rfc3339
from atalaia.bundles.folder import Bundle
from atalaia.errors import StreamUnavailable
from atalaia.replay.cells import LabelCells
from atalaia.replay.encoding import ROWS_PER_REQUEST, Encoder
from atalaia.replay.flight import Flight
from atalaia.replay.following import Follower, read_ends, read_since
from atalaia.replay.labels import LabelQueue
from atalaia.replay.monitors import Fences, Target, wait_for_monitors
from atalaia.replay.outcome import RESULTS, Failure, Outcome, Results
from atalaia.replay.schedule import Pace, Schedule
from atalaia.replay.shapes import Shape, Shapes
from atalaia.replay.table import Cells, Table, UnusableTable
from atalaia.replay.writing import Writer
from atalaia.settings import KafkaSettings
from atalaia.topics import ALERTS, DEAD_LETTERS, DRIFT, FAIRNESS, PERFORMANCE, REQUESTS

IN_FLIGHT_ROWS = 50_000
"""At most so many rows are sent ahead of what has been observed."""

STUCK_SECONDS = 180.0
"""With rows on their way and none accounted for in so long, nobody answers."""

INTERRUPTED_SECONDS = 10.0
FAILURES_NAMED = 20
_AT_ONCE = 2_000
_LABELS_AT_ONCE = 5_000
_MARK_ROWS = 5_000
_MARK_SECONDS = 1.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """How a table is replayed.

    Parameters
    ----------
    target : column of labels, known ``label_delay_ms`` after their rows
    start_ms : event time of the first row; None so that the last row's interval ends now
    speed : seconds of event time a second; None as fast as it goes
    patience_seconds : how long monitors may make no progress
    """

    target: str | None = None
    label_delay_ms: float = 0.0
    interval_ms: float = 1_000.0
    start_ms: int | None = None
    speed: float | None = None
    rows_per_request: int = ROWS_PER_REQUEST
    patience_seconds: float = 60.0


class Replay:
    """One replay of a table to the deployed version of a model; `run` once.

    Parameters
    ----------
    fences : where the standings of the monitors are read
    tell : is told now and then what is being done

    Raises
    ------
    UnusableTable
        where the table lacks a column that is asked for.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        bundle: Bundle,
        table: Table,
        options: Options,
        *,
        fences: Fences,
        tell: Callable[[str], None],
    ) -> None:
        self.name = uuid.uuid4().hex
        self._kafka = kafka
        self._bundle = bundle
        self._table = table
        self._options = options
        self._fences = fences
        self._tell = tell
        self._target = None if options.target is None else _target_place(table, options.target)
        self._encoder = Encoder(
            bundle.manifest, table, name=self.name, rows_per_request=options.rows_per_request
        )
        self._label_cells = LabelCells(bundle.manifest)
        self._schedule = _schedule(table.rows, options)
        self._queue = LabelQueue(self._schedule, delay_ms=options.label_delay_ms)
        self._flight = Flight(bundle.name, replay=self.name)
        self._shapes = Shapes(bundle)
        self._marked_rows = 0
        self._marked_at = 0.0

    def run(self) -> Outcome:
        """Send all rows and labels, wait for what becomes of them, and gather what is said of them.

        Interrupted, it still ends the replay, so that the model's time follows the clock again.

        Raises
        ------
        StreamUnavailable
            where Kafka is away for too long, or nobody answers.
        """
        starts = read_ends(self._kafka, (*RESULTS, ALERTS, DEAD_LETTERS))
        writer = Writer(self._kafka, model=self._bundle.name, replay=self.name, flight=self._flight)
        with Follower(self._kafka, self._flight) as follower:
            began = time.monotonic()
            try:
                self._begin(writer)
                self._send(writer, follower, began)
                self._end(writer, follower)
            except BaseException:
                self._abandon(writer)
                raise
            self._see_out(writer, follower)
            seconds = time.monotonic() - began
            target = Target(follower.partition, follower.position, writer.labels_end)
        monitors = wait_for_monitors(
            self._fences, target, patience_seconds=self._options.patience_seconds, tell=self._tell
        )
        return self._outcome(seconds, monitors, starts)

    def shapes(self) -> list[Shape]:
        """How the columns were distributed."""
        return self._shapes.all()

    def _begin(self, writer: Writer) -> None:
        writer.mark_requests("begin", self._schedule.start_ms)
        writer.mark_labels("begin", self._schedule.start_ms)
        writer.flush()

    def _send(self, writer: Writer, follower: Follower, began: float) -> None:
        pace = Pace(self._options.interval_ms, self._options.speed)
        cells = self._table.cells()
        sent = 0
        while sent < self._table.rows:
            self._wait_until_due(writer, follower, pace, sent, began)
            due = pace.rows_due(time.monotonic() - began)
            batch = list(itertools.islice(cells, _AT_ONCE if due is None else min(_AT_ONCE, due - sent)))
            if not batch:
                raise UnusableTable(f"{self._table.path} has become shorter while it was read")
            self._send_rows(writer, batch, sent)
            sent += len(batch)
            self._mark(writer, sent)
            self._look(writer, follower)
            self._tell_rows()

    def _send_rows(self, writer: Writer, batch: list[Cells], first: int) -> None:
        requests, columns = self._encoder.requests(batch, first, self._schedule.times(first, len(batch)))
        self._shapes.add_rows(columns)
        labels = None
        if self._target is not None:
            labels = self._label_cells.read([cells[self._target] for cells in batch])
        for request in requests:
            writer.request(request)
            if labels is not None:
                place = request.first_row - first
                self._queue.add(request, labels[place : place + request.rows])

    def _wait_until_due(self, writer: Writer, follower: Follower, pace: Pace, row: int, began: float) -> None:
        """Until the next row is due and few enough are on their way."""
        while (wait := pace.seconds_until(row) - (time.monotonic() - began)) > 0:
            self._look(writer, follower, seconds=min(wait, _LOOK_SECONDS))
        self._wait_while(writer, follower, lambda: self._flight.in_flight > IN_FLIGHT_ROWS)

    def _wait_while(self, writer: Writer, follower: Follower, waiting: Callable[[], bool]) -> None:
        seen, since = -1, time.monotonic()
        while waiting():
            self._look(writer, follower, seconds=_LOOK_SECONDS)
            self._tell_rows()
            if seen != self._flight.accounted:
                seen, since = self._flight.accounted, time.monotonic()
            if time.monotonic() - since > STUCK_SECONDS:
                raise StreamUnavailable(
                    f"{self._flight.in_flight} rows are on their way and none was answered in "
                    f"{STUCK_SECONDS:g} s; is a scorer running?"
                )

    def _look(self, writer: Writer, follower: Follower, *, seconds: float = 0.0) -> None:
        writer.poll()
        for seen in follower.follow(timeout_seconds=seconds):
            if seen.role != "shadow":
                self._shapes.add_answers(seen)

    def _mark(self, writer: Writer, sent: int) -> None:
        """Every so many rows, or seconds, say how far time has come; labels known by then come before."""
        now = time.monotonic()
        if sent - self._marked_rows < _MARK_ROWS and now - self._marked_at < _MARK_SECONDS:
            return
        self._marked_rows, self._marked_at = sent, now
        writer.mark_requests("at", self._schedule.time(sent - 1))
        if row := self._flight.earliest_row:
            # Labels do not overtake what was said of their rows, so that whoever joins them need not wait.
            time_ms = self._schedule.time(row - 1)
            self._write_labels(writer, time_ms)
            writer.mark_labels("at", time_ms)

    def _write_labels(self, writer: Writer, by_ms: int) -> None:
        while (labels := self._queue.take(by_ms, most=_LABELS_AT_ONCE)) is not None:
            writer.labels(labels)

    def _end(self, writer: Writer, follower: Follower) -> None:
        """What is left of the labels, then the end of the replay's time: of the labels first, so that what
        is closed by the end of the rows has them.
        """  # fmt: skip
        self._wait_while(writer, follower, lambda: self._flight.in_flight > 0)
        self._write_labels(writer, self._queue.last_ms)
        writer.mark_labels("end", self._queue.last_ms if self._target is not None else self._schedule.last_ms)
        writer.flush()
        writer.mark_requests("end", self._schedule.last_ms)
        writer.flush()

    def _abandon(self, writer: Writer) -> None:
        """End the replay's time where it stands; a Kafka that is away is what ended it, or is left alone."""
        self._tell("ending the replay")
        time_ms = self._schedule.start_ms  # not beyond what was shown before
        with contextlib.suppress(StreamUnavailable):
            writer.mark_labels("end", time_ms)
            writer.mark_requests("end", time_ms)
            writer.flush(timeout_seconds=INTERRUPTED_SECONDS)

    def _see_out(self, writer: Writer, follower: Follower) -> None:
        """Until every row is accounted for and the end has been observed on every partition."""
        flight = self._flight
        self._wait_while(
            writer, follower, lambda: flight.in_flight > 0 or len(flight.ended) < REQUESTS.partitions
        )

    def _tell_rows(self) -> None:
        self._tell(f"{self._flight.accounted:,} of {self._table.rows:,} rows")

    def _outcome(self, seconds: float, monitors: dict[str, str], starts: Mapping[str, int]) -> Outcome:
        flight, schedule = self._flight, self._schedule
        results = Results(self._bundle.name, start_ms=schedule.start_ms, end_ms=schedule.last_ms)
        letters: dict[tuple[int, int], tuple[str, str]] = {}
        for topic, message in read_since(self._kafka, starts):
            if topic == DEAD_LETTERS.name:
                letters.update(_letter(self._kafka, message))
            else:
                results.add(topic, message.value() or b"{}")
        return Outcome(
            replay=self.name,
            model=self._bundle.name,
            version=max(
                flight.versions, key=lambda name: flight.versions[name], default=self._bundle.version
            ),
            start=rfc3339(schedule.start_ms),
            end=rfc3339(schedule.last_ms),
            rows=flight.sent_rows,
            answered=flight.answered,
            abstained=flight.abstained,
            failed=flight.failed,
            seconds=seconds,
            rows_per_second=flight.sent_rows / seconds,
            failures=list(itertools.islice(self._failures(letters), FAILURES_NAMED)),
            monitors=monitors,
            drift=results.of(DRIFT.name),
            performance=results.of(PERFORMANCE.name),
            fairness=results.of(FAIRNESS.name),
            alerts=results.alerts,
        )

    def _failures(self, letters: Mapping[tuple[int, int], tuple[str, str]]) -> Iterator[Failure]:
        for place in sorted(self._flight.failures, key=lambda failure: failure[1].first_row):
            partition, sent = place
            reason, detail = letters.get((partition, sent.offset), ("unknown", "no dead letter was found"))
            yield Failure(sent.first_row + 1, sent.rows, reason, detail)


def _letter(kafka: KafkaSettings, message: Message) -> dict[tuple[int, int], tuple[str, str]]:
    """Position, reason and detail of a dead letter of `requests`; empty for any other."""
    headers = {
        name: value.decode("utf-8", "replace")
        for name, value in dict(message.headers() or ()).items()
        if isinstance(value, bytes)
    }
    if headers.get("topic") != kafka.topic_prefix + REQUESTS.name:
        return {}
    place = int(headers["partition"]), int(headers["offset"])
    return {place: (headers["reason"], headers["detail"])}


def _schedule(rows: int, options: Options) -> Schedule:
    if options.start_ms is None:
        now_ms = time.time_ns() // 1_000_000
        return Schedule.ending(now_ms, interval_ms=options.interval_ms, rows=rows)
    return Schedule(options.start_ms, options.interval_ms, rows)


def _target_place(table: Table, target: str) -> int:
    place = table.place(target)
    if place is None:
        raise UnusableTable(f"{table.path} has no column {target!r}; it has {', '.join(table.header)}")
    return place
