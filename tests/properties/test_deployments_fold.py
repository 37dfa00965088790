"""Deployments as a fold: any history of them answers each position with one version."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from atalaia.deployments import (
    KEPT_DEPLOYMENTS,
    add_change,
    add_deployment,
    current_primary,
    merge_records,
    primary_at,
)
from atalaia.records import Deployment, ModelRecord, MonitorChange

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


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=40), st.booleans())
def test_whoever_writes_at_once_nothing_is_lost(writes: list[tuple[int, bool]], compacted: bool) -> None:
    """Each writer knows the topic as it was some writes ago; who reads all of it finds every change."""
    first = Deployment("0", "sha256:0", "primary", {}, "0")
    topic = [add_deployment(None, "m", first)]
    folds = [topic[0]]
    for place, (behind, deploys) in enumerate(writes, start=1):
        known = folds[max(0, len(folds) - 1 - behind)]
        entry = Deployment(str(place), f"sha256:{place}", "primary", {0: place}, str(place))
        change = MonitorChange("m", {}, str(place), offset=place)
        topic.append(add_deployment(known, "m", entry) if deploys else add_change(known, change))
        folds.append(merge_records(folds[-1], topic[-1]))
        if compacted:  # the writer repeats what it came to, and Kafka keeps that alone
            folds[-1] = merge_records(None, folds[-1])
    found = folds[-1]
    deployed = [place for place, (_, deploys) in enumerate(writes, start=1) if deploys]
    assert [int(entry.version) for entry in found.deployments] == [0, *deployed][-KEPT_DEPLOYMENTS:]
    assert [change.offset for change in found.monitors] == [
        place for place, (_, deploys) in enumerate(writes, start=1) if not deploys
    ]


@given(histories)
def test_a_record_that_knew_all_before_it_stands_as_it_is(history: list[tuple[str, int, int]]) -> None:
    record: ModelRecord | None = None
    for place in range(1, len(history) + 1):
        later = fold(history[:place])
        record = merge_records(record, later)
        assert record == later
