"""The log as a test sees it: requests written, and everything committed about them followed."""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self, TypeVar

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Message, Producer, TopicPartition

from atalaia.records import ModelObservation, Observation
from atalaia.settings import KafkaSettings
from atalaia.stream.clients import consumer, producer
from atalaia.topics import DEAD_LETTERS, OBSERVATIONS, PREDICTIONS, REPLIES, REQUESTS

Found = TypeVar("Found")
Position = tuple[int, int]
Headers = dict[str, bytes | None]
_FOLLOWED = (PREDICTIONS, DEAD_LETTERS, OBSERVATIONS, REPLIES)


class Log:
    """Writes to `requests` and follows what is committed, from the log's beginning."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka
        self.predictions: dict[bytes, list[dict[str, Any]]] = defaultdict(list)
        self.dead_letters: dict[Position, Message] = {}
        self.observations: dict[int, list[tuple[float, Observation]]] = defaultdict(list)
        self.replies: dict[bytes, list[Message]] = defaultdict(list)
        self.seen_at: dict[bytes, float] = {}
        self._producer: Producer = producer(kafka, **{"linger.ms": 0})
        self._consumer = consumer(kafka, **{"fetch.wait.max.ms": 20})
        self._consumer.assign(
            [
                TopicPartition(kafka.topic_prefix + topic.name, partition, OFFSET_BEGINNING)
                for topic in _FOLLOWED
                for partition in range(topic.partitions)
            ]
        )

    def write(
        self,
        *values: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
    ) -> list[Position]:
        """Positions of the requests written, acknowledged, in order."""
        positions: dict[int, Position] = {}
        for place, value in enumerate(values):

            def note(error: object, message: Message, place: int = place) -> None:
                assert error is None, error
                positions[place] = (message.partition() or 0, message.offset() or 0)

            self._producer.produce(
                self.kafka.topic_prefix + REQUESTS.name,
                value=value,
                key=key,
                headers=list((headers or {}).items()),
                partition=-1 if partition is None else partition,
                on_delivery=note,
            )
        assert self._producer.flush(20) == 0
        return [positions[place] for place in range(len(values))]

    def wait(self, found: Callable[[], Found | None], *, what: str, seconds: float = 20.0) -> Found:
        """What ``found`` returns once that is something, reading on meanwhile."""
        until = time.monotonic() + seconds
        while (result := found()) is None:
            assert time.monotonic() < until, f"{what} did not come within {seconds} s"
            self.read()
        return result

    def read(self, seconds: float = 0.05) -> None:
        for message in self._consumer.consume(200, seconds):
            if message.error() is None:
                self._take(message)

    def prediction(self, key: bytes, *, count: int = 1, seconds: float = 20.0) -> dict[str, Any]:
        """The last of the predictions with a key, once there are so many; no more may have come."""
        found = self.wait(
            lambda: self.predictions[key] if len(self.predictions[key]) >= count else None,
            what=f"prediction {count} of {key!r}",
            seconds=seconds,
        )
        assert len(found) == count, found
        return found[-1]

    def dead_letter(self, position: Position) -> dict[str, str]:
        """Headers of the dead letter of a position."""
        letter = self.wait(lambda: self.dead_letters.get(position), what=f"dead letter of {position}")
        headers = dict(letter.headers() or ())
        return {name: value.decode() for name, value in headers.items() if isinstance(value, bytes)}

    def replies_to(self, key: bytes) -> list[Message]:
        """The replies with a key, once there is one."""
        return self.wait(lambda: self.replies[key] or None, what=f"reply to {key!r}")

    def observed(self, position: Position) -> tuple[Observation, ModelObservation, int]:
        """The one observation of a position, and its place in it."""
        return self.wait(lambda: self._find(position), what=f"observation of {position}")

    def _find(self, position: Position) -> tuple[Observation, ModelObservation, int] | None:
        for entries in self.observations.values():
            for _, observation in entries:
                for model in observation.models:
                    places = zip(model.partition.numpy().tolist(), model.offset.numpy().tolist(), strict=True)
                    for place, at in enumerate(places):
                        if at == position:
                            return observation, model, place
        return None

    def _take(self, message: Message) -> None:
        topic = (message.topic() or "").removeprefix(self.kafka.topic_prefix)
        key, value = message.key() or b"", message.value() or b""
        if topic == PREDICTIONS.name:
            self.predictions[key].append(json.loads(value))
            self.seen_at[key] = time.monotonic()
        elif topic == REPLIES.name:
            self.replies[key].append(message)
        elif topic == OBSERVATIONS.name:
            record = msgspec.json.decode(value, type=Observation)
            self.observations[message.partition() or 0].append((time.monotonic(), record))
        else:
            headers = dict(message.headers() or ())
            where = int(headers["partition"] or b""), int(headers["offset"] or b"")
            assert where not in self.dead_letters, f"{where} died twice"
            self.dead_letters[where] = message

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def row(*values: float, name: str | None = None, **parameters: Any) -> bytes:
    """A request of one tensor of one row."""
    return tensor([list(values)], name, **parameters)


def tensor(rows: list[list[float]], name: str | None = None, **parameters: Any) -> bytes:
    """A request of one tensor."""
    body: dict[str, Any] = {
        "inputs": [
            {
                "name": "x",
                "shape": [len(rows), len(rows[0])],
                "datatype": "FP32",
                "data": [value for entry in rows for value in entry],
            }
        ]
    }
    if name is not None:
        body["id"] = name
    if parameters:
        body["parameters"] = parameters
    return json.dumps(body).encode()


def output(prediction: dict[str, Any], name: str) -> list[Any]:
    """The data of one output of a response."""
    assert "outputs" in prediction, prediction
    return next(entry["data"] for entry in prediction["outputs"] if entry["name"] == name)
