"""What the demo makes of a market whose rule changes, and of what is said of it."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from rich.console import Console

from atalaia.alerts import rfc3339
from atalaia.bundles.manifest import Manifest, ModelFile
from atalaia.demo.accuracy import Answered
from atalaia.demo.checks import Checks
from atalaia.demo.electricity import NEIGHBOUR, PREVIOUS, TREE, Market, Watched, answered
from atalaia.demo.history import History
from atalaia.demo.plan import DAY_MS
from atalaia.demo.replaying import Replayed
from atalaia.demo.telling import Teller
from atalaia.inference.columns import parse_time
from atalaia.replay.outcome import Outcome
from atalaia.settings import Settings
from recipes.electricity import FEATURES, MONITORS, HalfHours
from tests.unit.cli.demo_market import (
    REFERENCE,
    RIGHT,
    START_MS,
    STEP_MS,
    Record,
    alerts,
    half_hours,
    performance,
)

ALIVE = 4_000
"""The first row in which the neighbour's columns are not what they were."""
DRIFT_MS = 14 * DAY_MS
Records = dict[str, list[Record]]


def market(rows: Answered) -> HalfHours:
    features = np.zeros((len(rows.truth), len(FEATURES)), np.float32)
    features[ALIVE:, -len(NEIGHBOUR) :] = 1
    return HalfHours(features, rows.truth == 1, "")


def drift(rows: Answered) -> list[Record]:
    """The price moved from the first day on, the neighbour's columns are hits once they are alive."""
    records = []
    for start_ms in range(START_MS, int(rows.time_ms[-1]), DRIFT_MS):
        alive = start_ms + DRIFT_MS > START_MS + ALIVE * STEP_MS
        columns = [{"column": name, "hit": alive} for name in NEIGHBOUR]
        columns += [{"column": "period", "hit": False}, {"column": "nswprice", "hit": True}]
        window = {"start": rfc3339(start_ms), "end": rfc3339(start_ms + DRIFT_MS)}
        records.append({"model": TREE, "window": window, "columns": columns})
    return records


def as_claimed(rows: Answered) -> Records:
    """The records of a run in which all is as the demo claims."""
    results = performance(rows)
    inputs = {
        "model": TREE,
        "monitor": "drift",
        "subject": "inputs",
        "status": "firing",
        "fingerprint": "of the inputs",
        "since": rfc3339(START_MS),
        "evidence": {"windows": [{"end": rfc3339(START_MS + DRIFT_MS), "columns": []}]},
    }
    return {"performance": results, "drift": drift(rows), "alerts": [inputs, *alerts(results)]}


def watched(records: Records, rows: Answered, *, model: str = TREE, unanswered: int = 0) -> Watched:
    count, abstained = len(rows.truth), int(rows.abstained.sum())
    outcome = Outcome(
        replay="r", model=model, version="1", start=rfc3339(START_MS), end=rfc3339(int(rows.time_ms[-1])),
        rows=count, answered=count - abstained - unanswered, abstained=abstained, failed=unanswered,
        seconds=1, rows_per_second=100, monitors={"drift": "caught up"},
    )  # fmt: skip
    values = {topic: [orjson.dumps(record) for record in several] for topic, several in records.items()}
    history = History(model, values, start_ms=START_MS, end_ms=int(rows.time_ms[-1]) + 1)
    manifest = Manifest(
        model, "1", "classification", ModelFile("tensor"), features=(), classes=(0, 1), monitors=MONITORS
    )
    return Watched(Replayed(outcome, history, [], manifest), rows, (RIGHT, REFERENCE))


def told_market() -> tuple[Market, io.StringIO]:
    screen = io.StringIO()
    return Market(Settings(), 0, Teller(Console(file=screen, width=100)), Checks()), screen


def told(records: Records, rows: Answered, **others: Any) -> tuple[Checks, str]:
    """All that is told of the tree: the checks, and the screen."""
    act, screen = told_market()
    act.judge_tree(watched(records, rows, **others), market(rows))
    return act.checks, screen.getvalue()


def test_records_as_they_are_claimed_hold_every_check_and_are_told_with_their_numbers() -> None:
    rows = half_hours()
    records = as_claimed(rows)
    checks, screen = told(records, rows)
    assert checks.failed == []
    assert len(checks) == 8
    words = " ".join(screen.split())
    (firing,) = (one for one in records["alerts"] if one["status"] == "firing" and "until" in one)
    (resolved,) = (one for one in records["alerts"] if one["status"] == "resolved")
    first, last = (
        181 + (parse_time(time) - START_MS) // DAY_MS for time in (firing["since"], resolved["until"])
    )
    assert f"since day {first}, over on day {last}. Beside it: DDM since day " in words
    accuracy = records["performance"][2]["metrics"]["accuracy"]
    assert f"237 to 264 {accuracy:.3f} " in words
    assert f"transfer {len([one for one in records['drift'] if one['columns'][0]['hit']])} of" in words
    assert max(map(len, screen.splitlines())) <= 100


