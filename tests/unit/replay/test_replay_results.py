"""Of each window the latest revision counts, whatever was published between."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from atalaia.replay.outcome import Results, provisional

from .told import HOUR_MS, HOURS, START_MS, alert, drift, fairness, outcome, performance


def results() -> Results:
    return Results("panel", start_ms=START_MS, end_ms=START_MS + HOURS * HOUR_MS - 1)


def revised(record: dict[str, Any], **more: Any) -> bytes:
    return orjson.dumps({**record, **more})


def test_each_window_has_its_latest_revision_in_the_order_of_windows() -> None:
    gathered = results()
    for hour in (2, 0, 1):
        gathered.add("drift", revised(drift(hour), provisional=True))
    cut = {"generation": 0, "observations": 999}
    gathered.add("drift", revised(drift(1), revision=2, cut=cut))
    gathered.add("drift", revised(drift(1), revision=3, cut={"generation": 0, "observations": 500}))
    told = gathered.of("drift")
    assert [entry["window"] for entry in told] == [drift(hour)["window"] for hour in range(3)]
    assert [entry["revision"] for entry in told] == [1, 2, 1]
    assert provisional(told) == 2


orders = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))),
    min_size=1,
    unique=True,
    max_size=8,
)


@given(orders=orders)
def test_the_later_revision_is_the_one_of_the_greater_generation_and_cut(
    orders: list[tuple[int, int, int | None]],
) -> None:
    gathered = results()
    for generation, observations, labels in orders:
        cut = {"generation": generation, "observations": observations}
        cut |= {} if labels is None else {"labels": labels}
        gathered.add("performance", revised(performance(0), cut=cut))
    [told] = gathered.of("performance")
    latest = max(orders, key=lambda order: (order[0], order[1], order[2] or 0))
    assert (told["cut"]["generation"], told["cut"]["observations"]) == latest[:2]
    assert told["cut"].get("labels", 0) == (latest[2] or 0)


def test_other_models_windows_elsewhere_in_time_and_other_roles_are_told_apart() -> None:
    gathered = results()
    gathered.add("fairness", revised(fairness(0), model="other"))
    gathered.add("fairness", orjson.dumps(fairness(HOURS)))
    gathered.add("fairness", orjson.dumps(fairness(-1)))
    gathered.add("fairness", revised(fairness(0), role="canary", version="3"))
    gathered.add("fairness", orjson.dumps(fairness(0)))
    assert [(entry["version"], entry["role"]) for entry in gathered.of("fairness")] == [
        ("2", "primary"),
        ("3", "canary"),
    ]


def test_alerts_keep_the_order_of_their_topic() -> None:
    gathered = results()
    events = [alert("firing", "sodium", 3), alert("pending", "chloride", 1)]
    for event in [*events, {**alert("firing", "x", 1), "model": "other"}]:
        gathered.add("alerts", orjson.dumps(event))
    assert gathered.alerts == events


def test_an_alert_that_stood_before_and_lapses_is_not_of_the_replay() -> None:
    gathered = results()
    lapsed, own = (
        alert("resolved", "sodium", 1),
        [alert(status, "chloride", 2) for status in ("firing", "resolved")],
    )
    for event in [lapsed, *own]:
        gathered.add("alerts", orjson.dumps(event))
    assert gathered.alerts == own


def test_it_is_complete_when_rows_and_monitors_are() -> None:
    assert outcome().complete
    assert not outcome(monitors={"drift": "caught up", "fairness": "behind"}).complete
    assert not outcome(answered=0).complete
