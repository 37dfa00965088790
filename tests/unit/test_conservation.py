from collections.abc import Sequence
from dataclasses import replace

import pytest

from atalaia.conservation import (
    LOST_BY_RETENTION,
    Difference,
    Facts,
    Letter,
    Observed,
    ObservedRequest,
    Report,
    Retained,
    examine,
)
from atalaia.records import Outcome, SourceRange

# One partition of requests, one of observations; offset 4 is a transaction's marker, 3 is dead.
KEYS: dict[int, bytes | None] = {0: b"a", 1: b"b", 2: None, 3: b"d", 5: b"f"}


def seen(offset: int, start: int, end: int, *requests: ObservedRequest, partition: int = 0) -> Observed:
    return Observed(partition, offset, [SourceRange(0, start, end, 0)], requests)


def asked(
    offset: int, outcome: Outcome = "answered", *, name: str = "id", model: str = "m"
) -> ObservedRequest:
    return ObservedRequest(model, 0, offset, name, outcome)


def log() -> Facts:
    return Facts(
        requests={0: Retained(0, 6, KEYS)},
        observations=[
            seen(0, 0, 2, asked(0), asked(1, "abstained")),
            seen(1, 2, 2),
            seen(2, 2, 6, asked(2, "expired", name="two"), asked(5)),
        ],
        letters=[Letter(0, 3, "not_readable")],
        predictions={
            b"a": ["answered"],
            b"b": ["abstained"],
            b"two": ["expired"],
            b"d": ["failed"],
            b"f": ["answered"],
        },
    )


def kinds(report: Report) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for entry in report.differences:
        found.setdefault(entry.kind, []).append(entry.offset)
    return found


def test_a_whole_log_has_no_difference_and_is_counted() -> None:
    report = examine(log())
    assert report.ok
    assert report.differences == []
    assert report.outcomes == {"answered": 2, "abstained": 1, "expired": 1, "failed": 1}
    assert (report.positions, report.predictions, report.pending) == (5, 5, 0)


def test_a_position_without_outcome_is_named() -> None:
    facts = log()
    observations = [*facts.observations[:2], seen(2, 2, 6, asked(5))]
    assert kinds(examine(replace(facts, observations=observations))) == {
        "unaccounted": [2],
        "unasked": [None],
    }


def test_a_position_observed_twice_is_named_and_so_is_the_chain() -> None:
    facts = log()
    again = seen(3, 0, 2, asked(0), asked(1, "abstained"))
    found = kinds(examine(replace(facts, observations=[*facts.observations, again])))
    assert found == {"overlap": [0], "accounted_twice": [0, 1]}


def test_a_position_both_observed_and_dead_is_named() -> None:
    facts = log()
    report = examine(replace(facts, letters=[*facts.letters, Letter(0, 5, "too_large")]))
    assert kinds(report) == {"accounted_twice": [5]}


def test_a_gap_between_ranges_is_named_even_where_it_holds_no_record() -> None:
    facts = log()
    observations = [
        *facts.observations[:2],
        seen(2, 2, 4, asked(2, "expired", name="two")),
        seen(3, 5, 6, asked(5)),
    ]
    report = examine(replace(facts, observations=observations))
    assert kinds(report) == {"gap": [4]}
    assert "5 in message 3 of observations 0" in report.differences[0].detail


def test_every_partition_of_observations_has_its_own_chain() -> None:
    facts = log()
    other = [seen(0, 0, 2, partition=1), seen(1, 3, 6, partition=1)]
    assert kinds(examine(replace(facts, observations=[*facts.observations, *other]))) == {"gap": [2]}


def test_a_gap_that_a_letter_of_retention_explains_is_no_difference() -> None:
    facts = Facts(
        requests={0: Retained(5, 6, {5: b"f"})},
        observations=[seen(0, 0, 1, asked(0)), seen(1, 5, 6, asked(5))],
        letters=[Letter(0, 1, LOST_BY_RETENTION)],
        predictions={b"a": ["answered"], b"f": ["answered"]},
    )
    report = examine(facts)
    assert report.ok
    assert report.lost_by_retention == 1
    assert kinds(examine(replace(facts, letters=[]))) == {"gap": [1]}


def test_what_lies_beyond_every_chain_is_pending_not_lost() -> None:
    facts = log()
    ahead = [*facts.observations, seen(0, 0, 2, partition=1)]
    report = examine(replace(facts, observations=ahead[:2] + ahead[3:], letters=[]))
    assert report.ok
    assert report.pending == 3


def test_a_row_outside_of_its_observations_ranges_is_named() -> None:
    facts = log()
    observations = [seen(0, 0, 1, asked(0), asked(1, "abstained")), seen(1, 1, 2), *facts.observations[2:]]
    assert kinds(examine(replace(facts, observations=observations))) == {"outside_of_ranges": [1]}


