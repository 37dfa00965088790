import json

import numpy as np
import pytest

from services.scorer.served import Served
from tests.unit.scorer.polls import answer, columns, message, tensor, view

ROW = [[0.5, 0.25]]


def test_a_model_that_fails_for_one_request_fails_for_that_one_alone(table: Served) -> None:
    places = [1.0, 77.0, 3.0, -99.0, 9.0]
    messages = [message(tensor([[place]], f"id-{n}"), at=(0, n)) for n, place in enumerate(places)]
    messages.append(message(tensor([[2.0], [88.0]], "two"), at=(0, 5)))
    messages.append(message(tensor([[2.0], [4.0]], "fine"), at=(0, 6)))
    answered = answer(view(table), messages)
    assert {at[1]: answered.output(at, "value") for at in answered.responses} == {
        0: [2.0],
        2: [6.0],
        4: [18.0],
        6: [4.0, 8.0],
    }
    assert {at[1]: refusal.code for at, refusal in answered.refusals.items()} == dict.fromkeys(
        (1, 3, 5), "scoring_failed"
    )
    failure = answered.failures[0, 1]
    assert (failure.request.id, failure.model, failure.version) == ("id-1", "table", "1")


@pytest.mark.parametrize("others", [0, 1, 5])
def test_a_list_a_value_is_refused_alone_and_among_others(line: Served, others: int) -> None:
    odd = json.dumps(
        {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1.0], [2.0]]}]}
    ).encode()
    messages = [message(odd, at=(1, 0)), *(message(tensor(ROW), at=(0, n)) for n in range(others))]
    answered = answer(view(line), messages)
    assert [refusal.code for refusal in answered.refusals.values()] == ["invalid_input"]
    assert len(answered.responses) == others


def test_a_value_that_does_not_fit_is_named_and_its_neighbours_are_answered(line: Served) -> None:
    answered = answer(
        view(line),
        [
            message(tensor(ROW), at=(0, 0)),
            message(tensor([[1e300, 0.0]]), at=(0, 1)),
            message(tensor(ROW), at=(0, 2)),
        ],
    )
    assert sorted(answered.responses) == [(0, 0), (0, 2)]
    assert answered.refusals[0, 1].code == "invalid_input"


def test_rows_carry_their_own_time_else_the_messages(line: Served) -> None:
    times = ("BYTES", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"])
    answered = answer(
        view(line),
        [
            message(tensor(ROW), at=(0, 0), time_ms=11),
            message(columns(a=("FP32", [1, 2]), b=("FP32", [1, 2]), event_time=times), at=(0, 1), time_ms=12),
            message(tensor([[0.0, 0.0]] * 3), at=(0, 2), time_ms=13),
            message(tensor(ROW, event_time="2026-01-31T12:00:02Z"), at=(0, 3), time_ms=14),
        ],
    )
    found = {}
    for scored in answered.scored:
        stops = np.cumsum(scored.row_counts)
        for asked, stop, rows in zip(scored.messages, stops, scored.row_counts, strict=True):
            found[asked.offset()] = scored.event_time_ms[stop - rows : stop].tolist()
    noon = 1_769_860_800_000
    assert found == {0: [11], 1: [noon, noon + 1_000], 2: [13, 13, 13], 3: [noon + 2_000]}


@pytest.mark.parametrize("name", ["named", None])
def test_a_request_past_its_deadline_is_scored_and_says_so(line: Served, name: str | None) -> None:
    [scored] = answer(
        view(line),
        [
            message(tensor(ROW, name), at=(0, 0), headers={"deadline": b"1999"}),
            message(tensor(ROW, name), at=(0, 1), headers={"deadline": b"2000"}),
            message(tensor(ROW, name), at=(0, 2)),
        ],
        now_ms=2_000,
    ).scored
    assert scored.expired.tolist() == [True, False, False]
    said = [json.loads(response).get("parameters") for response in scored.responses]
    assert said == [{"expired": True}, None, None]


def test_only_a_single_row_out_of_distribution_is_refused_to_its_caller(line: Served) -> None:
    far = [500.0, -500.0]
    answered = answer(
        view(line),
        [
            message(tensor([far]), at=(0, 0)),
            message(tensor(ROW), at=(0, 1)),
            message(tensor([far, far]), at=(0, 2)),
        ],
    )
    refused = {
        asked.offset(): scored.refused(index)
        for scored in answered.scored
        for index, asked in enumerate(scored.messages)
    }
    assert refused == {0: True, 1: False, 2: False}
    assert answered.output((0, 2), "abstained") == [True, True]


def test_many_rows_are_one_response_in_their_order(line: Served) -> None:
    rows = np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
    answered = answer(view(line), [message(tensor(rows.astype(float).tolist(), "many"))])
    np.testing.assert_array_equal(
        np.array(answered.output((0, 0), "value"), np.float32), rows.sum(axis=1, dtype=np.float32)
    )
    assert json.loads(answered.responses[0, 0])["id"] == "many"
