"""What the benches of kept answers, of swaps and of replays say of their runs."""

import pytest

from bench import kept, replay, swap
from bench.__main__ import judged
from bench.swap import Asked
from tests.unit.bench.loads import one_load


def met(answer: dict[str, object]) -> list[bool]:
    return [limit["met"] for limit in judged(answer)["limits"]]


@pytest.mark.parametrize(
    ("asynchronous", "keyed", "expected"), [(500, 700, [True, True]), (490, 690, [False, False])]
)
def test_kept_requests_are_held_against_plain_ones_and_a_declared_route(
    asynchronous: float, keyed: float, expected: list[bool]
) -> None:
    rates = {
        "plain": 1_000,
        "keyed": keyed,
        "asynchronous": asynchronous,
        "declared_noop": 1_000,
        "noop": 2_000,
    }
    answer = kept.summary({name: [one_load(rate)] * 3 for name, rate in rates.items()})
    assert (answer["ratio"], answer["beside"]["of_noop"]) == (asynchronous / 1_000, asynchronous / 2_000)
    assert met(answer) == expected


def test_a_swap_adds_what_the_slowest_around_it_takes_beyond_the_slowest_before() -> None:
    asked = [Asked(9.8, 9.81, 200), Asked(10.05, 10.08, 200), Asked(12.55, 13.0, 200)]
    answer = swap.summary(asked, [(10.0, 10.1)])
    assert answer["ours"] == pytest.approx(20.0)
    assert swap.summary([*asked, Asked(10.2, 10.3, 503)], [(10.0, 10.1)])["beside"]["failed_requests"] == 1
    assert met(swap.summary(asked, [(12.5, 12.6)])) == [False, True]


def test_a_replay_is_held_against_the_scorer_of_its_turn() -> None:
    answer = replay.summary([100_000.0, 200_000.0], [60_000.0, 130_000.0], [50_000.0, 100_000.0])
    assert answer["ratio"] == pytest.approx(0.625)
    assert answer["beside"]["with_labels_of_scorer"] == 0.5
    assert met(answer) == [True]
