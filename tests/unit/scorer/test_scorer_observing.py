import math

import msgspec
import numpy as np

from atalaia.records import ModelObservation
from services.scorer.observing import observe
from services.scorer.served import Served
from tests.unit.scorer.polls import answer, columns, message, tensor, view


def read(observation: ModelObservation) -> ModelObservation:
    """As a monitor gets it."""
    return msgspec.json.decode(msgspec.json.encode(observation), type=ModelObservation)


def test_what_is_observed_is_what_was_asked_and_answered(loan: Served) -> None:
    rows = [(1.5, 3, "red"), (None, 0, "green"), (0.1, 8, "red")]
    messages = [
        message(
            columns(
                f"id-{n}", income=("FP32", [income]), children=("INT64", [children]), colour=("BYTES", [c])
            ),
            at=(n % 2, n),
            time_ms=100 + n,
        )
        for n, (income, children, c) in enumerate(rows)
    ]
    [seen] = observe(answer(view(loan), messages).scored)
    seen = read(seen)
    assert (seen.model, seen.version, seen.role, seen.digest) == ("loan", "7", "primary", loan.digest)
    assert seen.id == ["id-0", "id-1", "id-2"]
    assert seen.partition.numpy().tolist() == [0, 1, 0]
    assert seen.offset.numpy().tolist() == [0, 1, 2]
    assert seen.rows.numpy().tolist() == [1, 1, 1]
    assert seen.event_time_ms.numpy().tolist() == [100, 101, 102]
    income = seen.features["income"].numpy()
    assert income.dtype == np.float32
    assert [None if math.isnan(value) else value for value in income] == [1.5, None, np.float32(0.1)]
    assert seen.features["children"].numpy().tolist() == [3, 0, 8]
    colour = seen.features["colour"]
    assert colour.categories is not None
    assert [colour.categories[code] for code in colour.numpy()] == ["red", "green", "red"]
    assert seen.score.numpy().tolist() == [5.5, 2.0, np.float32(0.1) + np.float32(9.0)]
    assert seen.label is None
    assert seen.classes is None


def test_context_is_observed_and_missing_where_it_was_not_given(line: Served) -> None:
    numbers = {"a": ("FP32", [1.0]), "b": ("FP32", [2.0])}
    messages = [
        message(columns("with", **numbers, sex=("BYTES", ["M"]), age=("FP64", [0.1])), at=(0, 0)),
        message(tensor([[1.0, 2.0]], "without"), at=(0, 1)),
    ]
    [seen] = map(read, observe(answer(view(line), messages).scored))
    sex, ages = seen.context["sex"], seen.context["age"].numpy()
    told = {
        name: (None if code < 0 else (sex.categories or [])[code], None if math.isnan(age) else age)
        for name, code, age in zip(seen.id, sex.numpy().tolist(), ages.tolist(), strict=True)
    }
    assert told == {"with": ("M", 0.1), "without": (None, None)}


def test_versions_are_observed_apart_and_batches_together(line: Served, line_2: Served) -> None:
    seen = view(line, line_2)
    first = answer(
        seen,
        [
            message(tensor([[0.0, 0.0]]), at=(0, 0), headers={"version": b"1"}),
            message(tensor([[1.0, 0.0], [2.0, 0.0]]), at=(0, 1)),
        ],
    )
    second = answer(seen, [message(tensor([[3.0, 0.0]]), at=(0, 2), headers={"version": b"1"})])
    found = {entry.version: entry for entry in map(read, observe([*first.scored, *second.scored]))}
    assert found["1"].features["a"].numpy().tolist() == [0.0, 3.0]
    assert found["2"].features["a"].numpy().tolist() == [1.0, 2.0]
    assert found["2"].rows.numpy().tolist() == [2]
    assert found["1"].offset.numpy().tolist() == [0, 2]


def test_a_section_without_requests_observes_nothing() -> None:
    assert observe([]) == []


def test_each_batch_tells_how_long_its_oldest_request_waited(line: Served) -> None:
    seen = view(line)
    rows = tensor([[1.0, 0.0], [2.0, 0.0]])
    first = [message(rows, at=(0, 0), time_ms=1_990), message(tensor([[0.0, 0.0]]), at=(1, 0), time_ms=1_500)]
    second = [message(tensor([[3.0, 0.0]]), at=(0, 1), time_ms=2_700)]
    scored = [*answer(seen, first, now_ms=2_000).scored, *answer(seen, second, now_ms=2_600).scored]
    [found] = map(read, observe(scored))
    assert found.waited_ms is not None
    assert found.waited_rows is not None
    # A clock that is behind the broker's waits no less than not at all.
    assert found.waited_ms.numpy().tolist() == [500, 0]
    assert found.waited_rows.numpy().tolist() == [3, 1]
