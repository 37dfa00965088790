"""A row's distance does not depend on the rows beside it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.statistics.applicability import Applicability, fit


def _fitted(width: int, missing: float) -> tuple[Applicability, np.ndarray]:
    rng = np.random.default_rng(width)
    rows = rng.normal(size=(2500, width)) @ rng.normal(size=(width, width)) * rng.lognormal(size=width) * 100
    patterns = rng.random((40, width)) < missing  # few, since each costs a decomposition
    rows[patterns[rng.integers(0, 40, len(rows))]] = np.nan
    names = tuple(f"x{column}" for column in range(width))
    return fit(names, rows).applicability, rows


CASES = {
    f"{width} columns, {missing:.0%} missing": _fitted(width, missing)
    for width in (1, 3, 11, 30)
    for missing in (0.0, 0.1)
}


@pytest.mark.parametrize("case", CASES)
@given(cuts=st.lists(st.integers(0, 2500), max_size=12), fortran=st.booleans())
@settings(max_examples=15, deadline=None)
def test_split_batches_answer_to_the_last_bit_as_one_batch(case: str, cuts: list[int], fortran: bool) -> None:
    applicability, rows = CASES[case]
    whole = applicability.squared_distance(rows)
    edges = [0, *sorted(cuts), len(rows)]
    parts = []
    for start, stop in itertools.pairwise(edges):
        part = rows[start:stop]
        parts.append(applicability.squared_distance(np.asfortranarray(part) if fortran else part))
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("case", CASES)
@given(chosen=st.lists(st.integers(0, 2499), min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_any_choice_of_rows_in_any_order_answers_alike(case: str, chosen: list[int]) -> None:
    applicability, rows = CASES[case]
    whole = applicability.squared_distance(rows)[chosen]
    assert np.array_equal(applicability.squared_distance(rows[chosen]), whole)
    singles = [applicability.squared_distance(rows[row : row + 1])[0] for row in chosen]
    assert np.array_equal(np.array(singles), whole)


@given(
    values=st.lists(
        st.one_of(st.floats(allow_infinity=False), st.sampled_from([1e308, -1e308, 0.0, -0.0])),
        min_size=3,
        max_size=3,
    )
)
def test_any_number_has_a_finite_distance_of_which_contributions_are_the_parts(values: list[float]) -> None:
    applicability, _ = CASES["3 columns, 10% missing"]
    row = np.array(values)
    distance = applicability.squared_distance(row[None, :])[0]
    contributions = applicability.contributions(row)
    assert 0 <= distance <= np.finfo(np.float32).max
    assert np.isfinite(contributions).all()
    assert contributions.sum() == pytest.approx(distance, rel=1e-6, abs=1e-9)
