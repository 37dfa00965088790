"""What the demo makes of the wine experiments."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from atalaia.demo.history import History
from atalaia.demo.plan import DAY_MS
from atalaia.demo.replaying import outputs_by_row
from atalaia.demo.wines import (
    MEASUREMENTS,
    answers_of,
    experiments,
    named_columns,
    small_p_values,
)
from atalaia.monitors.configuration import monitor_settings
from recipes.wine import MONITORS, Wines
from tests.unit.recipes.marks import DATA_DIR, needs_data

WINDOW_MS = 300_000
Record = dict[str, Any]


def window(minutes: int) -> dict[str, str]:
    return {
        "start": f"1970-01-01T00:{minutes:02d}:00.000Z",
        "end": f"1970-01-01T00:{minutes + 5:02d}:00.000Z",
    }


def history(**records: list[Record]) -> History:
    values = {
        topic: [orjson.dumps({"model": "wine", **one}) for one in many] for topic, many in records.items()
    }
    return History("wine", values, start_ms=0, end_ms=10 * WINDOW_MS)


def column(name: str, p_value: float | None, *, decides: bool = True) -> Record:
    return {"column": name, "p_value": p_value, "decides": decides}


def response(first: str, labels: list[int]) -> tuple[bytes, bytes]:
    output = {"name": "label", "shape": [len(labels)], "datatype": "INT64", "data": labels}
    return first.encode(), orjson.dumps({"model_name": "wine", "id": first, "outputs": [output]})


def test_accuracy_is_that_of_all_rows_and_of_those_that_the_monitor_counts() -> None:
    predictions = [response("run-2", [7, 5]), response("run-0", [5, 6]), response("x-0", [9])]
    labels = outputs_by_row("run", predictions, "label")
    assert labels == {0: 5, 1: 6, 2: 7, 3: 5}
    known = history(
        performance=[
            {"window": window(0), "confusion_matrix": [[9, 9], [9, 9]]},
            {"window": window(0), "confusion_matrix": [[2, 1], [0, 0]]},
            {"window": window(5), "confusion_matrix": [[0, 0], [0, 1]]},
        ]
    )
    answers = answers_of([5, 6, 7, 7, 5], labels, known)
    assert (answers.rows, answers.accuracy) == (5, 0.6)
    assert (answers.answered, answers.accuracy_answered) == (4, 0.75)


def test_without_any_answer_accuracy_is_none_that_could_pass() -> None:
    answers = answers_of([5], {}, history())
    assert answers.accuracy == 0
    assert not abs(answers.accuracy_answered - 0.651) <= 1


def test_small_p_values_are_those_of_measurements_that_decide_over_the_first_pass() -> None:
    columns = [
        column(MEASUREMENTS[0], 0.01),
        column(MEASUREMENTS[1], 0.05),
        column(MEASUREMENTS[2], None),
        column(MEASUREMENTS[3], 0.01, decides=False),
        column("score", 0.01),
    ]
    later = {"window": window(5), "columns": [column(MEASUREMENTS[4], 0.01)]}
    assert small_p_values(history(drift=[{"window": window(0), "columns": columns}, later])) == [
        MEASUREMENTS[0]
    ]
    assert small_p_values(history()) == []


def test_an_alert_names_measurements_that_were_hits_each_time() -> None:
    def told(*names: str) -> Record:
        columns = [
            {"column": name, "test": "ks", "effect": place / 10, "p_adjusted": 0.001}
            for place, name in enumerate(names, start=1)
        ]
        return {**window(0), "columns": columns}

    first, second = told("ph", "alcohol", "score"), told("score", "ph", "density", "alcohol")
    event = {"monitor": "drift", "subject": "inputs", "since": window(0)["start"]}
    label = {**event, "subject": "label"}
    assert named_columns([label, {**event, "evidence": {"windows": [first, second]}}]) == ["alcohol", "ph"]
    assert named_columns([label]) == []


@pytest.mark.data
@needs_data
def test_every_pass_fills_windows_of_its_own() -> None:
    no_drift, drift, thesis = experiments(Wines.read(Path(DATA_DIR)))
    for experiment, rows in ((no_drift, 298), (drift, 408)):
        assert len(experiment.rows) == experiment.windows * rows
        assert round(rows * experiment.interval_ms) == WINDOW_MS
        assert round((rows - 1) * experiment.interval_ms) < WINDOW_MS
    assert len(thesis.rows) == 1191


@pytest.mark.parametrize("interval_seconds", [1, 12])
def test_windows_of_a_day_at_most_judge_at_the_default_interval_and_slower(interval_seconds: int) -> None:
    drift = monitor_settings(MONITORS).drift
    rows = drift.window_ms // 1000 // interval_seconds
    merged = -(-drift.minimum_window_rows // rows)
    assert merged <= drift.most_merged
    assert drift.most_merged * drift.window_ms == DAY_MS
    assert merged == (1 if interval_seconds == 1 else 10)
