"""What the demo makes of real people's rows and of what is said of them."""

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
from atalaia.demo.adults import DAYS, Census, decided, judged
from atalaia.demo.checks import Checks
from atalaia.demo.findings import BY_SEX
from atalaia.demo.history import History
from atalaia.demo.plan import DAY_MS
from atalaia.demo.recounted import Decided
from atalaia.demo.replaying import Replayed
from atalaia.demo.telling import Teller
from atalaia.replay.outcome import Outcome
from atalaia.settings import Settings
from recipes.adult import COLUMNS, People
from tests.unit.cli.demo_people import people, published

START_MS = 20 * DAY_MS
END_MS = START_MS + DAYS * DAY_MS
Record = dict[str, Any]
Records = dict[str, list[Record]]


def days() -> list[Decided]:
    return [people(seed=seed) for seed in range(DAYS)]


def fairness(day: int, rows: Decided) -> list[Record]:
    """A day's result before its truth has come, and with all of it."""
    start_ms = START_MS + day * DAY_MS
    window = {"start": rfc3339(start_ms), "end": rfc3339(start_ms + DAY_MS)}
    n = int((~rows.abstained).sum())
    first = {"model": "adult", "window": window, "revision": 0, "provisional": True, "n": n, "labelled": 0}
    return [first, {**first, "revision": 1, "provisional": False, "labelled": n, **published(rows)}]


def firing(subject: str, monitor: str = "fairness") -> Record:
    since = rfc3339(START_MS)
    return {"model": "adult", "status": "firing", "monitor": monitor, "subject": subject, "since": since}


def as_claimed(some: list[Decided]) -> Records:
    """The records of a run in which alerts are on what is a hit on both days."""
    results = [fairness(day, rows) for day, rows in enumerate(some)]
    hits = [{name for name, gap in judged(latest).items() if gap["hit"]} for _, latest in results]
    return {
        "fairness": [record for several in results for record in several],
        "alerts": [firing(subject) for subject in sorted(set.intersection(*hits))],
    }


def told(records: Records, some: list[Decided], *, unanswered: int = 0) -> tuple[Checks, str]:
    """All that is told of some records: the checks, and the screen."""
    rows = sum(len(day.truth) for day in some)
    abstained = sum(int(day.abstained.sum()) for day in some)
    outcome = Outcome(
        replay="r", model="adult", version="1", start=rfc3339(START_MS), end=rfc3339(END_MS - 1),
        rows=rows, answered=rows - abstained - unanswered, abstained=abstained, failed=unanswered, seconds=1,
        rows_per_second=100, monitors={"fairness": "caught up"},
    )  # fmt: skip
    values = {topic: [orjson.dumps(record) for record in several] for topic, several in records.items()}
    history = History("adult", values, start_ms=START_MS, end_ms=END_MS)
    manifest = Manifest("adult", "1", "classification", ModelFile("columns"), features=(), classes=("a", "b"))
    screen = io.StringIO()
    census = Census(Settings(), START_MS, 1.0, Teller(Console(file=screen, width=100)), Checks())
    census.judge(Replayed(outcome, history, [], manifest), some)
    return census.checks, screen.getvalue()


def test_records_as_they_are_claimed_hold_every_check_and_are_told_with_their_numbers() -> None:
    some = days()
    records = as_claimed(some)
    assert BY_SEX in {event["subject"] for event in records["alerts"]}
    checks, screen = told(records, some)
    assert checks.failed == []
    assert len(checks) == 7
    words = " ".join(screen.split())
    last = records["fairness"][-1]
    women = next(group for group in last["groups"] if group["group"] == {"sex": "F"})
    assert f"F {women['labelled']} {100 * women['flag_rate']:.0f} (" in words
    gap = judged(last)[BY_SEX]
    assert (
        f"sex flag_rate_ratio F / M {gap['value']:.3g} {gap['low']:.3g} to {gap['high']:.3g} alert" in words
    )
    assert max(map(len, screen.splitlines())) <= 100


def off_by_a_row(records: Records) -> None:
    records["fairness"][1]["groups"][0]["tp"] += 1


def never_provisional(records: Records) -> None:
    records["fairness"] = records["fairness"][1::2]


def truth_is_missing(records: Records) -> None:
    records["fairness"][-1]["labelled"] -= 1


def prevalence_is_unknown(records: Records) -> None:
    for group in records["fairness"][-1]["groups"]:
        group["prevalence"] = group["intervals"]["prevalence"] = None


def a_day_is_missing(records: Records) -> None:
    del records["fairness"][2:]


def no_alert(records: Records) -> None:
    records["alerts"] = [event for event in records["alerts"] if event["subject"] != BY_SEX]


def alert_without_hits(records: Records) -> None:
    records["alerts"].append(firing("fpr_difference by age"))


def drift(records: Records) -> None:
    records["alerts"].append(firing("inputs", "drift"))


def nothing_is_said(records: Records) -> None:
    records.clear()


ALERTS = "alerts are on what is a hit on both days"
REVISED = "fairness is told before its truth"
SEX = "an alert on flag_rate_ratio by sex"


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        (off_by_a_row, ["all figures of fairness"]),
        (never_provisional, [REVISED]),
        (truth_is_missing, [REVISED]),
        (prevalence_is_unknown, ["all figures of fairness", "the base rates"]),
        (a_day_is_missing, [REVISED, ALERTS, SEX]),
        (no_alert, [ALERTS, SEX]),
        (alert_without_hits, [ALERTS]),
        (drift, ["nothing else fires"]),
        (nothing_is_said, [REVISED, "all figures of fairness", SEX, "the base rates"]),
    ],
)
def test_what_is_not_as_it_is_claimed_is_found(change: Callable[[Records], None], claims: list[str]) -> None:
    some = days()
    records = as_claimed(some)
    change(records)
    failed = [check.claim for check in told(records, some)[0].failed]
    assert [next((claim for claim in claims if one.startswith(claim)), one) for one in failed] == claims


def test_sexes_that_are_flagged_and_earn_alike_on_the_second_day_are_found() -> None:
    first, second = days()
    alike = np.random.default_rng(1).random(len(second.truth)) < 0.3
    even = replace(second, truth=alike, flagged=alike)
    failed = [check.claim for check in told(as_claimed([first, even]), [first, even])[0].failed]
    assert [claim.partition(" by")[0] for claim in failed] == [
        "an alert on flag_rate_ratio", "the base rates of the sexes differ, too"
    ]  # fmt: skip


def test_a_row_without_an_answer_is_found() -> None:
    some = days()
    checks, _ = told(as_claimed(some), some, unanswered=1)
    (failed,) = checks.failed
    assert failed.claim == "all 1200 people are answered and watched"


def test_rows_have_bands_of_age_and_what_their_predictions_say() -> None:
    ages = [17, 30, 49, 50, 64, 65, 90]
    columns = {name: np.array(["x"] * len(ages), np.object_) for name in COLUMNS}
    columns["age"] = np.array([str(age) for age in ages], np.object_)
    some = People(columns, np.array([True] * len(ages)), "")
    rows = decided(some, {0: ">50K", 1: "<=50K", 2: ">50K"}, {0: False, 1: False, 2: True})
    assert rows.attributes["age"].tolist() == [
        "<30", "[30, 50)", "[30, 50)", "[50, 65)", "[50, 65)", ">=65", ">=65"
    ]  # fmt: skip
    assert rows.flagged.tolist() == [True, False, True, False, False, False, False]
    assert rows.abstained.tolist() == [False, False, True, True, True, True, True]
