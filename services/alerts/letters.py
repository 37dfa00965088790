"""Dead letters of alerts: the original bytes, and which sink did not take them."""

from confluent_kafka import KafkaException, Message, Producer

from atalaia.errors import Refusal, StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import producer
from atalaia.stream.deadletters import dead_letter_headers
from atalaia.topics import DEAD_LETTERS

_TIMEOUT_SECONDS = 15.0


class DeadLetters:
    """Writes them for one sink, durably."""

    def __init__(self, kafka: KafkaSettings, sink: str) -> None:
        self._topic = kafka.topic_prefix + DEAD_LETTERS.name
        self._sink = sink
        self._producer: Producer = producer(kafka, **{"linger.ms": 0, "message.timeout.ms": 10_000})

    def put(self, message: Message, refusal: Refusal) -> None:
        """Write one; it is acknowledged afterwards.

        Raises
        ------
        StreamUnavailable
            where Kafka does not acknowledge it.
        """
        failures: list[str] = []
        headers = dead_letter_headers(
            topic=message.topic() or "",
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            refusal=refusal,
        )
        try:
            self._producer.produce(
                self._topic,
                key=message.key(),
                value=message.value(),
                headers=[*headers, ("sink", self._sink.encode())],
                on_delivery=lambda error, _: failures.append(str(error)) if error is not None else None,
            )
        except (BufferError, KafkaException) as error:
            raise StreamUnavailable(f"a dead letter could not be written: {error}") from error
        if self._producer.flush(_TIMEOUT_SECONDS) or failures:
            raise StreamUnavailable(
                f"a dead letter could not be written: {'; '.join(failures) or 'no answer'}"
            )
