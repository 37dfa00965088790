"""What a load test sends and how it is judged."""

from typing import Any

import pytest

from loadtest.arguments import parser
from loadtest.rows import Requests
from loadtest.tally import NO_ANSWER, Tally, as_object, as_table, find_faults

SCHEMA: dict[str, Any] = {
    "model": "panel",
    "example": {"sodium": 140, "potassium": 4.0, "change": 0.1, "sex": "F"},
    "features": [
        {"name": "sodium", "missing": False},
        {"name": "potassium", "missing": False},
        {"name": "change", "missing": True},
    ],
}


def test_a_fifth_of_the_requests_lacks_a_field_that_is_needed() -> None:
    requests = Requests(SCHEMA, seed=3)
    drawn = [requests.draw() for _ in range(5_000)]
    missing = [asked for asked in drawn if asked.kind == "missing"]
    # Five standard deviations of a share of 5,000 draws.
    assert abs(len(missing) / len(drawn) - 0.2) < 0.03
    assert {asked.expected for asked in missing} == {422}
    left_out = {tuple(SCHEMA["example"].keys() - asked.body.keys()) for asked in missing}
    assert left_out == {("sodium",), ("potassium",)}
    valid = [asked for asked in drawn if asked.kind == "valid"]
    assert all(asked.body == SCHEMA["example"] and asked.expected == 200 for asked in valid)


def test_the_same_seed_draws_the_same_requests() -> None:
    one, other = (Requests(SCHEMA, seed=7) for _ in range(2))
    assert [one.draw() for _ in range(50)] == [other.draw() for _ in range(50)]


def test_a_model_that_needs_nothing_cannot_be_loaded_so() -> None:
    features = [{**feature, "missing": True} for feature in SCHEMA["features"]]
    with pytest.raises(ValueError, match="'panel'"):
        Requests({**SCHEMA, "features": features}, seed=1)


def tally(*statuses: int, expected: int = 200) -> Tally:
    made = Tally("5 users")
    for place, status in enumerate(statuses):
        made.add("valid", status=status, expected=expected, seconds=0.001 * (place + 1))
    return made


@pytest.mark.parametrize("wrong", [500, 503, 422, 202, NO_ANSWER])
def test_one_wrong_answer_fails_the_load_test_and_is_told(wrong: int) -> None:
    lines = tally(*[200] * 99, wrong).lines(seconds=2.0)
    [fault] = find_faults(lines)
    assert "1 of 100" in fault
    assert ("no answer: 1" if wrong == NO_ANSWER else f"{wrong}: 1") in fault
    assert as_object(lines)["faults"] == [fault]


def test_right_answers_pass_also_where_right_is_422() -> None:
    made = tally(200, 200)
    made.add("missing", status=422, expected=422, seconds=0.5)
    lines = made.lines(seconds=4.0)
    assert find_faults(lines) == []
    first, _ = lines
    assert (first.kind, first.per_second, first.p99_ms) == ("missing", 0.25, 500.0)


def test_nothing_answered_is_a_fault() -> None:
    assert find_faults(Tally("1 user").lines(seconds=1.0)) == ["nothing was answered"]


def test_the_table_has_a_row_a_kind_with_aligned_columns() -> None:
    made = tally(*[200] * 3)
    made.add("missing", status=422, expected=422, seconds=0.25)
    head, *rows = as_table(made.lines(seconds=1.0)).splitlines()
    assert head.split("  ")[0] == "profile"
    assert [row.split()[2] for row in rows] == ["missing", "valid"]
    assert {row.index(": ") - len(row[: row.index(": ")].split()[-1]) for row in rows} == {
        head.index("statuses")
    }


def test_the_thesis_experiment_is_what_runs_unless_told_otherwise() -> None:
    given = parser().parse_args([])
    assert (given.users, given.host) == ([1, 5, 10], "")
    assert parser().parse_args(["--users", "3"]).users == [3]
    assert parser().parse_args(["--users", ""]).users == []
