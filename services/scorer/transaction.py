"""Kafka transactions in a thread of their own, off the latency path.

One section at a time: its predictions, its dead letters, one observation for each partition of
`observations`, and the consumed positions become visible together or not at all.
"""

import os
import threading
import time
from collections.abc import Callable

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from atalaia.records import ModelObservation, Observation, ObservedMark
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.stream.deadletters import dead_letter_headers
from atalaia.stream.partitioner import partition_of
from atalaia.topics import DEAD_LETTERS, OBSERVATIONS, PREDICTIONS, REQUESTS, RESULTS, Topic
from services.scorer.observing import observe
from services.scorer.section import Section

TRANSACTION_TIMEOUT_SECONDS = 5.0
"""Behind a scorer that does not come back, readers of committed data wait this long and the broker's scan."""

GIVE_UP_SECONDS = 12.0
"""A commit that takes longer hangs; the process ends so that its successor can go on."""

BATCH_BYTES = 4_194_304
"""What is produced together; below the limit of every topic written, or no transaction could succeed."""

GroupMetadata = object
"""Opaque to us: confluent_kafka names no type for it."""

_log = structlog.get_logger()


class Committer:
    """Commits sections, one at a time.

    Parameters
    ----------
    replica : makes the transactional id, so that a restarted scorer aborts what its predecessor left open
    on_commit : told of every committed section and how many seconds it took
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        replica: int,
        on_commit: Callable[[Section, float], None],
    ) -> None:
        self._prefix = kafka.topic_prefix
        self._on_commit = on_commit
        self._scorer = f"{kafka.topic_prefix}scorer-{replica}"
        self._encoder = msgspec.json.Encoder()
        self._producer: Producer = producer(
            kafka,
            **{
                "transactional.id": self._scorer,
                "transaction.timeout.ms": round(TRANSACTION_TIMEOUT_SECONDS * 1000),
                "linger.ms": 1_000,
                "batch.size": BATCH_BYTES,
                "batch.num.messages": 100_000,
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 262_144,
            },
        )
        self._submitted: tuple[Section, GroupMetadata] | None = None
        self._aborted: Section | None = None
        self._begun_at_seconds: float | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="transactions", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self, *, stopped: Callable[[], bool]) -> None:
        """Fence and abort whatever a predecessor left open, then take sections; waits for the broker."""
        while not stopped():
            try:
                self._producer.init_transactions(5.0)
                break
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                _log.warning("waiting for Kafka", reason=str(error.args[0]))
        self._thread.start()
        self._watchdog.start()

    @property
    def idle(self) -> bool:
        """Whether a section would be taken at once."""
        return self._submitted is None

    def submit(self, section: Section, group: GroupMetadata) -> None:
        """Hand a section over; waits while one is under way.

        ``group`` is the consumer's group metadata, which fences a scorer that no longer owns its partitions.
        The caller takes it: a client may not be asked by one thread while another polls it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._submitted is None)
            if self._aborted is None:
                self._submitted = (section, group)
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait until nothing is under way."""
        with self._changed:
            self._changed.wait_for(lambda: self._submitted is None)

    def take_aborted(self) -> Section | None:
        """The section whose transaction was aborted, once: the loop goes back to where it began."""
        with self._changed:
            aborted, self._aborted = self._aborted, None
            return aborted

    def close(self) -> None:
        """Finish what is under way and stop."""
        self.wait()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._submitted is not None or self._closed)
                submitted = self._submitted
            if submitted is None:
                return
            section, group = submitted
            began = self._begun_at_seconds = time.monotonic()
            committed = self._commit(section, group)
            self._begun_at_seconds = None
            if committed:
                self._on_commit(section, time.monotonic() - began)
            with self._changed:
                self._aborted = None if committed else section
                self._submitted = None
                self._changed.notify_all()

    def _commit(self, section: Section, group: GroupMetadata) -> bool:
        """Whether the section became visible; False after an abort, never returns after a fatal error."""
        try:
            self._producer.begin_transaction()
            self._produce(section)
            positions = [
                TopicPartition(self._prefix + REQUESTS.name, partition, reach.end)
                for partition, reach in section.reaches.items()
            ]
            self._producer.send_offsets_to_transaction(positions, group, TRANSACTION_TIMEOUT_SECONDS)
            self._producer.commit_transaction(TRANSACTION_TIMEOUT_SECONDS)
        except KafkaException as error:
            self._abort(error.args[0])
            return False
        except Exception:  # noqa: BLE001 - said, and then nothing goes on as if it were written
            _log.exception("section could not be written")
            end_process("a section could not be written")
        return True

    def _abort(self, error: KafkaError) -> None:
        if not error.txn_requires_abort():
            end_process(f"transaction failed: {error}")
        _log.warning("transaction aborted", reason=str(error))
        try:
            self._producer.abort_transaction(TRANSACTION_TIMEOUT_SECONDS)
        except KafkaException as fatal:
            end_process(f"abort failed: {fatal.args[0]}")

    def _produce(self, section: Section) -> None:
        self._produce_predictions(section)
        for letter in section.dead_letters:
            headers = dead_letter_headers(
                topic=self._prefix + REQUESTS.name,
                partition=letter.partition,
                offset=letter.offset,
                refusal=letter.refusal,
            )
            self._producer.produce(
                self._prefix + DEAD_LETTERS.name, key=letter.key, value=letter.value, headers=headers
            )
        ranges = section.ranges()
        models: list[list[ModelObservation]] = [[] for _ in range(OBSERVATIONS.partitions)]
        for observation in observe(section.scored):
            models[partition_of(observation.model, OBSERVATIONS.partitions)].append(observation)
        marks: list[list[ObservedMark]] = [[] for _ in range(OBSERVATIONS.partitions)]
        for place in section.marks:
            marks[partition_of(place.mark.model or "", OBSERVATIONS.partitions)].append(place)
        for partition, entries in enumerate(models):
            value = self._encoder.encode(Observation(self._scorer, ranges, entries, marks[partition]))
            self._producer.produce(self._prefix + OBSERVATIONS.name, value=value, partition=partition)

    def _produce_predictions(self, section: Section) -> None:
        self._produce_all(PREDICTIONS, section.keys, section.predictions)
        if section.kept:
            keys, answers = section.keys, section.predictions
            kept = [(keys[place], answers[place]) for place in section.kept]
            self._produce_all(RESULTS, [key for key, _ in kept], [answer for _, answer in kept])

    def _produce_all(self, topic_of: Topic, keys: list[bytes], values: list[bytes]) -> None:
        topic, produce = self._prefix + topic_of.name, self._producer.produce
        for key, value in zip(keys, values, strict=True):
            while True:
                try:
                    produce(topic, value, key)
                    break
                except BufferError:  # the producer's queue is full: let it drain
                    self._producer.poll(0.05)

    def _watch(self) -> None:
        """End the process where librdkafka hangs past its own time-outs."""
        while not self._closed:
            time.sleep(0.5)
            began = self._begun_at_seconds
            if began is not None and time.monotonic() - began > GIVE_UP_SECONDS:
                end_process(f"a transaction hangs for more than {GIVE_UP_SECONDS:g} s")


def end_process(reason: str) -> None:
    """Leave at once: after a fatal error closing clients may hang, and a successor has to take over."""
    _log.error("scorer ends", reason=reason)
    os._exit(70)
