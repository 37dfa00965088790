"""What the demo counts must be able to say no."""

from typing import Any

import orjson
import pytest

from atalaia.demo.tally import Logged, Told, Written, count, differing


def prediction(request_id: str, *, label: str = "clean", abstained: bool = False) -> bytes:
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": [label]},
        {"name": "score", "datatype": "FP32", "shape": [1], "data": [0.25]},
        {"name": "applicability", "datatype": "FP32", "shape": [1], "data": [3.5]},
        {"name": "abstained", "datatype": "BOOL", "shape": [1], "data": [abstained]},
    ]
    return orjson.dumps({"model_name": "bmp", "model_version": "1", "id": request_id, "outputs": outputs})


REQUESTS = [Logged(0, 0, b"a"), Logged(0, 1, b"b"), Logged(1, 0, None)]
PREDICTIONS = [Written(b"a", prediction("a")), Written(b"b", prediction("b", abstained=True))]


def test_one_answer_each_is_exactly_once() -> None:
    tally = count(REQUESTS, PREDICTIONS, {(1, 0)})
    assert tally.exactly_once
    assert (tally.answered_rows, tally.abstained_rows, tally.failed_requests) == (1, 1, 0)
    assert tally.describe() == "0 lost, 0 answered twice"


@pytest.mark.parametrize(
    ("predictions", "dead", "wrong"),
    [
        (PREDICTIONS[:1], {(1, 0)}, "1 without an answer (b, ...)"),
        ([*PREDICTIONS, PREDICTIONS[0]], {(1, 0)}, "1 answered more than once (a, ...)"),
        ([*PREDICTIONS, Written(b"c", prediction("c"))], {(1, 0)}, "1 answered but never asked (c, ...)"),
        (PREDICTIONS, {(0, 0)}, "1 without a key and no dead letter (1-0, ...)"),
    ],
)
def test_whatever_is_not_exactly_once_is_told(
    predictions: list[Written], dead: set[tuple[int, int]], wrong: str
) -> None:
    tally = count(REQUESTS, predictions, dead)
    assert not tally.exactly_once
    assert tally.describe() == wrong


def test_a_key_written_twice_needs_two_answers() -> None:
    twice = [Logged(0, 0, b"a"), Logged(0, 1, b"a")]
    assert count(twice, PREDICTIONS[:1], set()).missing == ["a"]
    assert count(twice, [PREDICTIONS[0]] * 2, set()).exactly_once


def test_an_error_is_an_answer_and_no_row() -> None:
    error = Written(b"a", orjson.dumps({"id": "a", "error": "no JSON"}))
    tally = count([Logged(0, 0, b"a")], [error], {(0, 0)})
    assert tally.exactly_once
    assert (tally.answered_rows, tally.failed_requests) == (0, 1)


ROW: dict[str, Any] = {"label": "clean", "score": 0.25, "applicability": 3.5, "abstained": False}
REFUSED = {"code": "out_of_distribution", "status": 422}


@pytest.mark.parametrize(
    ("status", "body", "written", "agrees"),
    [
        (200, ROW, prediction("a"), True),
        (200, {"predictions": [ROW]}, prediction("a"), True),
        (200, orjson.loads(prediction("a")), prediction("a"), True),
        (422, REFUSED, prediction("a", abstained=True), True),
        (200, ROW | {"score": 0.26}, prediction("a"), False),
        (200, {"predictions": [ROW, ROW]}, prediction("a"), False),
        (200, orjson.loads(prediction("a", label="contaminated")), prediction("a"), False),
        (422, REFUSED, prediction("a"), False),
        (200, ROW, prediction("b"), False),
        (200, ROW, orjson.dumps({"id": "a", "error": "failed"}), False),
    ],
)
def test_an_answer_over_http_is_held_against_the_topic(
    status: int, body: object, written: bytes, *, agrees: bool
) -> None:
    told = Told("a", status, orjson.dumps(body))
    assert differing([told], [Written(b"key", written)]) == ([] if agrees else ["a"])
