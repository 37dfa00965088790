"""Requests as Kafka's own messages without a broker, scored as the loop does."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from atalaia.bundles.folder import Bundle
from atalaia.errors import Refusal
from atalaia.records import Deployment, ModelRecord, Role
from atalaia.stream.catalog import View
from services.scorer.intake import Batch, Failure, Intake
from services.scorer.scoring import Scored, score
from services.scorer.served import Served

TOPIC = "atalaia.requests"
Position = tuple[int, int]
Headers = Mapping[str, bytes | None]


def message(
    value: bytes | None,
    *,
    at: Position = (0, 0),
    key: bytes | None = b"key",
    headers: Headers | None = None,
    time_ms: int = 1_000,
) -> Message:
    """A message of `requests`, as a poll would bring it."""
    given: list[tuple[str, str | bytes | None]] | None = None if headers is None else [*headers.items()]
    return Message(
        topic=TOPIC,
        value=value,
        key=key,
        headers=given,
        partition=at[0],
        offset=at[1],
        timestamp=(1, time_ms),
    )


def tensor(rows: Sequence[Sequence[float]], name: str | None = None, **parameters: Any) -> bytes:
    """A request of one tensor."""
    data = [value for row in rows for value in row]
    body: dict[str, Any] = {
        "inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": data}]
    }
    if name is not None:
        body["id"] = name
    if parameters:
        body["parameters"] = parameters
    return json.dumps(body).encode()


def columns(name: str | None = None, **given: tuple[str, list[Any]]) -> bytes:
    """A request of one tensor a column: its datatype and values."""
    inputs = [
        {"name": column, "shape": [len(data)], "datatype": datatype, "data": data}
        for column, (datatype, data) in given.items()
    ]
    return json.dumps({"inputs": inputs} | ({} if name is None else {"id": name})).encode()


def deployment(
    bundle: Served | Bundle,
    *,
    role: Role = "primary",
    positions: dict[int, int] | None = None,
    weight: float | None = None,
) -> Deployment:
    version = bundle.version
    return Deployment(version, bundle.digest, role, positions or {}, "2026-01-01T00:00:00Z", weight)


def view(*served: Served, deployments: dict[str, list[Deployment]] | None = None) -> View[Served]:
    """All served, each a primary from the start unless told otherwise; the first is the default model."""
    names = list(dict.fromkeys(entry.name for entry in served))
    records = {
        name: ModelRecord(
            name,
            f"2026-01-0{place + 1}T00:00:00Z",
            (deployments or {}).get(name) or [deployment(entry) for entry in served if entry.name == name],
        )
        for place, name in enumerate(names)
    }
    return View(records, {(entry.name, entry.version): entry for entry in served})


@dataclass
class Answered:
    """What became of messages, by position; ``scored`` in the order of scoring."""

    responses: dict[Position, bytes] = field(default_factory=dict)
    versions: dict[Position, tuple[str, str]] = field(default_factory=dict)
    refusals: dict[Position, Refusal] = field(default_factory=dict)
    failures: dict[Position, Failure] = field(default_factory=dict)
    scored: list[Scored] = field(default_factory=list)

    def add(self, scored: Sequence[Scored], failures: Sequence[Failure]) -> None:
        """Each position once, or it fails; shadows are heard beside."""
        self.scored += scored
        for entry in scored:
            if entry.shadow:
                continue
            for asked, response in zip(entry.messages, entry.responses, strict=True):
                at = (asked.partition(), asked.offset())
                assert at not in self.responses
                self.responses[at] = response
                self.versions[at] = (entry.served.name, entry.served.version)
        for failure in failures:
            at = (failure.request.message.partition(), failure.request.message.offset())
            assert at not in self.refusals
            self.refusals[at], self.failures[at] = failure.refusal, failure

    def output(self, at: Position, name: str) -> list[Any]:
        """The data of one output of the response to a position."""
        outputs = json.loads(self.responses[at])["outputs"]
        return next(entry["data"] for entry in outputs if entry["name"] == name)


def take(seen: View[Served], messages: Sequence[Message]) -> Iterator[Batch]:
    """Batches until all messages are taken."""
    left = list(messages)
    while left:
        batch = Intake(seen, topic=TOPIC).take(left)
        assert batch.taken > 0
        yield batch
        left = left[batch.taken :]


def answer(
    seen: View[Served], messages: Sequence[Message], *, now_ms: int = 2_000, cuts: Sequence[int] = ()
) -> Answered:
    """What becomes of messages that come in polls cut at the given places."""
    answered = Answered()
    for start, stop in itertools.pairwise([0, *sorted(cuts), len(messages)]):
        for batch in take(seen, messages[start:stop]):
            answered.add([], batch.failures)
            for group in batch.groups:
                answers = score(group, now_ms=now_ms)
                answered.add(answers.scored, answers.failures)
    assert len(answered.responses) + len(answered.refusals) == len(messages)
    return answered
