"""Rows are accounted for once, whichever of Kafka's words comes first."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atalaia.records import Array, ObservedMark, Role, SourceRange, TimeMark
from atalaia.replay.flight import Flight, SeenModel, SeenObservation, Sent

PARTITIONS = 2


def seen(
    entries: list[tuple[int, int, list[bool]]],
    *,
    model: str = "m",
    role: Role = "primary",
    version: str = "1",
) -> SeenModel:
    """Of requests: partition, offset, and which of their rows were abstained from."""
    abstained = np.array([flag for _, _, flags in entries for flag in flags], np.bool_)
    numbers = np.zeros(len(abstained), np.float32)
    return SeenModel(
        model=model,
        version=version,
        role=role,
        partition=Array.of(np.array([partition for partition, _, _ in entries], np.int32)),
        offset=Array.of(np.array([offset for _, offset, _ in entries], np.int64)),
        rows=Array.of(np.array([len(flags) for _, _, flags in entries], np.int32)),
        score=Array.of(numbers),
        applicability=Array.of(numbers),
        abstained=Array.of(abstained),
    )


def covering(
    ends: dict[int, int], *models: SeenModel, marks: list[ObservedMark] | None = None
) -> SeenObservation:
    ranges = [SourceRange(partition, 0, end, 0) for partition, end in ends.items()]
    return SeenObservation(ranges, list(models), marks or [])


def flight_of(*sent: tuple[int, int]) -> Flight:
    """One that sent requests of so many rows to partitions."""
    flight, row = Flight("m", replay="r"), 0
    for partition, rows in sent:
        flight.sent(partition, row, rows)
        row += rows
    return flight


def counts(flight: Flight) -> tuple[int, int, int, int]:
    return flight.answered, flight.abstained, flight.failed, flight.in_flight


def test_a_request_that_is_covered_without_being_observed_has_failed() -> None:
    flight = flight_of((0, 3), (0, 2), (0, 1))
    for offset, (first, rows) in enumerate([(0, 3), (3, 2), (5, 1)]):
        flight.written(0, Sent(offset, first, rows))
    flight.observe(covering({0: 2}, seen([(0, 0, [False, True, False])])))
    assert counts(flight) == (2, 1, 2, 1)
    assert flight.earliest_row == 5
    assert flight.failures == [(0, Sent(1, 3, 2))]


def test_other_models_shadows_and_others_requests_are_not_ours() -> None:
    flight = flight_of((0, 1), (0, 1))
    flight.written(0, Sent(1, 0, 1))
    flight.written(0, Sent(5, 1, 1))
    others = seen([(0, 0, [False]), (0, 2, [True, True])])
    flight.observe(
        covering(
            {0: 4},
            seen([(0, 1, [False])], model="other"),
            seen([(0, 1, [True])], role="shadow", version="2"),
            others,
        )
    )
    assert counts(flight) == (0, 0, 1, 1)
    flight.observe(covering({0: 6}, seen([(0, 5, [False])], role="canary", version="2")))
    assert counts(flight) == (1, 0, 1, 0)
    assert flight.versions == {"2": 1}


def test_the_end_is_seen_on_each_partition_of_this_replay_alone() -> None:
    flight = flight_of()
    marks = [
        ObservedMark(0, 9, TimeMark("end", 1, "m", "r")),
        ObservedMark(1, 9, TimeMark("at", 1, "m", "r")),
        ObservedMark(2, 9, TimeMark("end", 1, "m", "older")),
    ]
    flight.observe(covering({0: 10}, marks=marks))
    assert flight.ended == {0}


fates = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1),
        st.sampled_from(["answered", "failed", "foreign"]),
        st.lists(st.booleans(), min_size=1, max_size=3),
    ),
    max_size=25,
)


@given(fates=fates, data=st.data())
def test_all_rows_are_accounted_for_however_deliveries_and_observations_interleave(
    fates: list[tuple[int, str, list[bool]]], data: st.DataObject
) -> None:
    ends = dict.fromkeys(range(PARTITIONS), 0)
    row = 0
    written: list[Any] = []
    observed: list[tuple[int, int, list[bool]]] = []
    for partition, fate, flags in fates:
        offset, ends[partition] = ends[partition], ends[partition] + 1
        if fate != "foreign":
            written.append((partition, Sent(offset, row, len(flags))))
            row += len(flags)
        if fate != "failed":
            observed.append((partition, offset, flags))
    flight = flight_of(*((p, len(flags)) for p, fate, flags in fates if fate != "foreign"))
    messages = []
    covered = dict.fromkeys(ends, 0)
    for last in [False] * data.draw(st.integers(0, 4)) + [True]:
        upto = dict(ends) if last else {p: data.draw(st.integers(covered[p], ends[p])) for p in ends}
        mine = [entry for entry in observed if covered[entry[0]] <= entry[1] < upto[entry[0]]]
        messages.append(covering(upto, *([seen(mine)] if mine else [])))
        covered = upto
    firsts = [sent.first_row for _, sent in written]
    for step in data.draw(st.lists(st.booleans(), max_size=len(written) + len(messages))):
        if step and written:
            flight.written(*written.pop(0))
        elif messages:
            flight.observe(messages.pop(0))
        assert flight.earliest_row in {*firsts, row}
        assert flight.earliest_row <= flight.accounted
    for partition, sent in written:
        flight.written(partition, sent)
    for message in messages:
        flight.observe(message)
    ours = [(fate, flags) for _, fate, flags in fates if fate != "foreign"]
    assert counts(flight) == (
        sum(not flag for fate, flags in ours if fate == "answered" for flag in flags),
        sum(flag for fate, flags in ours if fate == "answered" for flag in flags),
        sum(len(flags) for fate, flags in ours if fate == "failed"),
        0,
    )
    assert flight.earliest_row == row
