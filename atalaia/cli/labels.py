"""``atalaia labels``: late truth from a CSV file, straight to Kafka; needs nothing but its settings."""

import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from confluent_kafka import KafkaError, Message, Producer
from rich.console import Console

from atalaia.cli.label_table import LabelTable, WrongLine
from atalaia.errors import StreamUnavailable
from atalaia.labels import LabelRows, write_labels
from atalaia.replay.deployed import read_deployed
from atalaia.settings import KafkaSettings, load
from atalaia.stream.admin import create_topics
from atalaia.stream.clients import producer
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS

AT_ONCE = 1_000
SHOWN = 20
"""How many lines that are wrong are told of; the rest is counted."""
DELIVERY_SECONDS = 120.0
"""How long a broker may be away before the command gives up."""


def labels(
    csv: Annotated[
        Path,
        typer.Argument(
            help="A file with the columns id, label, and if wanted row, time and context columns.",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    model: Annotated[str, typer.Option(help="The model that was asked.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Send what turned out to be true; lines that do not fit the model are named and left out.

    Exits 0 once all that fits is durable on Kafka, 1 where nothing fits.
    """
    started = time.monotonic()
    kafka = load().kafka
    create_topics(kafka, (LABELS,))
    table = LabelTable.open(csv, read_deployed(kafka, model).manifest)
    writer = Writer(kafka, model)
    wrong: list[WrongLine] = []
    refused = 0
    for lines in table.chunks(AT_ONCE):
        rows, unfit = table.read(lines, now_ms=int(time.time() * 1000))
        writer.write(rows)
        refused += len(unfit)
        wrong += unfit[: SHOWN - len(wrong)]
    writer.finish()
    seconds = time.monotonic() - started
    _tell(csv, writer.accepted, refused, wrong)
    if as_json:
        answer = {"accepted": writer.accepted, "refused": refused, "seconds": round(seconds, 3)}
        typer.echo(orjson.dumps(answer).decode())
    if not writer.accepted:
        raise typer.Exit(1)


class Writer:
    """Publishes labels of a model; `accepted` counts those that Kafka holds."""

    def __init__(self, kafka: KafkaSettings, model: str) -> None:
        self._topic = kafka.topic_prefix + LABELS.name
        self._model = model
        self._failure: str | None = None
        self._producer: Producer = producer(
            kafka, **{"delivery.timeout.ms": round(DELIVERY_SECONDS * 1000), "linger.ms": 5}
        )
        self.accepted = 0

    def write(self, rows: LabelRows) -> None:
        """Send labels as one message; waits where many are under way.

        Raises
        ------
        StreamUnavailable
            where Kafka did not take some that were sent before.
        """
        if not len(rows):
            return

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.accepted += len(rows)
            else:
                self._failure = error.str()

        value, partition = write_labels(rows), partition_of(self._model, LABELS.partitions)
        while True:
            self._check()
            try:
                self._producer.produce(
                    self._topic, value, self._model.encode(), partition, on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def finish(self) -> None:
        """Wait until Kafka has all.

        Raises
        ------
        StreamUnavailable
            where it does not take them in time.
        """
        left = self._producer.flush(DELIVERY_SECONDS)
        if left:
            self._failure = f"{left} messages were not acknowledged within {DELIVERY_SECONDS:g} s"
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise StreamUnavailable(
                f"Kafka did not take all labels ({self._failure}), {self.accepted} were accepted; "
                "run it again: a label that comes twice counts once"
            )


def _tell(path: Path, accepted: int, refused: int, wrong: list[WrongLine]) -> None:
    console = Console(stderr=True, highlight=False)
    for line, why in wrong:
        console.print(f"{path}, line {line}: {why}", markup=False, soft_wrap=True)
    if refused > len(wrong):
        console.print(f"... and {refused - len(wrong):,} lines more")
    console.print(f"{accepted:,} labels accepted, {refused:,} refused")
