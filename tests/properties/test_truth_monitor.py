"""What the monitor of truth says is a function of the two logs: equal to a row-by-row model, however read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.alerts import rfc3339
from atalaia.inference.columns import parse_time
from atalaia.join.held import MOST_EARLY_LABELS
from atalaia.records import ContextValue, Label, Observation, Role
from atalaia.results import FairnessResult, PerformanceResult
from tests.unit.monitors.truth.truth_log import (
    MINUTE,
    SECOND,
    Bundles,
    Row,
    Told,
    Worker,
    clock,
    manifest_of,
    seen,
)

WINDOW, LATENESS, HORIZON = MINUTE, 10 * SECOND, 3 * MINUTE
TOLERANCE = MINUTE
NEVER = -(1 << 46)
START = 1_700_000_040_000
CLASSES = ("no", "yes")
CONTEXTS: list[dict[str, ContextValue] | None] = [None, None, {"sex": "F"}, {"sex": "X"}, {"sex": None}]
STREAMS: list[tuple[str, Role]] = [("1", "primary"), ("1", "primary"), ("2", "canary"), ("2", "shadow")]
BUNDLES = Bundles.of(manifest_of(), manifest_of(version="2"))
FIRST = (
    Row("first", START),
    Row("second", START, version="2", role="canary"),
    Row("third", START, version="2", role="shadow"),
)
"""Every stream has been seen before the labels that are tried for it."""


@dataclass(frozen=True)
class Log:
    """What lies on the two topics, and how it is read: (messages of each) a batch, and where it is killed."""

    observed: list[tuple[int, list[Row], list[int]]]
    truth: list[Told]
    batches: list[tuple[int, int]]
    kills: list[bool]
    regression: bool = False

    @property
    def messages(self) -> list[Observation]:
        return [
            seen(START, *FIRST, regression=self.regression),
            *(
                seen(time, *rows, at_end=ends, regression=self.regression)
                for time, rows, ends in self.observed
            ),
        ]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    time, observed = START, []
    watermarks = dict.fromkeys(range(4), START)
    begun: dict[str, int] = {}
    for _ in range(draw(st.integers(1, 8))):
        time += draw(st.integers(0, 50)) * SECOND
        ends = draw(st.sampled_from([[0, 1, 2, 3], [0, 1, 2, 3], [1, 2], []]))
        rows = []
        for name, behind in draw(
            st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-70, 140)), max_size=6)
        ):
            version, role = draw(st.sampled_from(STREAMS))
            row = Row(
                name,
                time - behind * SECOND,
                predicted=draw(st.integers(0, 1)),
                score=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
                sex=draw(st.sampled_from(["F", "M", None])),
                version=version,
                role=role,
                abstained=draw(st.sampled_from([False, False, False, True])),
                expired=draw(st.sampled_from([False, False, False, False, True])),
                partition=draw(st.integers(0, 3)),
            )
            # An id may come again within its horizon, and so by either model's reckoning.
            if max(watermarks.values()) + TOLERANCE < begun.setdefault(name, row.time_ms) + HORIZON:
                rows.append(row)
        for row in rows:
            if row.time_ms <= time + TOLERANCE:
                watermarks[row.partition] = max(watermarks[row.partition], row.time_ms)
        for partition in ends:
            watermarks[partition] = max(watermarks[partition], time)
        observed.append((time, rows, ends))
    truth = draw(labels())
    batches = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12))
    kills = draw(st.lists(st.booleans(), min_size=14, max_size=14))
    return Log(observed, truth, batches, kills)


@st.composite
def labels(draw: st.DrawFn) -> list[Told]:
    time, log, held = START, list[Told](), Counter[str]()
    if draw(st.booleans()):
        log.append(clock(START))
    for _ in range(draw(st.integers(0, 20))):
        time += draw(st.integers(0, 40)) * SECOND
        if draw(st.integers(0, 3)) == 0:
            log.append(clock(time))
            continue
        several = []
        for name, ahead in draw(
            st.lists(st.tuples(st.sampled_from("abcdefghz"), st.integers(-60, 20)), min_size=1, max_size=2)
        ):
            held[name] += 1
            if held[name] <= MOST_EARLY_LABELS:
                several.append(
                    Label(
                        name,
                        draw(st.sampled_from(["no", "yes", "yes", "bad", None])),
                        row=draw(st.sampled_from([0, 0, 0, 1])),
                        time=None if ahead == 0 else rfc3339(time + ahead * SECOND),
                        context=draw(st.sampled_from(CONTEXTS)),
                    )
                )
        log.append(Told(tuple(several), time))
    return log


@dataclass
class Known:
    """A row that waits in the naive join, with the labels that meet it."""

    row: Row
    place: int
    label: tuple[int, int, int] | None = None
    truth: int | None = None
    sex: str | None = None


@dataclass
class Naive:
    """The same, one row after the other, from the whole of both logs."""

    rows: list[tuple[Row, Known | None]] = field(default_factory=list)

    @classmethod
    def of(cls, log: Log) -> "Naive":
        naive = cls()
        naive.read([(START, [Row("first", START), *_others()], [0, 1, 2, 3]), *log.observed])
        for known in {id(known): known for _, known in naive.rows if known is not None}.values():
            naive.choose(known, log.truth)
        return naive

    def read(self, observed: Sequence[tuple[int, list[Row], list[int]]]) -> None:
        latest: dict[int, int] = {}
        watermark: int | None = None
        held: dict[tuple[str, str, int], Known] = {}
        for time, rows, ends in observed:
            for row, place in _in_message_order(rows):
                if row.time_ms > time + TOLERANCE:
                    continue
                latest[row.partition] = max(latest.get(row.partition, row.time_ms), row.time_ms)
                end = row.time_ms // WINDOW * WINDOW + WINDOW
                if row.expired or (watermark is not None and end + LATENESS <= watermark):
                    continue
                known = None
                if not row.abstained:
                    scope = row.version if row.role == "shadow" else ""
                    if (scope, row.id, place) not in held:
                        known = held[scope, row.id, place] = Known(row, place)
                self.rows.append((row, known))
            for partition in ends:
                latest[partition] = max(latest.get(partition, time), time)
            if len(latest) == 4:
                watermark = max(min(latest.values()), watermark or 0)

    def choose(self, known: Known, truth: Sequence[Told]) -> None:
        mark = NEVER
        for position, message in enumerate(truth):
            if message.mark is not None:
                mark = max(mark, message.mark.time_ms)
            for place, label in enumerate(message.labels):
                if (label.id, label.row) != (known.row.id, known.place) or label.label not in CLASSES:
                    continue
                time = message.written_ms if label.time is None else parse_time(label.time)
                met = max(time, mark)
                if known.row.time_ms < met + HORIZON and met < known.row.time_ms + HORIZON:
                    key = time, position, place
                    if known.label is None or key > known.label:
                        known.label, known.truth = key, CLASSES.index(str(label.label))
                        known.sex = None if label.context is None else label.context.get("sex")  # type: ignore[assignment]

    def windows(self) -> dict[str, list[tuple[Row, Known | None]]]:
        answer: dict[str, list[tuple[Row, Known | None]]] = {}
        for row, known in self.rows:
            start = row.time_ms // WINDOW * WINDOW
            name = f"m/{row.version}/{row.role}/{rfc3339(start)}/{rfc3339(start + WINDOW)}"
            answer.setdefault(name, []).append((row, known))
        return answer


def _others() -> list[Row]:
    return [
        Row("second", START, version="2", role="canary"),
        Row("third", START, version="2", role="shadow"),
    ]


def _in_message_order(rows: list[Row]) -> list[tuple[Row, int]]:
    """As `truth_log.section` lays rows out, by stream and request; and their places in their requests."""
    streams = list(dict.fromkeys((row.version, row.role) for row in rows))
    answer = []
    for stream in streams:
        own = [row for row in rows if (row.version, row.role) == stream]
        for key in dict.fromkeys((row.id, row.partition) for row in own):
            request = [row for row in own if (row.id, row.partition) == key]
            expired = request[0].expired
            answer += [(row._replace(expired=expired), place) for place, row in enumerate(request)]
    return answer


def check_performance(result: PerformanceResult, rows: list[tuple[Row, Known | None]]) -> None:
    answered = [(row, known) for row, known in rows if not row.abstained]
    told = [known for _, known in answered if known is not None and known.truth is not None]
    table = [[0, 0], [0, 0]]
    for known in told:
        assert known.truth is not None
        table[known.truth][known.row.predicted] += 1
    assert (result.n, result.abstained, result.labelled) == (
        len(answered),
        len(rows) - len(answered),
        len(told),
    )
    assert result.confusion_matrix == table
    right = table[0][0] + table[1][1]
    assert result.metrics["accuracy"] == (right / len(told) if told else None)
    brier = sum((known.row.score - (known.truth or 0)) ** 2 for known in told)
    assert result.metrics["brier_score_loss"] == (brier / len(told) if told else None)
    waited = sum(max(known.label[0] - known.row.time_ms, 0) for known in told if known.label)
    assert result.delay["mean_seconds"] == (waited / len(told) / 1000 if told else None)
    assert not result.provisional


def check_fairness(result: FairnessResult, rows: list[tuple[Row, Known | None]]) -> None:
    groups: dict[str, Counter[str]] = {}
    for row, known in rows:
        told = known.sex if known is not None and known.truth is not None and known.sex else row.sex
        counts = groups.setdefault(told or "missing", Counter())
        if row.abstained:
            counts["abstained"] += 1
            continue
        counts["n"] += 1
        if known is not None and known.truth is not None:
            kinds = {(1, 1): "tp", (0, 1): "fp", (0, 0): "tn", (1, 0): "fn"}
            counts[kinds[known.truth, row.predicted]] += 1
    found = {group.group["sex"]: group for group in result.groups}
    assert found.keys() == groups.keys()
    for sex, counts in groups.items():
        for name in ("n", "abstained", "tp", "fp", "tn", "fn"):
            assert getattr(found[sex], name) == counts[name], (sex, name)


def drained(worker: Worker) -> Worker:
    """Time goes on until nothing may come any more."""
    end = START + 100 * HORIZON
    worker.say([seen(end)], [clock(end)])
    return worker


def read(log: Log, *, kills: bool, bundles: Bundles = BUNDLES) -> Worker:
    """As the batches say, then the rest at once."""
    worker = Worker(bundles)
    observed, truth = log.messages, list(log.truth)
    worker.say([observed.pop(0)])
    for place, (some, others) in enumerate(log.batches):
        if kills and log.kills[place % len(log.kills)]:
            worker.restart()
        worker.say(observed[:some], truth[:others])
        observed, truth = observed[some:], truth[others:]
    if kills:
        worker.restart()
    worker.say(observed, truth)
    return worker


@given(logs())
@settings(max_examples=40, deadline=None)
def test_final_results_are_those_of_a_model_that_reads_row_by_row(log: Log) -> None:
    worker = drained(read(log, kills=True))
    windows = Naive.of(log).windows()
    performance, fairness = worker.performance(), worker.fairness()
    assert performance.keys() == fairness.keys() == windows.keys()
    for name, rows in windows.items():
        check_performance(performance[name], rows)
        check_fairness(fairness[name], rows)


@given(logs())
@settings(max_examples=40, deadline=None)
def test_the_latest_word_on_each_window_does_not_hang_on_batches_or_crashes(log: Log) -> None:
    whole = Worker(BUNDLES)
    whole.say(log.messages, log.truth)
    parted = read(log, kills=True)
    assert whole.contents() == parted.contents()
    assert standing(whole) == standing(parted)
    assert drained(whole).contents() == drained(parted).contents()
    assert standing(whole) == standing(parted)


def standing(worker: Worker) -> dict[str, Any]:
    """What readers of the alerts believe."""
    return {
        event.fingerprint: (event.status, event.since)
        for event in worker.alerts()
        if event.status != "resolved" or event.reason == "clear"
    }
