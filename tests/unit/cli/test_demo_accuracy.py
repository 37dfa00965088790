"""Accuracy counted again: as it is published, and found where it is not."""

from collections.abc import Callable

import numpy as np
import pytest

from atalaia.demo.accuracy import (
    Answered,
    compare,
    compare_evidence,
    detections,
    differing_detections,
    ends_ms,
    episodes,
    judge,
    published,
)
from atalaia.demo.recounted import differing
from atalaia.monitors.configuration import PerformanceSettings
from tests.unit.cli.demo_market import (
    ACCURACIES,
    BAD,
    GOOD,
    REFERENCE,
    RIGHT,
    Record,
    alerts,
    half_hours,
    performance,
)

SETTINGS = PerformanceSettings()
SINCE_A_WARNING, BY_ITS_WINDOW = "ddm", "adwin"


def compared(result: Record, rows: Answered) -> list[str]:
    return differing(compare(result, rows.of(result), (RIGHT, REFERENCE)))


def test_what_is_published_of_rows_is_counted_alike() -> None:
    rows = half_hours()
    results = performance(rows)
    assert [wrong for result in results for wrong in compared(result, rows)] == []
    figures = compare(results[0], rows.of(results[0]), (RIGHT, REFERENCE))
    assert len(figures) == 11
    verdicts = judge(results[:-1], rows, (RIGHT, REFERENCE), SETTINGS.maximum_drop)
    assert [verdict.hit for verdict in verdicts] == [accuracy == BAD for accuracy in ACCURACIES]
    evidence = compare_evidence(_firing(results), verdicts)
    assert len(evidence) == 6
    assert differing(evidence) == []


def _firing(results: list[Record]) -> list[Record]:
    return [event for event in alerts(results) if event["status"] == "firing"]


def _count(result: Record) -> None:
    result["labelled"] -= 1


def _abstained(result: Record) -> None:
    result["abstained"] += 1


def _accuracy(result: Record) -> None:
    result["metrics"]["accuracy"] += 2e-9


def _matrix(result: Record) -> None:
    result["confusion_matrix"][1][0] += 1


def _low(result: Record) -> None:
    result["judgements"][0]["low"] -= 2e-9


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_count, "labelled"),
        (_abstained, "abstained"),
        (_accuracy, "accuracy"),
        (_matrix, "0 for 1"),
        (_low, "drop low"),
    ],
)
def test_a_figure_that_is_off_is_named(change: Callable[[Record], None], found: str) -> None:
    rows = half_hours()
    result = performance(rows)[0]
    change(result)
    (wrong,) = compared(result, rows)
    assert wrong.startswith(f"{result['window']['start']} {found}: ")


def test_evidence_of_an_alert_that_is_not_that_of_the_rows_is_named() -> None:
    rows = half_hours()
    results = performance(rows)
    verdicts = judge(results[:-1], rows, (RIGHT, REFERENCE), SETTINGS.maximum_drop)
    firing = _firing(results)
    firing[0]["evidence"]["windows"][-1]["high"] += 2e-9
    (wrong,) = differing(compare_evidence(firing, verdicts))
    assert "high of the alert" in wrong


@pytest.mark.parametrize("seed", range(5))
def test_alerts_that_follow_are_those_that_the_monitors_fold_tells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    accuracies = tuple(np.where(rng.random(24) < 0.4, BAD, GOOD).tolist())
    rows = half_hours(accuracies, seed)
    results = performance(rows)
    told: dict[str, str | None] = {}
    for event in alerts(results):
        if event["status"] == "firing":
            told[event["since"]] = None
        elif event["status"] == "resolved" and event["since"] in told:
            told[event["since"]] = event["until"]
    verdicts = judge(results[:-1], rows, (RIGHT, REFERENCE), SETTINGS.maximum_drop)
    expected = episodes(verdicts, SETTINGS)
    assert dict(expected) == told
    assert expected


@pytest.mark.parametrize("seed", range(5))
def test_detections_are_those_that_the_monitors_publish(seed: int) -> None:
    rows = half_hours(seed=seed)
    results = performance(rows)[:-1]
    counted = detections(rows.before(ends_ms(results[-1])))
    assert differing_detections(results, counted) == []
    assert {name: len(several) for name, several in counted.items()} == {
        name: len(published(results, name)) for name in (SINCE_A_WARNING, BY_ITS_WINDOW)
    }
    assert all(counted.values())


@pytest.mark.parametrize("detector", [SINCE_A_WARNING, BY_ITS_WINDOW])
@pytest.mark.parametrize("change", ["left out", "at", "rows", "since"])
def test_a_detection_that_river_does_not_make_is_named(detector: str, change: str) -> None:
    rows = half_hours()
    results = performance(rows)[:-1]
    counted = detections(rows.before(ends_ms(results[-1])))
    one = published(results, detector)[0]
    if change == "left out":
        for result in results:
            result["detectors"] = [other for other in result["detectors"] if other is not one]
    elif change == "rows":
        one["rows"] += 1
    else:
        one[change] = "1970-01-01T00:00:00.000Z"
    wrong = differing_detections(results, counted)
    assert wrong
    assert all(words.startswith(detector) for words in wrong)
