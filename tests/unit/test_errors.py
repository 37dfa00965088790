"""Refusals: each kind has a status, a code of its own, and words."""

import pytest

from atalaia import errors
from atalaia.errors import AtalaiaError, Contribution, FieldProblem, InvalidInput, OutOfDistribution, Refusal

KINDS = sorted(
    (kind for kind in Refusal.__subclasses__() if kind.__module__ == errors.__name__),
    key=lambda kind: kind.__name__,
)


def test_statuses_and_codes_are_those_of_the_contract() -> None:
    assert {kind.code: (kind.status, kind.retry_after_seconds is not None) for kind in KINDS} == {
        "not_readable": (400, False),
        "unsupported_media_type": (415, False),
        "invalid_input": (422, False),
        "out_of_distribution": (422, False),
        "too_large": (413, False),
        "unknown_model": (404, False),
        "no_primary": (503, True),
        "too_many_requests": (429, True),
        "unavailable": (503, True),
        "deadline_exceeded": (504, False),
        "scoring_failed": (500, False),
        "lost_by_retention": (410, False),
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_drawn_in_the_tree_and_has_a_title_of_its_own(kind: type[Refusal]) -> None:
    drawn = errors.__doc__ or ""
    assert f"-- {kind.__name__} " in drawn
    assert str(kind.status) in drawn.split(f"-- {kind.__name__} ")[1].splitlines()[0]
    assert [other.title for other in KINDS].count(kind.title) == 1
    assert issubclass(kind, AtalaiaError)


def test_invalid_input_says_each_problem_with_its_row() -> None:
    refusal = InvalidInput(
        [FieldProblem("a", "missing", "a number"), FieldProblem("b", "null", "a string", 3)]
    )
    assert (
        refusal.detail == str(refusal) == "a: missing, expected a number; b (row 3): null, expected a string"
    )


def test_out_of_distribution_carries_its_evidence() -> None:
    refusal = OutOfDistribution("too far", distance=2.0, cutoff=1.0, contributions=[Contribution("a", 2.0)])
    assert (refusal.detail, refusal.distance, refusal.cutoff) == ("too far", 2.0, 1.0)
    assert sum(entry.contribution for entry in refusal.contributions) == refusal.distance
