"""The loop: consume, score, reply at once, and hand over a section now and then."""

import time
from bisect import bisect_right
from itertools import accumulate

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from atalaia.errors import LostByRetention, NoPrimary, StreamUnavailable, UnknownModel
from atalaia.inference.responses import ABSTAINED, error_response
from atalaia.settings import KafkaSettings, ScorerSettings
from atalaia.stream.catalog import Catalog, View
from atalaia.stream.clients import PARTITION_END, consumer
from atalaia.stream.deadletters import Headers
from atalaia.stream.dispatch import Dispatcher
from atalaia.stream.headers import OUTCOME
from atalaia.topics import REPLIES, REQUESTS
from services.scorer import metrics
from services.scorer.collector import Collector
from services.scorer.intake import Batch, Failure, Intake
from services.scorer.partitions import find_starts
from services.scorer.scoring import Scored, score
from services.scorer.section import DeadLetter, Reach, Section
from services.scorer.served import Served
from services.scorer.transaction import Committer

MAX_BATCH = 2_000
"""Messages of one poll; a backlog is drained in batches of this size."""

SECTION_BYTES = 4_194_304
"""A section whose observation may be larger is handed over: two of them at a time are held in memory."""

CHUNK_BYTES = 524_288
"""Requests read together: what they become has to fit an observation, so reading further would be in vain."""

MARK_SECONDS = 1.0
"""Time travels in the log at least this often, also where nothing else does."""

ANNOUNCED_SECONDS = 5.0
"""How long the record of a deployment is waited for once its mark was read; who deploys gives up sooner."""

WAKE_SECONDS = 0.1
"""The longest wait for a message: how soon a signal is heard."""

LEAVE_SECONDS = 2.0
"""How long leaving the group may take; a broker that is away ends the session by itself."""

_log = structlog.get_logger()


