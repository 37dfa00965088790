"""What chaos must leave behind: the callers' answers, held against the log and against the model itself."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.bundles.predictor import Predictor
from atalaia.conservation import Facts, examine
from atalaia.inference.protocol import InferResponse, decode_response
from atalaia.inference.responses import ResponseWriter
from atalaia.inference.rows import FloatArray, Rows

SHOWN = 10


class Asked(NamedTuple):
    """A request somebody waited for: its id, its row, and what came back."""

    id: str
    row: tuple[float, ...]
    status: int
    body: bytes


class Predicted(NamedTuple):
    """A committed prediction."""

    key: bytes
    value: bytes


@dataclass(frozen=True)
class Verdict:
    """What is wrong, in words, one line a difference; nothing where all is as promised."""

    wrong: Sequence[str]
    answered: int
    positions: int


class Oracle:
    """The answer to a row, from the bundles themselves, by the version that says it answered.

    Rows are scored together, once: the same row gets the same answer in whatever batch.
    """

    def __init__(self, *predictors: Predictor) -> None:
        self._predictors = {predictor.manifest.version: predictor for predictor in predictors}

    def answers(self, asked: Sequence[Asked]) -> dict[str, InferResponse]:
        """The right response to each request, by id; none where an unknown version says it answered."""
        by_version: dict[str | None, list[Asked]] = defaultdict(list)
        for entry in asked:
            by_version[decode_response(entry.body).model_version].append(entry)
        right: dict[str, InferResponse] = {}
        for version, predictor in self._predictors.items():
            if version in by_version:
                right |= _answers(predictor, by_version[version])
        return right


def _answers(predictor: Predictor, asked: Sequence[Asked]) -> dict[str, InferResponse]:
    served: FloatArray = np.array([entry.row for entry in asked], np.float32).astype(np.float64)
    ids = [entry.id for entry in asked]
    bodies = ResponseWriter(predictor.manifest).single_rows(ids, predictor.predict(Rows(numeric=served)))
    return {name: decode_response(body) for name, body in zip(ids, bodies, strict=True)}


def judge(
    oracle: Oracle,
    *,
    asked: Sequence[Asked],
    acknowledged: Sequence[str],
    facts: Facts,
    keys: Mapping[str, bytes],
    predictions: Iterable[Predicted],
) -> Verdict:
    """Hold callers, log and model against each other.

    Parameters
    ----------
    asked : every request that was posted, whatever became of it
    acknowledged : ids of the requests written straight to Kafka that it said it has
    facts : the log
    keys : the Kafka key of each request, by its id, as it lay on `requests`
    predictions : the committed ones
    """
    report = examine(facts, shown=SHOWN)
    wrong = [
        f"{entry.kind} at {entry.partition}/{entry.offset}: {entry.detail}" for entry in report.differences
    ]
    if report.pending:
        wrong.append(f"{report.pending} positions are still pending")
    wrong += [f"lost request: {name} was acknowledged" for name in acknowledged if name not in keys]
    by_key: dict[bytes, list[bytes]] = defaultdict(list)
    for prediction in predictions:
        by_key[prediction.key].append(prediction.value)
    answered = [entry for entry in asked if entry.status == 200]
    right = oracle.answers(answered)
    for entry in answered:
        wrong += _judge_one(entry, keys.get(entry.id), by_key, right.get(entry.id))
    return Verdict(_bounded(wrong), len(answered), report.positions)


def _judge_one(
    entry: Asked, key: bytes | None, by_key: Mapping[bytes, Sequence[bytes]], right: InferResponse | None
) -> list[str]:
    """What is wrong with one answer of 200."""
    told = decode_response(entry.body)
    if told.id != entry.id:
        return [f"wrong caller: {entry.id} was told the answer of {told.id}"]
    if right is None or not _same(told, right):
        says = f"the model says {right.outputs}" if right is not None else "nobody deployed that version"
        return [f"wrong answer: {entry.id} was told {told.outputs} of {told.model_version}, {says}"]
    if key is None:
        return [f"lost request: {entry.id} got 200 and is not on requests"]
    found = by_key.get(key, ())
    if len(found) != 1:
        return [f"{len(found)} predictions: {entry.id} got 200, its key {key!r} is there {len(found)} times"]
    if not _same(decode_response(found[0]), told):
        return [f"other prediction: {entry.id} was told {told.outputs}, predictions has {found[0]!r}"]
    return []


def _same(one: InferResponse, other: InferResponse) -> bool:
    """Whether two responses say the same of the same request; one may have expired on its second scoring."""
    return _bare(one) == _bare(other)


def _bare(response: InferResponse) -> InferResponse:
    return msgspec.structs.replace(response, parameters=None)


def _bounded(wrong: list[str]) -> list[str]:
    kinds: Counter[str] = Counter()
    kept = []
    for line in wrong:
        kind = line.split(":")[0].split(" at ")[0]
        kinds[kind] += 1
        if kinds[kind] <= SHOWN:
            kept.append(line)
    return kept