def test_an_observed_position_that_holds_no_request_is_named() -> None:
    facts = log()
    observations = [
        *facts.observations[:2],
        seen(2, 2, 6, asked(2, "expired", name="two"), asked(4), asked(5)),
    ]
    assert kinds(examine(replace(facts, observations=observations))) == {"not_a_request": [4]}


def test_ranges_beyond_the_end_of_requests_are_named() -> None:
    facts = log()
    observations = [*facts.observations, seen(3, 6, 9)]
    assert kinds(examine(replace(facts, observations=observations))) == {"beyond_end": [9]}


def test_a_model_on_two_partitions_of_observations_is_named() -> None:
    facts = log()
    moved = [
        *facts.observations[:2],
        seen(2, 2, 6),
        seen(0, 0, 6, asked(2, "expired", name="two"), asked(5), partition=1),
    ]
    assert kinds(examine(replace(facts, observations=moved)))["model_on_two_partitions"] == [2, 5]


@pytest.mark.parametrize(
    ("key", "found", "kind"),
    [
        (b"a", [], "unanswered"),
        (b"d", [], "unanswered"),
        (b"two", [], "unanswered"),
        (b"a", ["answered", "answered"], "answered_twice"),
        (b"a", ["failed"], "other_outcome"),
        (b"d", ["answered"], "other_outcome"),
        (b"nobody", ["answered"], "unasked"),
    ],
)
def test_predictions_are_held_against_requests_by_key(key: bytes, found: list[Outcome], kind: str) -> None:
    facts = log()
    report = examine(replace(facts, predictions={**facts.predictions, key: found}))
    assert kinds(report) == {kind: [None]}
    assert key.decode() in report.differences[0].detail


def test_two_requests_with_one_key_have_two_predictions() -> None:
    facts = log()
    both = {0: Retained(0, 6, {**KEYS, 1: b"a"})}
    predictions: dict[bytes, Sequence[Outcome]] = {**facts.predictions, b"a": ["answered", "abstained"]}
    del predictions[b"b"]
    told: Facts = replace(facts, requests=both, predictions=predictions)
    assert examine(told).ok
    assert kinds(examine(replace(told, predictions={**predictions, b"a": ["answered"]}))) == {
        "unanswered": [None]
    }


def test_predictions_may_outlive_their_requests() -> None:
    facts = log()
    kept = {0: Retained(5, 6, {5: b"f"})}
    assert examine(replace(facts, requests=kept)).ok


def test_a_dead_letter_without_a_key_needs_no_prediction() -> None:
    facts = log()
    keyless = {0: Retained(0, 6, {**KEYS, 3: None})}
    predictions = {key: found for key, found in facts.predictions.items() if key != b"d"}
    assert examine(replace(facts, requests=keyless, predictions=predictions)).ok


def test_differences_are_bounded_and_all_are_counted() -> None:
    facts = Facts(
        requests={0: Retained(0, 100, dict.fromkeys(range(100)))},
        observations=[seen(0, 0, 100)],
        letters=[],
        predictions={},
    )
    report = examine(facts, shown=3)
    assert report.found == {"unaccounted": 100}
    assert [entry.offset for entry in report.differences] == [0, 1, 2]
    assert isinstance(report.differences[0], Difference)
    assert not report.ok


def test_a_mark_of_time_is_an_outcome_that_needs_no_prediction() -> None:
    facts = log()
    keys = {**KEYS, 6: b"mark"}
    marked = seen(3, 6, 7, asked(6, "mark", name=""))
    whole = replace(facts, requests={0: Retained(0, 7, keys)}, observations=[*facts.observations, marked])
    report = examine(whole)
    assert report.ok
    assert report.outcomes["mark"] == 1
    assert report.positions == 6


def test_a_mark_that_was_answered_as_a_request_is_named() -> None:
    facts = log()
    observations = [*facts.observations[:2], seen(2, 2, 6, asked(2, "mark", name=""), asked(5))]
    found = kinds(examine(replace(facts, observations=observations)))
    assert found == {"unasked": [None]}


def test_an_operators_message_has_no_part_in_the_chain() -> None:
    facts = log()
    change = Observed(1, 0, [], [])
    later = Retained(0, 7, {**KEYS, 6: b"g"})
    report = examine(replace(facts, requests={0: later}, observations=[*facts.observations, change]))
    assert report.ok
    assert report.pending == 1  # and nothing that was reached counts as pending
    lost = replace(facts, observations=[*facts.observations[:2], seen(2, 2, 6, asked(5)), change])
    assert kinds(examine(lost))["unaccounted"] == [2]
