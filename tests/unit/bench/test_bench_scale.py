"""What the bench of several processes says of its runs."""

import pytest

from bench import scale
from bench.__main__ import judged
from bench.gateway import BATCHED, MANY
from tests.unit.bench.loads import one_load

ONE, TWO = ["gateway-0"], ["gateway-0", "gateway-1"]


def runs(two: list[float]) -> scale.Runs:
    return {
        (scale.ONE, MANY.name): [one_load(1_000, processes=ONE)] * 3,
        (scale.TWO, MANY.name): [one_load(rate, processes=TWO) for rate in two],
        (scale.ONE, BATCHED.name): [one_load(100, processes=ONE)] * 3,
        (scale.TWO, BATCHED.name): [one_load(150, processes=TWO)] * 3,
    }


def test_two_are_compared_with_one_in_pairs_by_rate_and_by_cpu_time() -> None:
    answer = judged(scale.summary(runs([1_800, 950, 900])))
    assert (answer["ours"], answer["ratio"]) == (950, 0.95)
    assert answer["ratios"] == {MANY.name: [1.8, 0.95, 0.9], BATCHED.name: [1.5] * 3}
    beside = answer["beside"]
    assert beside["one_at_64_cpu_ms_a_request"] == 0.5
    assert answer["cpu_ratio"] == pytest.approx(2 / 0.95)
    assert (beside["one_at_64_cores_busy"], beside["two_at_64_cores_busy"]) == (0.75, 1.25)
    assert [limit["met"] for limit in answer["limits"]] == [False]


def test_two_that_cost_little_more_a_request_than_one_meet_the_limit() -> None:
    assert [limit["met"] for limit in judged(scale.summary(runs([1_400, 1_350, 1_500])))["limits"]] == [True]