class Loop:
    """One scorer.

    Parameters
    ----------
    catalog : started; its view is read anew for every poll
    """

    def __init__(self, kafka: KafkaSettings, settings: ScorerSettings, catalog: Catalog[Served]) -> None:
        self._topic = kafka.topic_prefix + REQUESTS.name
        self._replies_topic = kafka.topic_prefix + REPLIES.name
        self._settings = settings
        self._catalog = catalog
        self._consumer: Consumer = consumer(
            kafka,
            **{
                "group.id": f"{kafka.topic_prefix}scorer",
                "group.instance.id": f"{kafka.topic_prefix}scorer-{settings.replica}",
                "group.protocol": "classic",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 500,
                "max.poll.interval.ms": 60_000,
                "enable.partition.eof": True,
            },
        )
        self._replies = Dispatcher(kafka, **{"message.timeout.ms": 10_000})
        self._committer = Committer(kafka, replica=settings.replica, on_commit=_count_commit)
        self._collector: Collector | None = None
        self._section = Section({}, time.monotonic())
        self._ends: dict[int, int] = {}
        self._abandoned: frozenset[str | None] = frozenset()
        self._reassigned = False
        self.stopped = False
        self.assigned = False

    def run(self) -> None:
        """Score until `stop`; commit what was scored; leave the group."""
        self._committer.start(stopped=lambda: self.stopped)
        if not self._settings.collect_garbage:
            self._collector = Collector()
        metrics.START.set_to_current_time()
        metrics.START_CPU.set(time.process_time())
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        while not self.stopped:
            self._step()
        self._replies.flush(2.0)
        self._leave()
        self._committer.close()

    def stop(self) -> None:
        """Ask the loop to end; it does so within a poll."""
        self.stopped = True

    def _leave(self) -> None:
        """Give the partitions back, which commits what was scored, and be out of the group before the end.

        A static member that only closes stays in the group until its session ends; one that unsubscribes
        leaves, and has no member id any more when it has.
        """
        self._consumer.unsubscribe()
        until = time.monotonic() + LEAVE_SECONDS
        while self._consumer.memberid() and time.monotonic() < until:
            self._consumer.poll(0.02)
        self._consumer.close()

    def _step(self) -> None:
        messages = self._poll()
        self._replies.poll(0)
        if self._go_back_if_aborted():
            return  # what was just polled will be read again
        requests = self._requests(messages)
        while requests:
            batch = self._take(_first_bytes(requests, CHUNK_BYTES))
            self._advance(requests[: batch.taken])
            self._score(batch)
            self._hand_over_if_due()
            requests = requests[batch.taken :]
        self._note_ends()
        self._hand_over_if_due()
        if self._collector is not None and (took := self._collector.collect_if_due()) is not None:
            metrics.COLLECTION.observe(took)

    def _take(self, requests: list[KafkaMessage]) -> Batch:
        """Sort requests; where some name a model that is not known, by what is deployed to this moment."""
        view = self._catalog.view
        batch = self._sort(view, requests)
        if any(isinstance(failure.refusal, UnknownModel | NoPrimary) for failure in batch.failures):
            current = self._catalog.catch_up()
            if current is not view:
                batch = self._sort(current, requests)
        until = time.monotonic() + ANNOUNCED_SECONDS
        while batch.awaited is not None and not batch.taken:
            if time.monotonic() > until:
                _log.warning("a deployment was announced and never recorded", mark=str(batch.awaited))
                self._abandoned |= {batch.awaited.deployed_at}
            batch = self._sort(self._catalog.catch_up(), requests)
        return batch

    def _sort(self, view: View[Served], requests: list[KafkaMessage]) -> Batch:
        return Intake(view, topic=self._topic, abandoned=self._abandoned).take(requests)

    def _poll(self) -> list[KafkaMessage]:
        """What is there, one message waited for; a backlog comes in big batches."""
        polled_at_ms = _now_ms()
        first = self._consumer.poll(min(WAKE_SECONDS, self._due_seconds()))
        if first is None:
            self._section.polled_at_ms = polled_at_ms
            return []
        polled_at_ms = _now_ms()
        messages = [first, *self._consumer.consume(MAX_BATCH - 1, 0)]
        self._section.polled_at_ms = polled_at_ms
        return messages

    def _requests(self, messages: list[KafkaMessage]) -> list[KafkaMessage]:
        """Those of the messages that are requests still to be taken."""
        requests = [message for message in messages if message.error() is None]
        if len(requests) != len(messages):
            for message in messages:
                error = message.error()
                if error is not None:
                    self._note_error(error, message.partition() or 0, message.offset() or 0)
        return self._unread(requests) if self._reassigned else requests

    def _unread(self, messages: list[KafkaMessage]) -> list[KafkaMessage]:
        """What is left after a rebalance within this very poll: the rest will be, or was, read again."""
        self._reassigned = False
        ends = {partition: reach.end for partition, reach in self._section.reaches.items()}
        unread = []
        for message in messages:
            partition, offset = message.partition() or 0, message.offset() or 0
            if partition in ends and offset >= ends[partition]:
                ends[partition] = offset + 1
                unread.append(message)
        return unread

    def _advance(self, taken: list[KafkaMessage]) -> None:
        """Move the position of each partition past what was taken, and no further."""
        lasts = {message.partition(): message.offset() for message in taken}
        for partition, offset in lasts.items():
            reach = self._section.reaches[partition or 0]
            reach.end = (offset or 0) + 1
            reach.at_end = False

    def _note_error(self, error: KafkaError, partition: int, offset: int) -> None:
        if error.code() == PARTITION_END:
            self._ends[partition] = offset
        elif error.fatal() or not error.retriable():
            raise StreamUnavailable(f"cannot read {self._topic}: {error}")
        else:
            _log.warning("reading requests", reason=str(error))

    def _note_ends(self) -> None:
        """Ends of partitions seen in this poll, behind everything that was taken of it."""
        for partition, offset in self._ends.items():
            reach = self._section.reaches.get(partition)
            if reach is not None and offset >= reach.end:
                reach.end = offset
                reach.at_end = True
        self._ends.clear()

    def _score(self, batch: Batch) -> None:
        self._section.observation_bytes += batch.observation_bytes
        self._section.marks += batch.marks
        for failure in batch.failures:
            self._fail(failure)
        for group in batch.groups:
            began = time.perf_counter()
            answers = score(group, now_ms=_now_ms())
            for scored in answers.scored:
                if not scored.shadow:
                    self._reply_all(scored)
                self._section.add_scored(scored)
                _count_scored(scored, time.perf_counter() - began)
            for failure in answers.failures:
                if group.deployment.role == "shadow":
                    metrics.SHADOW_FAILURES.labels(group.served.name, group.served.version).inc()
                else:
                    self._fail(failure)

    def _reply_all(self, scored: Scored) -> None:
        """Replies to those who wait; an expired request has nobody waiting."""
        for index, asked in scored.asked.items():
            if asked.reply is not None and not scored.expired[index]:
                outcome = ABSTAINED if scored.refused(index) else None
                self._reply(asked.reply, scored.messages[index].key(), scored.responses[index], outcome)

    def _reply(self, partition: int, key: bytes | None, value: bytes, outcome: str | None) -> None:
        if partition >= REPLIES.partitions:
            return
        headers: Headers = [] if outcome is None else [(OUTCOME, outcome.encode())]
        while True:
            try:
                self._replies.send(
                    self._replies_topic, key=key, value=value, partition=partition, headers=headers
                )
            except BufferError:
                self._replies.poll(0.05)
            else:
                return

    def _fail(self, failure: Failure) -> None:
        request, refusal = failure.request, failure.refusal
        value = error_response(
            request_id=request.id, refusal=refusal, model_name=failure.model, model_version=failure.version
        )
        if request.asked.reply is not None:
            self._reply(request.asked.reply, request.message.key(), value, "failed")
        self._section.add_failure(request.message, refusal, value, kept=request.asked.kept)
        metrics.REFUSALS.labels(refusal.code).inc()
        _log.warning(
            "request refused",
            partition=request.message.partition(),
            offset=request.message.offset(),
            reason=refusal.code,
            detail=refusal.detail[:500],
        )

    def _due_seconds(self) -> float:
        """Seconds until the open section is to be handed over."""
        interval = MARK_SECONDS if self._section.empty else self._settings.commit_interval
        return max(0.0, self._section.opened_at_seconds + interval - time.monotonic())

    def _hand_over_if_due(self) -> None:
        section = self._section
        if not section.reaches:
            return
        full = section.rows >= self._settings.commit_rows or section.observation_bytes > SECTION_BYTES
        if full or (self._committer.idle and self._due_seconds() == 0.0):
            self._hand_over()

    def _hand_over(self) -> None:
        """Submit the open section, waiting where one is under way: nothing grows without bound."""
        section = self._section
        self._section = section.next(opened_at_seconds=time.monotonic())
        self._committer.submit(section, self._consumer.consumer_group_metadata())

    def _go_back_if_aborted(self) -> bool:
        """After an abort, consume again from where the aborted section began; whether there was one."""
        aborted = self._committer.take_aborted()
        if aborted is None:
            return False
        metrics.ABORTS.inc()
        reaches = {}
        for partition in self._section.reaches:
            start = aborted.reaches[partition].start
            self._consumer.seek(TopicPartition(self._topic, partition, start))
            reaches[partition] = Reach(start, start)
        self._section = Section(reaches, time.monotonic())
        # A loss by retention was found on assignment: no message that is read again will tell of it.
        self._section.dead_letters = [
            letter for letter in aborted.dead_letters if isinstance(letter.refusal, LostByRetention)
        ]
        return True

    def _on_assign(self, client: Consumer, assigned: list[TopicPartition]) -> None:
        starts = find_starts(client, assigned) if assigned else []
        client.assign([TopicPartition(self._topic, start.partition, start.position) for start in starts])
        self._section = Section(
            {start.partition: Reach(start.position, start.position) for start in starts}, time.monotonic()
        )
        for start in starts:
            if start.lost_from is not None:
                self._report_lost(start.partition, start.lost_from, start.position)
        self.assigned = self._reassigned = True
        metrics.PARTITIONS.set(len(starts))
        _log.info("partitions assigned", partitions={start.partition: start.position for start in starts})

    def _report_lost(self, partition: int, start: int, end: int) -> None:
        lost = LostByRetention(
            f"requests {start} to {end - 1} of partition {partition} were deleted unanswered"
        )
        self._section.dead_letters.append(DeadLetter(partition, start, None, None, lost))

    def _on_revoke(self, client: Consumer, revoked: list[TopicPartition]) -> None:
        """Commit what was scored while the partitions are still ours."""
        del revoked
        if self._section.reaches:
            self._committer.wait()
            if self._committer.take_aborted() is None and self._section.moved:
                self._committer.submit(self._section, client.consumer_group_metadata())
                self._committer.wait()
                self._committer.take_aborted()
        self._forget()

    def _on_lost(self, client: Consumer, lost: list[TopicPartition]) -> None:
        """The partitions are another's already: nothing scored here may be committed."""
        del client, lost
        self._committer.wait()
        self._committer.take_aborted()
        self._forget()

    def _forget(self) -> None:
        self._section = Section({}, time.monotonic())
        self._reassigned = True
        metrics.PARTITIONS.set(0)


def _first_bytes(messages: list[KafkaMessage], limit: int) -> list[KafkaMessage]:
    """The first of the messages that have no more than ``limit`` bytes together, at least one."""
    sizes = accumulate(map(len, messages))
    return messages[: max(1, bisect_right(list(sizes), limit))]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _count_scored(scored: Scored, seconds: float) -> None:
    counted = scored.served.metrics
    rows, abstained, expired = len(scored.rows), scored.predictions.abstained.sum(), scored.expired.sum()
    counted.requests.inc(len(scored.messages))
    counted.rows.inc(rows)
    counted.batch_rows.observe(rows)
    counted.scoring.observe(seconds)
    if abstained:
        counted.abstentions.inc(int(abstained))
    if expired:
        counted.expired.inc(int(expired))
    first_ms = int(scored.messages[0].timestamp()[1])
    counted.delay.observe(max(0.0, time.time() - first_ms / 1000))


def _count_commit(section: Section, seconds: float) -> None:
    metrics.COMMIT.observe(seconds)
    metrics.COMMITTED_ROWS.inc(section.rows)
    metrics.LAST_COMMIT.set_to_current_time()
    metrics.BEHIND.set(sum(not reach.at_end for reach in section.reaches.values()))
