"""The join is a function of the two logs: neither how they interleave, nor steps, nor sweeps matter."""

import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atalaia.join.held import MOST_EARLY_LABELS
from atalaia.join.matching import JoinCounts, JoinRules, Labels, Predictions, Resolved, plan, resolve
from atalaia.join.rows import row_ids
from atalaia.join.sweep import JoinSpace, Sweep
from atalaia.state.fence import Fence, Outcome, Step, Token, Unit
from atalaia.state.memory import MemoryServer, MemoryState

RULES = JoinRules(horizon_ms=100, grace_ms=40, payload_bytes=4)
SPACE = JoinSpace(most_rows=200)
UNIT = Unit("fairness", 0, "c0ffee")


@dataclass(frozen=True)
class Row:
    id: str
    time: int
    watermark: int


@dataclass(frozen=True)
class Label:
    id: str
    time: int
    mark: int
    position: int
    value: float

    @property
    def known(self) -> int:
        return max(self.time, self.mark)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Never later than the grace behind the watermark; an id comes again within its horizon at most."""
    watermark, log, first = 0, list[Row](), dict[str, int]()
    for rise, behind, name in draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.integers(-30, 39), st.sampled_from("abcdefgh")), max_size=25
        )
    ):
        watermark += rise
        row = Row(name, watermark - behind, watermark)
        if watermark < first.setdefault(name, row.time) + RULES.horizon_ms:
            log.append(row)
    return log


@st.composite
def labels(draw: st.DrawFn) -> list[Label]:
    mark, log, held = 0, list[Label](), Counter[str]()
    for rise, ahead, name, value in draw(
        st.lists(
            st.tuples(
                st.integers(0, 40), st.integers(-60, 20), st.sampled_from("abcdefgh"), st.integers(0, 1)
            ),
            max_size=30,
        )
    ):
        mark += rise
        held[name] += 1
        if held[name] <= MOST_EARLY_LABELS:
            log.append(Label(name, mark + ahead, mark, len(log), float(value)))
    return log


@dataclass
class Reader:
    """A worker of the join on a store: all it knows between steps is what is stored, and its counts."""

    store: MemoryState
    incarnation: bytes = b"rows"
    token: Token | None = None
    counts: JoinCounts = field(default_factory=JoinCounts)
    sweep: Sweep = field(default_factory=lambda: Sweep(SPACE, RULES.horizon_ms, starts_ms=0))
    winners: dict[str, float] = field(default_factory=dict)
    watermark: int = 0
    mark: int = 0

    def step(self, given: list[Row], told: list[Label], *, room: int = 1_000_000) -> Resolved:
        predictions, truth = predictions_of(given), labels_of(told)
        planned = plan(predictions, truth, buckets=SPACE.buckets)
        found = self.store.read_rows(UNIT, self.incarnation, planned.keys)
        resolved = resolve(RULES, planned, found, predictions, truth, room=room)
        self.counts.add(resolved.counts)
        self.watermark = max([self.watermark, *(row.watermark for row in given)])
        self.mark = max([self.mark, *(label.mark for label in told)])
        join_time = min(self.watermark, self.mark)
        looked = self.sweep.due(join_time, rows=len(given), held_rows=self.counts.held_rows)
        swept = self.store.read_expired(UNIT, self.incarnation, looked, join_time)
        dropped, counts = self.sweep.drop(
            looked, swept, join_time, np.concatenate([predictions.ids, truth.ids])
        )
        self.counts.add(counts)
        writes = resolved.writes.merge(dropped)
        step = Step(self.token, Fence({}, {}), os.urandom(16), self.incarnation, rows=writes)
        assert self.store.step(UNIT, step) is Outcome.APPLIED
        self.token = step.token
        self.count(resolved)
        return resolved

    def count(self, resolved: Resolved) -> None:
        changes = resolved.changes
        for payload, label, had, previous in zip(
            changes.payload, changes.label, changes.had.tolist(), changes.previous, strict=True
        ):
            name = payload.tobytes().decode().strip()
            before = float(previous.copy().view(np.float64)[0]) if had else None
            assert self.winners.get(name) == before
            self.winners[name] = float(label.copy().view(np.float64)[0])

    def drain(self) -> None:
        """Let time go on until nothing may be held any more."""
        self.watermark = self.mark = 1_000_000
        self.sweep.bucket, self.sweep.starts_ms = 0, 0
        for _ in range(4):
            self.step([], [])


def predictions_of(given: list[Row]) -> Predictions:
    return Predictions(
        row_ids("m", [row.id for row in given]),
        np.array([row.time for row in given], np.int64),
        np.array([row.watermark for row in given], np.int64),
        np.frombuffer("".join(row.id.ljust(4) for row in given).encode(), np.uint8).reshape(-1, 4),
    )


def labels_of(told: list[Label]) -> Labels:
    return Labels(
        row_ids("m", [label.id for label in told]),
        np.array([label.time for label in told], np.int64),
        np.array([label.mark for label in told], np.int64),
        np.array([label.position for label in told], np.int64),
        np.array([label.value for label in told], np.float64).view(np.uint8).reshape(-1, 8),
    )


def expect(given: list[Row], told: list[Label]) -> tuple[dict[str, float], dict[str, int]]:
    """By hand, from the two logs alone."""
    counts = Counter[str]()
    first: dict[str, Row] = {}
    for row in given:
        counts["duplicate" if row.id in first else "stored"] += 1
        first.setdefault(row.id, row)
    winners: dict[str, Label] = {}
    for label in told:
        met = first.get(label.id)
        horizon = RULES.horizon_ms
        if met is None or label.known - horizon >= met.time or met.time >= label.known + horizon:
            counts["unmatched"] += 1
            continue
        best = winners.get(label.id)
        if best is None:
            counts["matched"] += 1
        elif (label.time, label.position) < (best.time, best.position):
            counts["superseded"] += 1
            continue
        else:
            counts["repeated" if best.value == label.value else "corrected"] += 1
        winners[label.id] = label
    counts["unlabelled"] = counts["stored"] - counts["matched"]
    return {name: label.value for name, label in winners.items()}, dict(counts)


def told_counts(counts: JoinCounts) -> dict[str, int]:
    return {
        "stored": counts.stored,
        "duplicate": counts.duplicate,
        "matched": counts.matched,
        "corrected": counts.corrected,
        "repeated": counts.repeated,
        "superseded": counts.superseded,
        "unlabelled": counts.unlabelled,
        "unmatched": counts.too_late + counts.unknown,
    }


@given(rows(), labels(), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_any_interleaving_steps_and_sweeps_give_what_the_logs_say(
    given_rows: list[Row], told: list[Label], steps: list[tuple[int, int]]
) -> None:
    reader = Reader(MemoryState(MemoryServer()))
    row, label = 0, 0
    for more_rows, more_labels in [*steps, (len(given_rows), len(told))]:
        reader.step(given_rows[row : row + more_rows], told[label : label + more_labels])
        row, label = row + more_rows, label + more_labels
        accounted = reader.counts
        assert min(len(told), label) == (
            accounted.matched
            + accounted.corrected
            + accounted.repeated
            + accounted.superseded
            + accounted.too_late
            + accounted.unknown
            + accounted.waiting_labels
        )
        held = sum(
            len(bucket) for buckets in reader.store._server.rows.values() for bucket in buckets.values()
        )
        assert accounted.held_rows == held
    reader.drain()
    winners, counts = expect(given_rows, told)
    assert reader.winners == winners
    assert told_counts(reader.counts) == told_counts(JoinCounts()) | counts
    assert (reader.counts.waiting_labels, reader.counts.held_rows) == (0, 0)


@given(rows(), labels(), st.integers(0, 4))
def test_beyond_its_bound_the_join_sheds_and_says_so(
    given_rows: list[Row], told: list[Label], room: int
) -> None:
    reader = Reader(MemoryState(MemoryServer()))
    resolved = reader.step(given_rows, told, room=room)
    counts = reader.counts
    assert resolved.counts.held_rows <= room
    assert int(resolved.shed.sum()) == counts.shed_predictions
    assert not (resolved.shed & resolved.stored).any()
    assert counts.stored + counts.duplicate + counts.shed_predictions == len(given_rows)
    distinct = {row.id for row in given_rows} | {label.id for label in told}
    assert resolved.counts.held_rows == min(room, len(distinct))
