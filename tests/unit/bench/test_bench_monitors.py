"""What the benches of the monitors say of their figures."""

import pytest

from bench import drift, join, memory, memory_monitors, platform
from bench.__main__ import judged
from bench.catching_up import Caught

MEMBERS = {"bench", "ours", "beside", "ratio", "cpu_seconds"}


def caught(observations: int, *, seconds: float = 2.0, cpu_seconds: float = 1.0) -> Caught:
    return Caught(observations, seconds, cpu_seconds, redis_cpu_seconds=3.0, size_mb=200.0)


def met(answer: dict[str, object]) -> list[bool | None]:
    limits = judged(answer)["limits"]
    return [limit["met"] for limit in limits]


def test_drift_is_held_against_each_peer_by_cpu_time() -> None:
    runs = {size: [caught(600_000 // size)] for size in (500, 2_000, 10_000)}
    peers = [{"whylogs": 100_000.0, "evidently": None}]
    answer = drift.summary(runs, river={1_000: 2_000.0, 10_000: 1_000.0}, peers=peers)
    assert answer.keys() >= MEMBERS
    assert (answer["ours"], answer["ratio"]) == (600_000, 6.0)
    assert answer["beside"]["of_river_over_10000"] == 600
    assert answer["beside"]["of_river_over_1000"] == 300
    assert answer["absent"] == ["evidently"]
    assert met(answer) == [True, True, True]


def test_peers_without_their_environment_are_absent() -> None:
    runs = {2_000: [caught(100), caught(200)]}
    answer = drift.summary(runs, river={10_000: 1_000.0}, peers=[None, None])
    assert (answer["absent"], answer["ratio"]) == (["whylogs", "evidently"], None)
    assert met(answer) == [False, False, None]


def test_river_is_measured_over_as_many_rows_as_are_told() -> None:
    assert drift.river_rows_per_cpu_second(50) > 0


@pytest.mark.parametrize(
    ("seconds", "held", "expected"), [(2.0, 60.0, [True, True]), (4.0, 65.0, [False] * 2)]
)
def test_the_join_counts_rows_between_fences(seconds: float, held: float, expected: list[bool]) -> None:
    run = join.Run(
        worker=caught(100, seconds=seconds),
        bytes_a_row=held,
        plain_seconds=5.0,
        plain_cpu_seconds=4.0,
        plain_bytes_a_row=24.0,
        rows=250_000,
        plain_rows=100_000,
    )
    answer = join.summary([run])
    assert answer.keys() >= MEMBERS
    assert answer["ours"] == 200_000 / seconds
    assert answer["ratio"] == 200_000 / seconds / 20_000
    assert answer["beside"]["redis_cpu_us_a_row"] == 15
    assert met(answer) == expected


def test_a_lag_is_the_age_of_what_lies_beyond_the_fence() -> None:
    lags = platform.Lags()
    for at, end in ((1.0, 10), (2.0, 10), (3.0, 20), (4.0, 30)):
        lags.see("observations", at, end)
    assert lags.of("observations", 5.0, 30) == 0
    assert lags.of("observations", 5.0, 20) == 1.0
    assert lags.of("observations", 5.0, 19) == 2.0
    assert lags.of("observations", 5.0, 0) == 4.0
    assert lags.of("observations", 5.0, 12, keep=10) == 2.0
    assert lags.of("labels", 5.0, 0) == 0


def test_the_platform_is_judged_by_lag_and_by_cost() -> None:
    cpu = {"scorer": 6.0, "drift": 2.0, "fairness": 5.0, "alerts": 1.0}
    lags = {"drift": [0.3] * 98 + [9.0] * 2, "fairness": [0.5] * 90 + [9.0] * 10}
    figures = platform.Figures(seconds=60.0, rows=1_200_000, lags=lags, cpu_seconds=cpu)
    answer = platform.summary(figures, rate=20_000)
    assert answer.keys() >= MEMBERS
    assert answer["beside"]["rows_per_second_written"] == 20_000
    assert answer["beside"]["drift_lag_most_seconds"] == 9.0
    assert met(answer) == [True, False, False]


def monitors(fairness: list[float]) -> memory_monitors.Samples:
    rows = [125_000 * (step + 1) for step in range(8)]
    return memory_monitors.Samples(rows, {"drift": [250.0] * 8, "fairness": fairness}, 90, 12.0)


def test_monitors_must_stay_small_and_flat() -> None:
    answer = memory.summary([0, 10**6, 15 * 10**5, 2 * 10**6], {"gateway": [1.0] * 4}, cpu_seconds=1.0)
    flat = memory.with_monitors(answer, monitors([280.0] * 8))
    assert flat["beside"]["monitors_windows"] == 2_000
    assert met(flat)[-4:] == [True] * 4
    grown = memory.with_monitors(answer, monitors([280.0 + 20 * step for step in range(8)]))
    assert grown["beside"]["fairness_grown_mb"] == 80
    assert met(grown)[-4:] == [True, False, True, False]


def test_monitors_watched_too_shortly_say_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        memory_monitors.figures(memory_monitors.Samples([1, 2], {"drift": [1.0, 1.0]}))
