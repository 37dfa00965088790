from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atalaia.replay.encoding import Request
from atalaia.replay.labels import LabelQueue
from atalaia.replay.schedule import Schedule

EVERYTHING = 10**15
groups = st.lists(
    st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=6), min_size=1, max_size=8
)


@given(
    groups=groups,
    delay_ms=st.integers(0, 5_000),
    steps=st.lists(st.integers(0, 12_000)),
    most=st.integers(1, 9),
)
def test_every_label_is_taken_once_in_its_order_and_none_before_it_is_known(
    groups: list[list[Any]], delay_ms: int, steps: list[int], most: int
) -> None:
    schedule = Schedule(1_000, 250.0, 100)
    queue = LabelQueue(schedule, delay_ms=delay_ms)
    told: list[tuple[str, int, Any, int]] = []
    row, expected = 0, []

    def take(by_ms: int) -> None:
        while (labels := queue.take(by_ms, most=most)) is not None:
            times = labels.time_ms.tolist()
            assert all(time <= by_ms for time in times)
            told.extend(zip(labels.ids, labels.rows.tolist(), labels.labels, times, strict=True))

    for place, labels in enumerate(groups):
        queue.add(Request(f"r{place}", b"", row, len(labels)), labels)
        known = [schedule.time(row + within) + delay_ms for within in range(len(labels))]
        expected += [
            (f"r{place}", within, label, known[within])
            for within, label in enumerate(labels)
            if label is not None
        ]
        row += len(labels)
        if place < len(steps):
            take(steps[place])
            due = [entry for entry in expected if entry[3] <= max(steps[: place + 1])]
            assert told == due[: len(told)]
    take(EVERYTHING)
    assert told == expected
    assert queue.take(EVERYTHING, most=most) is None
    assert len(queue) == 0


def test_the_last_label_is_known_its_delay_after_the_last_row() -> None:
    assert LabelQueue(Schedule(1_000, 250.0, 5), delay_ms=100.4).last_ms == 2_100
