"""Windows are a function of the messages and their order, whatever steps and restarts they come in."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atalaia.windows import (
    BookState,
    Closing,
    LastRows,
    TimeWindows,
    Watermark,
    WatermarkState,
    Window,
    WindowBook,
    WindowDefinition,
    coalesce,
    panes_of,
)

PANE = 10


@dataclass(frozen=True)
class Message:
    """Rows of one source partition, perhaps a mark at its end, and rows that labels came for."""

    partition: int
    rows: tuple[int, ...]
    mark: int | None
    labels: tuple[int, ...]


def messages() -> st.SearchStrategy[list[Message]]:
    time = st.integers(-30, 300)
    return st.lists(
        st.builds(
            Message,
            partition=st.integers(0, 1),
            rows=st.lists(time, max_size=4).map(tuple),
            mark=st.none() | time,
            labels=st.lists(time, max_size=2).map(tuple),
        ),
        max_size=25,
    )


def definitions() -> st.SearchStrategy[WindowDefinition]:
    timed = st.builds(
        lambda step, more: TimeWindows(size_ms=(step + more) * PANE, step_ms=step * PANE, pane_ms=PANE),
        st.integers(1, 4),
        st.integers(0, 3),
    )
    return timed | st.builds(LastRows, count=st.integers(1, 6), pane_ms=st.just(PANE))


@dataclass(frozen=True)
class Rules:
    definition: WindowDefinition
    lateness: int
    horizon: int


RULES = st.builds(
    Rules, definition=definitions(), lateness=st.integers(0, 40), horizon=st.sampled_from([0, 15, 80])
)


class Reader:
    """What a monitor does, step by step; between steps it lives in its snapshots alone."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.mark, self.book = self._new()
        self.position = 0
        self.counts: dict[int, int] = defaultdict(int)  # pane -> what the statistics hold of it
        self.labelled: dict[int, int] = defaultdict(int)
        self.closings: list[Closing] = []
        self.published: list[list[Closing]] = []
        self.values: dict[Window, tuple[int, int]] = {}

    def _new(self) -> tuple[Watermark, WindowBook]:
        rules = self.rules
        return Watermark(tolerance_ms=200), WindowBook(
            rules.definition, lateness_ms=rules.lateness, horizon_ms=rules.horizon
        )

    def step(self, batch: list[Message], *, restart: bool) -> None:
        closings = []
        for message in batch:
            closings += self.take(message)
        told = coalesce(closings)
        self.closings += closings
        self.published.append(told)
        for closing in told:
            panes = panes_of(closing.window, PANE)
            self.values[closing.window] = (
                sum(self.counts[pane] for pane in panes),
                sum(self.labelled[pane] for pane in panes),
            )
        for pane in self.book.forget(self.mark.time_ms):
            # Were a dropped pane needed again, the values below would show it.
            del self.counts[pane]
            self.labelled.pop(pane, None)
        if restart:
            mark, book = self.mark.snapshot(), self.book.snapshot()
            self.mark, self.book = self._new()
            self.mark.restore(msgspec.json.decode(msgspec.json.encode(mark), type=WatermarkState))
            self.book.restore(msgspec.json.decode(msgspec.json.encode(book), type=BookState))

    def take(self, message: Message) -> list[Closing]:
        rows = np.array(message.rows, np.int64)
        rows = rows[self.mark.plausible(rows, 50)]
        kept = self.book.add(rows, self.mark.time_ms)
        for time in rows[kept].tolist():
            self.counts[time // PANE * PANE] += 1
        labels = np.array(message.labels, np.int64)
        for time in labels[self.book.touch(labels, self.mark.time_ms)].tolist():
            self.labelled[time // PANE * PANE] += 1
        for time in [*rows.tolist(), *([] if message.mark is None else [message.mark])]:
            self.mark.advance(message.partition, time)
        self.position += 1
        return self.book.close(self.mark.time_ms, cut=self.position)


@st.composite
def batched(draw: st.DrawFn) -> tuple[list[Message], list[int], list[bool]]:
    log = draw(messages())
    cuts = sorted(draw(st.sets(st.integers(1, max(len(log) - 1, 1)))))
    return log, cuts, draw(st.lists(st.booleans(), min_size=len(cuts) + 1, max_size=len(cuts) + 1))


def read(rules: Rules, log: list[Message], cuts: list[int], restarts: list[bool]) -> Reader:
    reader = Reader(rules)
    edges = [0, *cuts, len(log)]
    for (start, end), restart in zip(pairwise(edges), restarts, strict=True):
        reader.step(log[start:end], restart=restart)
    return reader


@given(RULES, batched())
def test_any_steps_and_restarts_give_the_same_closings_revisions_and_counts(
    rules: Rules, case: tuple[list[Message], list[int], list[bool]]
) -> None:
    log, cuts, restarts = case
    stepped = read(rules, log, cuts, restarts)
    whole = read(rules, log, [], [False])
    single = read(rules, log, list(range(1, len(log))), [False] * max(len(log), 1))
    for other in (stepped, single):
        assert other.closings == whole.closings
        assert other.book.late_rows == whole.book.late_rows
        assert other.book.label_too_late == whole.book.label_too_late
        assert other.mark.snapshot() == whole.mark.snapshot()
        assert other.values == whole.values


@given(RULES, batched())
def test_each_window_closes_once_in_order_and_its_revisions_rise_by_one(
    rules: Rules, case: tuple[list[Message], list[int], list[bool]]
) -> None:
    log, cuts, restarts = case
    reader = read(rules, log, cuts, restarts)
    revisions: dict[Window, list[int]] = defaultdict(list)
    matured: dict[Window, int] = defaultdict(int)
    for closing in reader.closings:
        assert closing.first == (closing.revision == 0)
        revisions[closing.window].append(closing.revision)
        if closing.mature:
            matured[closing.window] = 1
        else:
            assert not matured[closing.window], "mature is for good"
    assert all(told == list(range(len(told))) for told in revisions.values())
    for told in reader.published:
        ends = [(closing.window.end_ms, closing.window.start_ms) for closing in told]
        assert ends == sorted(set(ends))


@given(RULES, messages())
def test_published_counts_are_those_of_all_rows_taken(rules: Rules, log: list[Message]) -> None:
    """Against a plain recount that never forgets a pane and never closes anything."""
    reader = read(rules, log, list(range(1, len(log))), [False] * max(len(log), 1))
    mark = Watermark(tolerance_ms=200)
    rows: list[int] = []
    late = ahead = 0
    for message in log:
        for time in message.rows:
            pane = time // PANE * PANE
            if time > 250:
                ahead += 1
            elif (
                mark.time_ms is not None
                and rules.definition.settles_ms(pane) + rules.lateness <= mark.time_ms
            ):
                late += 1
            else:
                rows.append(time)
        for time in [*message.rows, *([] if message.mark is None else [message.mark])]:
            if time in message.rows and time > 250:
                continue
            mark.advance(message.partition, time)
    assert (reader.book.late_rows, reader.mark.ahead_rows) == (late, ahead)
    for window, (counted, _) in reader.values.items():
        assert counted == sum(window.contains(time) for time in rows)
    if isinstance(rules.definition, TimeWindows) and mark.time_ms is not None:
        closed = {
            window
            for time in rows
            for window in rules.definition.open_for(time // PANE * PANE)
            if window.end_ms + rules.lateness <= mark.time_ms
        }
        assert set(reader.values) == closed


@given(messages(), st.integers(1, 6))
def test_runs_of_rows_are_disjoint_and_as_short_as_can_be(log: list[Message], count: int) -> None:
    rules = Rules(LastRows(count=count, pane_ms=PANE), lateness=0, horizon=0)
    reader = read(rules, log, list(range(1, len(log))), [False] * max(len(log), 1))
    runs = sorted(reader.values)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(runs))
    for run in runs:
        assert reader.values[run][0] >= count