def off_by_a_row(records: Records) -> None:
    records["performance"][4]["confusion_matrix"][0][1] += 1


def a_window_is_missing(records: Records) -> None:
    del records["performance"][0]


def provisional(records: Records) -> None:
    records["performance"][1]["provisional"] = True


def no_alert(records: Records) -> None:
    records["alerts"] = records["alerts"][:1]


def never_over(records: Records) -> None:
    records["alerts"] = [one for one in records["alerts"] if one["status"] != "resolved"]


def other_evidence(records: Records) -> None:
    firing = next(
        one for one in records["alerts"] if one["subject"] == "accuracy" and one["status"] == "firing"
    )
    firing["evidence"]["windows"][0]["low"] = 0.0


def a_detection_less(records: Records) -> None:
    result = next(one for one in records["performance"] if one["detectors"])
    result["detectors"] = result["detectors"][1:]


def silent(detector: str) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        for result in records["performance"]:
            result["detectors"] = [one for one in result["detectors"] if one["detector"] != detector]

    return change


def hit_while_constant(records: Records) -> None:
    records["drift"][0]["columns"][0]["hit"] = True


def never_hit(records: Records) -> None:
    for record in records["drift"]:
        record["columns"][2]["hit"] = False


def no_drift(records: Records) -> None:
    records["alerts"] = records["alerts"][1:]


def nothing_is_said(records: Records) -> None:
    records.clear()


PERFORMANCE = f"{TREE}: performance of every window"
JUDGED = f"{TREE}: every window that is over"
ALERTS = f"{TREE}: alerts on accuracy"
RIVER = "DDM and ADWIN have found"
BESIDE = "an alert on accuracy fires"
ALIVE_CLAIM = "vicprice, vicdemand, transfer are hits"
INPUTS = "an alert on drift of the inputs"


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        (off_by_a_row, [PERFORMANCE]),
        (a_window_is_missing, [PERFORMANCE, RIVER]),
        (provisional, [JUDGED]),
        (no_alert, [ALERTS, BESIDE]),
        (never_over, [ALERTS]),
        (other_evidence, [PERFORMANCE]),
        (a_detection_less, [RIVER]),
        (silent("ddm"), [RIVER, BESIDE]),
        (silent("adwin"), [RIVER, BESIDE]),
        (hit_while_constant, [ALIVE_CLAIM]),
        (never_hit, [ALIVE_CLAIM]),
        (no_drift, [INPUTS]),
        (nothing_is_said, [PERFORMANCE, JUDGED, RIVER, BESIDE, ALIVE_CLAIM, INPUTS]),
    ],
)
def test_what_is_not_as_it_is_claimed_is_found(change: Callable[[Records], None], claims: list[str]) -> None:
    rows = half_hours()
    records = as_claimed(rows)
    change(records)
    failed = [check.claim for check in told(records, rows)[0].failed]
    assert [next((claim for claim in claims if one.startswith(claim)), one) for one in failed] == claims


def test_a_row_without_an_answer_is_found() -> None:
    rows = half_hours()
    (failed,) = told(as_claimed(rows), rows, unanswered=1)[0].failed
    assert failed.claim == f"{TREE}: all half hours are answered and watched"


@pytest.mark.parametrize(("accuracy", "held"), [(0.853, True), (0.8, False)])
def test_the_previous_label_is_as_often_right_as_is_known(accuracy: float, *, held: bool) -> None:
    rows = half_hours((accuracy,) * 6, seed=1)
    count = len(rows.truth)
    wrong = np.random.default_rng(1).permutation(count) >= round(accuracy * count)
    rows = replace(
        rows, said=np.where(wrong, 1 - rows.truth, rows.truth), abstained=np.zeros(len(wrong), bool)
    )
    act, screen = told_market()
    records: Records = {"performance": performance(rows, PREVIOUS)}
    act.judge_previous(watched(records, rows, model=PREVIOUS))
    failed = [check.claim for check in act.checks.failed if "0.853" in check.claim]
    assert failed == ([] if held else [f"{PREVIOUS}: accuracy over all half hours is 0.853"])
    assert f"accuracy {act.figures['previous']['accuracy']:.3f}" in " ".join(screen.getvalue().split())


def test_rows_without_an_answer_count_as_refused() -> None:
    def output(name: str, data: list[Any]) -> Record:
        return {"name": name, "shape": [len(data)], "datatype": "INT64", "data": data}

    body = {
        "model_name": TREE,
        "id": "r-1",
        "outputs": [output("label", [1, 0]), output("abstained", [False, True])],
    }
    rows = answered(START_MS, np.array([1, 1, 0, 0]), "r", [(b"r-1", orjson.dumps(body))])
    assert rows.said.tolist() == [-1, 1, 0, -1]
    assert rows.abstained.tolist() == [True, False, True, True]
    assert rows.right == (1, 1)
    assert np.diff(rows.time_ms).tolist() == [STEP_MS] * 3
