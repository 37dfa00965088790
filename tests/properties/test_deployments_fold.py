"""Deployments as a fold: any history of them answers each position with one version."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from atalaia.deployments import add_deployment, current_primary, primary_at
from atalaia.records import Deployment, ModelRecord

histories = st.lists(
    st.tuples(st.sampled_from("123"), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12
)


def fold(history: list[tuple[str, int, int]]) -> ModelRecord:
    """Versions deployed one after the other, each so many requests later on either partition."""
    record: ModelRecord | None = None
    ends = [0, 0]
    for version, first, second in history:
        ends = [ends[0] + first, ends[1] + second]
        entry = Deployment(version, f"sha256:{version}", "primary", dict(enumerate(ends)), "")
        record = add_deployment(record, "m", entry)
    assert record is not None
    return record


@given(history=histories, partition=st.integers(0, 1), offset=st.integers(0, 300))
def test_a_position_is_answered_by_the_last_deployment_before_it(
    history: list[tuple[str, int, int]], partition: int, offset: int
) -> None:
    expected, end = history[0][0], 0
    for version, *later in history:
        end += later[partition]
        if end <= offset:
            expected = version
    answering = primary_at(fold(history), partition, offset)
    assert answering is not None
    assert answering.version == expected


@given(history=histories)
def test_no_two_deployments_in_a_row_are_of_one_version(history: list[tuple[str, int, int]]) -> None:
    record = fold(history)
    deployed = [entry.version for entry in record.deployments]
    assert all(before != after for before, after in itertools.pairwise(deployed))
    current = current_primary(record)
    assert current is not None
    assert current.version == history[-1][0]
    assert add_deployment(record, "m", current) is record


@given(history=histories, later=histories, partition=st.integers(0, 1), data=st.data())
def test_what_comes_later_never_changes_who_answered(
    history: list[tuple[str, int, int]],
    later: list[tuple[str, int, int]],
    partition: int,
    data: st.DataObject,
) -> None:
    end = sum(steps[partition] for _, *steps in [*history, later[0]])
    offset = data.draw(st.integers(0, max(end - 1, 0)))
    if end == 0:
        return
    assert primary_at(fold(history), partition, offset) == primary_at(
        fold([*history, *later]), partition, offset
    )
