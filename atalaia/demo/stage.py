"""What every step of the demo stands on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from atalaia.demo.checks import Checks
from atalaia.demo.log import Positions, Watcher, Writer, end_positions
from atalaia.demo.posting import Answer
from atalaia.demo.refusals import describe
from atalaia.demo.telling import Teller
from atalaia.demo.traffic import Traffic
from atalaia.runtime.machine import Machine
from atalaia.settings import KafkaSettings
from atalaia.topics import DEAD_LETTERS, PREDICTIONS, REQUESTS

PATIENCE_SECONDS = 40.0
"""How long anything may take that must come: a killed scorer's partitions are taken over in about 6 s."""


@dataclass(frozen=True, slots=True)
class Starts:
    """Where the topics ended before the demo wrote to them; a state directory may hold earlier runs."""

    requests: Positions
    predictions: Positions
    dead_letters: Positions

    @classmethod
    def now(cls, kafka: KafkaSettings) -> "Starts":
        """As they end now."""
        return cls(*(end_positions(kafka, topic) for topic in (REQUESTS, PREDICTIONS, DEAD_LETTERS)))


@dataclass(slots=True)
class Stage:
    """A running machine, the rows to send, and what was found so far.

    ``answers`` are those over HTTP that said something of a row; ``refused`` counts requests that were
    wrong on purpose and were told so.
    """

    machine: Machine
    url: str
    traffic: Traffic
    watcher: Watcher
    writer: Writer
    starts: Starts
    run: str
    tell: Teller
    checks: Checks
    answers: list[Answer] = field(default_factory=list)
    refused: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def kafka(self) -> KafkaSettings:
        """Settings of the Kafka that runs."""
        return self.machine.settings.kafka


def latencies(answers: Sequence[Answer]) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds.

    >>> from atalaia.demo.posting import Post
    >>> latencies([Answer(Post("/", b""), 200, b"", seconds) for seconds in (0.001, 0.002, 0.003)])
    (2.0, 2.98)
    """
    p50, p99 = np.quantile([answer.seconds for answer in answers], (0.5, 0.99)) * 1000
    return round(float(p50), 3), round(float(p99), 3)


def spoken(answer: Answer) -> bool:
    """Whether an answer is a prediction, or says that the model abstains."""
    return answer.status == 200 or (answer.status == 422 and b'"out_of_distribution"' in answer.body)


def strangest(answers: Sequence[Answer]) -> str:
    """The first answer that should not be, in words."""
    odd = [answer for answer in answers if not spoken(answer)]
    if not odd:
        return "all are"
    return f"{len(odd)} otherwise, the first {describe(odd[0])}"
