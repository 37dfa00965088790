"""Rows replayed through Kafka by the library behind ``atalaia replay``, and all that was said of them."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atalaia.bundles.manifest import Manifest
from atalaia.demo.history import History
from atalaia.demo.log import end_positions, read_from
from atalaia.demo.telling import Teller
from atalaia.inference.columns import parse_time
from atalaia.inference.protocol import decode_response
from atalaia.replay.deployed import read_deployed
from atalaia.replay.monitors import CAUGHT_UP, RedisFences
from atalaia.replay.outcome import Outcome
from atalaia.replay.report import render_report
from atalaia.replay.run import Options, Replay
from atalaia.replay.shapes import Shape
from atalaia.replay.table import Table
from atalaia.settings import Settings
from atalaia.topics import ALERTS, DRIFT, FAIRNESS, PERFORMANCE, PREDICTIONS

_SAID = (DRIFT, PERFORMANCE, FAIRNESS, ALERTS)

Predictions = list[tuple[bytes, bytes]]
"""Keys and values, as they lie on the topic."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that is over, and what was said of it."""

    outcome: Outcome
    history: History
    shapes: list[Shape]
    manifest: Manifest

    @property
    def trouble(self) -> str:
        """Why it is not whole; empty where all rows have answers and every monitor came to the end."""
        outcome = self.outcome
        behind = [f"{name} {word}" for name, word in outcome.monitors.items() if word != CAUGHT_UP]
        if outcome.answered + outcome.abstained == outcome.rows and not behind:
            return ""
        rows = f"{outcome.answered} answered and {outcome.abstained} abstained on, of {outcome.rows} rows"
        return ", ".join([rows, *behind])

    def write_report(self, path: Path) -> None:
        """As ``atalaia replay --report`` does."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render_report(self.outcome, self.shapes, self.manifest), "utf-8")


def replay(settings: Settings, model: str, path: Path, options: Options, tell: Teller) -> Replayed:
    """Replay a table to a model, wait for the monitors, and read back what they said, every revision.

    Raises
    ------
    UnusableTable
        where the table does not fit the model.
    StreamUnavailable
        where Kafka is away, or nobody answers.
    """
    kafka = settings.kafka
    starts = {topic.name: end_positions(kafka, topic) for topic in _SAID}
    with (
        contextlib.closing(RedisFences(settings.redis.url or "")) as fences,
        tell.waiting("Reading the rows ...") as update,
    ):
        bundle = read_deployed(kafka, model)
        running = Replay(kafka, bundle, Table.open(path), options, fences=fences, tell=update)
        outcome = running.run()
    said = {
        topic.name: [message.value() or b"" for message in read_from(kafka, topic, starts[topic.name])]
        for topic in _SAID
    }
    span = {"start_ms": parse_time(outcome.start), "end_ms": parse_time(outcome.end) + 1}
    return Replayed(outcome, History(model, said, **span), running.shapes(), bundle.manifest)


def replay_answered(
    settings: Settings, model: str, path: Path, options: Options, tell: Teller
) -> tuple[Replayed, Predictions]:
    """As `replay`, and the predictions written meanwhile. The table is gone afterwards."""
    starts = end_positions(settings.kafka, PREDICTIONS)
    replayed = replay(settings, model, path, options, tell)
    path.unlink()
    written = read_from(settings.kafka, PREDICTIONS, starts)
    return replayed, [(message.key() or b"", message.value() or b"") for message in written]


def outputs_by_row(
    replay_name: str, predictions: Iterable[tuple[bytes, bytes]], output: str
) -> dict[int, Any]:
    """An output of the predictions of a replay, by row.

    >>> import orjson
    >>> label = {"name": "label", "shape": [2], "datatype": "INT64", "data": [5, 6]}
    >>> value = orjson.dumps({"model_name": "wine", "id": "r-10", "outputs": [label]})
    >>> outputs_by_row("r", [(b"r-10", value), (b"other-0", value)], "label")
    {10: 5, 11: 6}
    """
    found: dict[int, Any] = {}
    for key, value in predictions:
        name, _, first = key.decode("utf-8", "replace").rpartition("-")
        if name == replay_name:
            found.update(enumerate(decode_response(value).output(output) or [], start=int(first)))
    return found
