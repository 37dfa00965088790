"""Logs in which errors jump and labels come late, so that detectors find something and alerts fire."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from atalaia.records import Observation, Role
from tests.unit.monitors.truth.truth_log import (
    MINUTE,
    SECOND,
    TABLES,
    Bundles,
    Row,
    Told,
    Worker,
    clock,
    manifest_of,
    seen,
    told,
)

START = 1_700_000_040_000
DETECTORS: list[dict[str, Any]] = [
    {"detector": "ddm", "column": "error", "parameters": {"warm_start": 5}, "alerts": True},
    {"detector": "adwin", "column": "error", "parameters": {"clock": 4, "grace_period": 4, "delta": 0.9}},
    {
        "detector": "page_hinkley",
        "column": "error",
        "parameters": {"min_instances": 3, "threshold": 1.0},
        "alerts": True,
    },
]
SENSITIVE: dict[str, Any] = {
    **TABLES,
    "performance": {
        **TABLES["performance"],
        "minimum_labelled_rows": 4,
        "maximum_drop": 0.01,
        "quiet_windows": 1,
        "detectors": DETECTORS,
    },
    "fairness": {
        **TABLES["fairness"],
        "rows": 2,
        "outcomes": 1,
        "difference": 0.05,
        "attributes": ["sex"],
        "quiet_windows": 1,
    },
    "drift": {"minimum_window_rows": 5, "minimum_reference_rows": 10, "q": 0.5, "quiet_windows": 1},
}
STREAMS: list[tuple[str, Role]] = [("1", "primary"), ("2", "canary"), ("2", "shadow")]


def bundles(*, regression: bool = False) -> Bundles:
    """Two versions that are watched as above."""
    classes = () if regression else ("no", "yes")
    made = [manifest_of(version=version, tables=SENSITIVE, classes=classes) for version in "12"]
    return Bundles.of(*made)


@dataclass(frozen=True, repr=False)
class ErrorLog:
    """What lies on the two topics, and how it is read: (messages of each) a batch, and where it is killed.

    ``steady`` ones have rows of all streams so often that none is ever forgotten.
    """

    steady: bool
    observed: list[Observation]
    truth: list[Told]
    batches: list[tuple[int, int]]
    kills: list[bool]

    def read(self, known: Bundles) -> Worker:
        """As the batches say, then the rest at once, and time goes on in two steps."""
        worker = Worker(known)
        observed, truth = list(self.observed), list(self.truth)
        worker.say([observed.pop(0)])
        for (some, others), kill in zip(self.batches, self.kills, strict=True):
            worker.say(observed[:some], truth[:others])
            observed, truth = observed[some:], truth[others:]
            if kill:
                worker.restart()
        worker.say(observed, truth)
        return worker


@st.composite
def error_logs(draw: st.DrawFn, *, regression: bool = False) -> ErrorLog:
    """Each minute with errors of its own, now and then after a pause."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    start, truths = START, list[tuple[int, Told]]()
    firsts = [Row(f"first {role}", START, version=version, role=role) for version, role in STREAMS]
    observed = [seen(START, *firsts, regression=regression)]
    # Labels that are read before a shadow is seen, for the first time or after a pause, do not count for it.
    steady = draw(st.booleans())
    gaps, streams = ([2], STREAMS[2:]) if steady else ([5, 30], STREAMS[:2])
    for minute in range(draw(st.integers(2, 12))):
        start += draw(st.sampled_from([1, 1, 1, *gaps])) * MINUTE
        stream = draw(st.sampled_from(streams))
        wrong = draw(st.sampled_from([0.0, 0.0, 0.1, 1.0]))
        labelled = draw(st.sampled_from([1.0, 1.0, 0.5, 0.0]))
        flagged = draw(st.sampled_from([0.5, 0.5, 0.95, 0.05]))
        times = np.sort(random.integers(0, 60, draw(st.sampled_from([3, 12, 30, 120])))) * SECOND + start
        rows = [_row(f"{minute}-{n}", time, stream, flagged, random) for n, time in enumerate(times.tolist())]
        for row in rows:
            if random.random() < labelled:
                known_ms = row.time_ms + int(random.integers(-30, 170)) * SECOND
                label = _truth(row, regression=regression, wrong=bool(random.random() < wrong))
                truths.append((known_ms, told(row.id, label, known_ms)))
        late = draw(st.integers(0, len(rows)))
        observed.append(seen(start + 50 * SECOND, *rows[late:], regression=regression))
        observed.append(seen(start + 65 * SECOND, *rows[:late], regression=regression))
    end = start + 20 * MINUTE
    observed += [seen(end), seen(end + MINUTE), seen(end + 2 * MINUTE)]
    truths += [(time_ms, clock(time_ms)) for time_ms in range(START, end + 3 * MINUTE, 20 * SECOND)]
    truth = [one for _, one in sorted(truths, key=lambda entry: entry[0])]
    sizes = st.tuples(st.integers(0, 4), st.integers(0, 60))
    batches = draw(st.lists(sizes, max_size=12))
    kills = draw(st.lists(st.booleans(), min_size=len(batches), max_size=len(batches)))
    return ErrorLog(steady, observed, truth, batches, kills)


def _row(
    name: str, time_ms: int, stream: tuple[str, Role], flagged: float, random: np.random.Generator
) -> Row:
    """Of women the share that is ``flagged``, of men the others, unless that is more."""
    sex = str(random.choice(["F", "M"]))
    predicted = int(random.random() < (flagged if sex == "F" else min(flagged, 1 - flagged)))
    return Row(
        name,
        time_ms,
        predicted=predicted,
        score=0.75 if predicted else 0.25,
        sex=sex,
        version=stream[0],
        role=stream[1],
        abstained=bool(random.random() < 0.05),
        partition=int(random.integers(0, 4)),
    )


def _truth(row: Row, *, regression: bool, wrong: bool) -> str | float:
    if regression:
        return row.score + (3.0 if wrong else 0.1)
    return ("no", "yes")[row.predicted ^ wrong]
