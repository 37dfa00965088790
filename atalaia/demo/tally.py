"""Counting: does every request have exactly one answer, and is it the one its caller got? Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from atalaia.inference.protocol import InferResponse, decode_response
from atalaia.inference.responses import abstained_rows


class Logged(NamedTuple):
    """A message of `requests`."""

    partition: int
    offset: int
    key: bytes | None


class Written(NamedTuple):
    """A committed message of `predictions`."""

    key: bytes
    value: bytes


class Told(NamedTuple):
    """What a caller was answered over HTTP: the id it knows, and the body."""

    id: str
    status: int
    body: bytes


@dataclass(slots=True)
class Tally:
    """The count; the lists hold what should not be.

    ``missing`` are keys without an answer, ``repeated`` those with more than one, ``strangers`` keys of
    answers nobody asked for, ``forgotten`` positions of requests without a key that are no dead letters.
    """

    requests: int = 0
    predictions: int = 0
    missing: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    answered_rows: int = 0
    abstained_rows: int = 0
    failed_requests: int = 0

    @property
    def exactly_once(self) -> bool:
        """Whether every request has exactly one fate."""
        return not (self.missing or self.repeated or self.strangers or self.forgotten)

    def describe(self) -> str:
        """What differs, with an example of each."""
        lists = {
            "without an answer": self.missing,
            "answered more than once": self.repeated,
            "answered but never asked": self.strangers,
            "without a key and no dead letter": self.forgotten,
        }
        found = [f"{len(keys):,} {what} ({keys[0]}, ...)" for what, keys in lists.items() if keys]
        return "; ".join(found) or "0 lost, 0 answered twice"


def count(
    requests: Sequence[Logged], predictions: Sequence[Written], dead_letters: Set[tuple[int, int]]
) -> Tally:
    """Hold the answers against the requests, by key; ``dead_letters`` are positions.

    >>> count([Logged(0, 0, b"a"), Logged(0, 1, b"b")], [Written(b"a", b"{}")], set()).missing
    ['b']
    """
    asked = Counter(request.key for request in requests if request.key)
    given = Counter(prediction.key for prediction in predictions)
    result = Tally(requests=len(requests), predictions=len(predictions))
    result.missing = _texts((asked - given).keys())
    extra = given - asked
    result.repeated = _texts(key for key in extra if key in asked)
    result.strangers = _texts(key for key in extra if key not in asked)
    result.forgotten = [
        f"{request.partition}-{request.offset}"
        for request in requests
        if not request.key and (request.partition, request.offset) not in dead_letters
    ]
    for prediction in predictions:
        response = decode_response(prediction.value)
        if response.error is not None:
            result.failed_requests += 1
        else:
            abstained = abstained_rows(response)
            result.abstained_rows += sum(abstained)
            result.answered_rows += len(abstained) - sum(abstained)
    return result


def differing(told: Iterable[Told], predictions: Iterable[Written]) -> list[str]:
    """Ids of callers who were told anything else than what `predictions` holds."""
    written: dict[str, InferResponse] = {}
    for prediction in predictions:
        response = decode_response(prediction.value)
        written[response.id or ""] = response
    return [answer.id for answer in told if not _agrees(answer, written.get(answer.id))]


def _agrees(told: Told, written: InferResponse | None) -> bool:
    """Whether the answer over HTTP, in whichever form, says what was written."""
    if written is None or written.error is not None:
        return False
    body: dict[str, Any] = orjson.loads(told.body)
    if told.status == 422:
        return abstained_rows(written) == [True] and body["code"] == "out_of_distribution"
    if "outputs" in body:
        return all(written.output(output["name"]) == output["data"] for output in body["outputs"])
    rows = body.get("predictions", [body])
    names = ("label", "score", "applicability", "abstained")
    return all([row[name] for row in rows] == written.output(name) for name in names)


def _texts(keys: Iterable[bytes | None]) -> list[str]:
    return [(key or b"").decode("utf-8", "replace") for key in keys]
