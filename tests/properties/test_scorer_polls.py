"""However the same messages are split into polls, they get the same answers and the same observed rows."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.records import Array, ModelObservation
from atalaia.stream.catalog import View
from services.scorer.observing import observe
from services.scorer.served import Served
from tests.broker.scorer.models import line_bundle, table_bundle
from tests.unit.scorer.polls import Answered, Position, answer, columns, deployment, message, tensor, view

PARTITIONS = 3
Observed = dict[tuple[Position, int], tuple[Any, ...]]

numbers = st.floats(-3, 3, width=32)
pairs = st.tuples(numbers, numbers)
places = st.sampled_from([0.0, 3.0, 9.0, 10.0, 77.0])
names = st.one_of(st.none(), st.sampled_from(["one", "two", "%s"]))
values = st.one_of(
    st.builds(lambda row, name: tensor([row], name), pairs, names),
    st.builds(tensor, st.lists(pairs, min_size=1, max_size=4), names),
    st.builds(lambda row: tensor([row], version="1"), pairs),
    st.builds(lambda place: tensor([[place]], model="table"), places),
    st.builds(
        lambda row, sex, name: columns(
            name, b=("FP32", [row[1]]), sex=("BYTES", [sex]), a=("FP32", [row[0]])
        ),
        pairs,
        st.sampled_from(["F", "M", "?"]),
        names,
    ),
    st.builds(
        lambda row: columns(
            a=("FP32", [row[0]]), b=("FP32", [row[1]]), event_time=("BYTES", ["2026-01-31T12:00:00Z"])
        ),
        pairs,
    ),
    st.sampled_from(
        [
            None,
            b"",
            b"[",
            tensor([[1e300, 0.0]]),
            tensor([[1.0]]),
            b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1], [2]]}]}',
            b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2]]}]}',
            b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}]}',
            b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "BYTES", "data": [1, 2]}]}',
        ]
    ),
)
headers = st.one_of(
    st.none(),
    st.sampled_from([{"deadline": b"1"}, {"reply": b"1"}]),
    st.fixed_dictionaries(
        {},
        optional={
            "deadline": st.sampled_from([b"1", b"999999", b"soon"]),
            "version": st.sampled_from([b"1", b"2", b"3"]),
            "model": st.sampled_from([b"line", b"table", b"nobody"]),
            "reply": st.just(b"1"),
        },
    ),
)
requests = st.tuples(values, headers, st.integers(0, PARTITIONS - 1), st.sampled_from([b"key", None, b""]))
alike = st.tuples(
    st.builds(lambda row: tensor([row], "same"), pairs),
    st.sampled_from([None, None, None, {"deadline": b"1"}]),
    st.just(0),
    st.just(b"key"),
)
traffic = st.one_of(*(st.lists(kind, min_size=12, max_size=40) for kind in (requests, alike)))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> View[Served]:
    folder: Path = tmp_path_factory.mktemp("polls")
    one = Served(line_bundle(folder / "1", "line"))
    two = Served(line_bundle(folder / "2", "line", version="2", shift=50.0))
    table = Served(table_bundle(folder / "table", "table"))
    deployments = {"line": [deployment(one), deployment(two, positions={0: 3, 1: 0, 2: 99})]}
    return view(one, two, table, deployments=deployments)


def observed(answered: Answered) -> Observed:
    """Each observed row, to the bit, by where its request lay and its place in it."""
    found: Observed = {}
    for model in observe(answered.scored):
        columns_of = _columns(model)
        row = 0
        for place, rows in enumerate(model.rows.numpy().tolist()):
            at = (int(model.partition.numpy()[place]), int(model.offset.numpy()[place]))
            told = (model.model, model.version, model.id[place], bool(model.expired.numpy()[place]))
            for within in range(rows):
                assert (at, within) not in found
                found[at, within] = (*told, *(column[row] for column in columns_of))
                row += 1
    return found


def _columns(model: ModelObservation) -> list[list[Any]]:
    arrays = [model.event_time_ms, model.score, model.applicability, model.abstained]
    arrays += [*model.features.values(), *model.context.values()]
    return [_cells(array) for array in arrays]


def _cells(array: Array) -> list[Any]:
    values = array.numpy()
    if array.categories is None:
        return [cell.tobytes() for cell in values]
    return [None if code < 0 else array.categories[code] for code in values.tolist()]


@settings(max_examples=120, deadline=None)
@given(traffic=traffic, cuts=st.lists(st.integers(1, 39), min_size=1, max_size=6))
def test_answers_and_observed_rows_do_not_depend_on_the_polls(
    seen: View[Served], traffic: list[Any], cuts: list[int]
) -> None:
    messages: list[Message] = []
    offsets = [0] * PARTITIONS
    for value, given_headers, partition, key in traffic:
        at = (partition, offsets[partition])
        offsets[partition] += 1
        messages.append(message(value, at=at, key=key, headers=given_headers, time_ms=1_000 + len(messages)))
    whole = answer(seen, messages)
    split = answer(seen, messages, cuts=[min(cut, len(messages)) for cut in cuts])
    assert split.responses == whole.responses
    assert split.versions == whole.versions
    assert {at: (refusal.code, refusal.detail) for at, refusal in split.refusals.items()} == {
        at: (refusal.code, refusal.detail) for at, refusal in whole.refusals.items()
    }
    assert observed(split) == observed(whole)
