"""Half hours for tests of the demo's act on electricity, and what the monitors say of them."""

from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np
import orjson
from sklearn.metrics import confusion_matrix

from atalaia.alerts import AlertFold, Finding, Rule, rfc3339
from atalaia.demo.accuracy import Answered
from atalaia.demo.plan import DAY_MS
from atalaia.statistics.drop import judge
from atalaia.statistics.sequential import Sequential
from atalaia.windows import Window

STEP_MS = DAY_MS // 48
WINDOW_MS = 28 * DAY_MS
START_MS = 100 * WINDOW_MS
A_WINDOW = WINDOW_MS // STEP_MS
GOOD, BAD = 0.85, 0.6
ACCURACIES = (GOOD, GOOD, BAD, BAD, BAD, GOOD, GOOD, GOOD, GOOD)
REFERENCE = 2_000
RIGHT = round(GOOD * REFERENCE)
Record = dict[str, Any]


def half_hours(accuracies: tuple[float, ...] = ACCURACIES, seed: int = 3) -> Answered:
    """Windows of rows that are answered as accurately as told, some refused, and a day more."""
    rng = np.random.default_rng(seed)
    count = len(accuracies) * A_WINDOW + 48
    truth = rng.integers(0, 2, count)
    accuracy = np.repeat([*accuracies, accuracies[-1]], A_WINDOW)[:count]
    said = np.where(rng.random(count) < accuracy, truth, 1 - truth)
    time_ms = START_MS + np.arange(count) * STEP_MS
    return Answered(time_ms, said, truth, rng.random(count) < 0.01)


def performance(rows: Answered, model: str = "electricity") -> list[Record]:
    """What the monitor says of every window, the last one provisional."""
    found = _detected(rows)
    return [_result(model, rows, window, found) for window in _windows(rows)]


def alerts(results: list[Record]) -> list[Record]:
    """What follows from them for the alert on accuracy."""
    fold = AlertFold(model="electricity", version="1", monitor="performance", rule=Rule(2, 3, 3))
    events = []
    for place, result in enumerate(results):
        if not result["provisional"]:
            (one,) = result["judgements"]
            start_ms = START_MS + place * WINDOW_MS
            evidence = {name: one[name] for name in ("value", "change", "low", "high")}
            finding = Finding("accuracy", hit=one["hit"], evidence=evidence)
            events += fold.judge(Window(start_ms, start_ms + WINDOW_MS), [finding])
    return [orjson.loads(msgspec.json.encode(event)) for event in events]


def _windows(rows: Answered) -> list[tuple[int, int]]:
    last_ms = int(rows.time_ms[-1])
    return [(start, start + WINDOW_MS) for start in range(START_MS, last_ms + 1, WINDOW_MS)]


def _result(model: str, rows: Answered, window: tuple[int, int], found: list[Record]) -> Record:
    start_ms, end_ms = window
    some = rows.take((rows.time_ms >= start_ms) & (rows.time_ms < end_ms))
    told = some.take(~some.abstained)
    matrix = confusion_matrix(told.truth, told.said, labels=[0, 1])
    rates = {"accuracy": (int(matrix.trace()), int(matrix.sum()))}
    (drop,) = judge(rates, {"accuracy": (RIGHT, REFERENCE)})
    judgement = asdict(drop)
    judgement["change"] = judgement.pop("drop")
    provisional = end_ms > int(rows.time_ms[-1])
    return {
        "model": model,
        "window": {"start": rfc3339(start_ms), "end": rfc3339(end_ms)},
        "provisional": provisional,
        "n": len(told.truth),
        "labelled": len(told.truth),
        "abstained": int(some.abstained.sum()),
        "classes": [0, 1],
        "metrics": {"accuracy": drop.value},
        "confusion_matrix": matrix.tolist(),
        "judgements": [] if provisional else [judgement],
        "detectors": [one for one in found if not provisional and start_ms <= one["at_ms"] < end_ms],
    }


def _detected(rows: Answered) -> list[Record]:
    kept = rows.take(~rows.abstained)
    errors = (kept.said != kept.truth).astype(np.float64)
    return [
        {
            "detector": name,
            "at": rfc3339(one.at_ms),
            "since": rfc3339(one.since_ms),
            "rows": one.rows,
            "at_ms": one.at_ms,
        }
        for name in ("ddm", "adwin")
        for one in Sequential(name).feed(errors, kept.time_ms)
    ]
