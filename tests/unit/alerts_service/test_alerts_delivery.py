"""Attempts, waits and the breaker, by a clock and chances of the test's own."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.backoff import Backoff
from services.alerts.breaker import Breaker
from services.alerts.delivery import Delivery
from services.alerts.errors import Interrupted, NotDelivered
from services.alerts.seen import Seen


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        return True


def sink(*outcomes: NotDelivered | str) -> Callable[[], str]:
    """A sink that does these one after the other."""
    left = list(outcomes)

    def attempt() -> str:
        outcome = left.pop(0)
        if isinstance(outcome, NotDelivered):
            raise outcome
        return outcome

    return attempt


DOWN = NotDelivered("down", again=True)


def delivery(clock: Clock, breaker: Breaker, *, attempts: int = 8, chance: float = 1.0) -> Delivery:
    backoff = Backoff(first_seconds=1.0, most_seconds=5.0, random=lambda: chance)
    return Delivery(
        attempts=attempts, backoff=backoff, breaker=breaker, wait=clock.wait, on_failure=lambda _: None
    )


@given(st.integers(0, 5_000), st.floats(0, 1, exclude_max=True))
def test_waits_have_a_bound_that_doubles_and_ends(failures: int, chance: float) -> None:
    backoff = Backoff(first_seconds=0.5, most_seconds=30.0, random=lambda: chance)
    bound = min(30.0, 0.5 * 2 ** min(failures, 10))
    assert backoff.seconds(failures) == chance * bound


class TestBreaker:
    def test_opens_after_failures_in_a_row_only(self) -> None:
        breaker = Breaker(failures=2, pause_seconds=10, now=Clock())
        for outcome in (breaker.fail, breaker.succeed, breaker.fail):
            outcome()
            assert (breaker.state, breaker.wait_seconds) == ("closed", 0)
        breaker.fail()
        assert (breaker.state, breaker.wait_seconds) == ("open", 10)

    def test_one_attempt_after_the_pause_decides(self) -> None:
        clock = Clock()
        breaker = Breaker(failures=2, pause_seconds=10, now=clock)
        states: list[str] = []
        steps: list[Callable[[], object]] = [
            breaker.fail,
            breaker.fail,
            lambda: clock.wait(9.5),
            lambda: clock.wait(0.5),
            breaker.fail,
            lambda: clock.wait(10),
            breaker.succeed,
            breaker.fail,
        ]
        for step in steps:
            step()
            states.append(breaker.state)
        assert states == ["closed", "open", "open", "half-open", "open", "half-open", "closed", "closed"]


class TestDelivery:
    def test_waits_grow_between_attempts(self) -> None:
        clock = Clock()
        breaker = Breaker(failures=99, pause_seconds=10, now=clock)
        assert delivery(clock, breaker).run(sink(DOWN, DOWN, DOWN, DOWN, "taken")) == "taken"
        assert clock.waits == [1, 2, 4, 5]

    def test_jitter_may_make_a_wait_nothing(self) -> None:
        clock = Clock()
        breaker = Breaker(failures=99, pause_seconds=10, now=clock)
        assert delivery(clock, breaker, chance=0.0).run(sink(DOWN, DOWN, "taken")) == "taken"
        assert clock.waits == []

    def test_an_open_breaker_is_waited_for_also_by_the_next_delivery(self) -> None:
        clock = Clock()
        breaker = Breaker(failures=2, pause_seconds=10, now=clock)
        with pytest.raises(NotDelivered):
            delivery(clock, breaker, attempts=2).run(sink(DOWN, DOWN))
        assert delivery(clock, breaker).run(sink(DOWN, "taken")) == "taken"
        assert clock.waits == [1, 10, 10]
        assert breaker.state == "closed"

    def test_gives_up_after_the_attempts(self) -> None:
        clock = Clock()
        failed: list[str] = []
        steady = Delivery(
            attempts=3,
            backoff=Backoff(first_seconds=1.0, most_seconds=5.0, random=lambda: 0.5),
            breaker=Breaker(failures=99, pause_seconds=10, now=clock),
            wait=clock.wait,
            on_failure=lambda error: failed.append(error.reason),
        )
        with pytest.raises(NotDelivered, match="down"):
            steady.run(sink(DOWN, DOWN, DOWN))
        assert (clock.waits, failed) == ([0.5, 1], ["down"] * 3)

    def test_a_refusal_is_an_answer(self) -> None:
        """It is not tried again, and the breaker takes it for a sign of life."""
        clock = Clock()
        breaker = Breaker(failures=2, pause_seconds=10, now=clock)
        breaker.fail()
        with pytest.raises(NotDelivered):
            delivery(clock, breaker).run(sink(NotDelivered("answered 400", again=False)))
        breaker.fail()
        assert (clock.waits, breaker.state) == ([], "closed")

    def test_waiting_can_be_ended(self) -> None:
        breaker = Breaker(failures=99, pause_seconds=10, now=Clock())
        ended = Delivery(
            attempts=3,
            backoff=Backoff(first_seconds=1.0, most_seconds=5.0, random=lambda: 1.0),
            breaker=breaker,
            wait=lambda _: False,
            on_failure=lambda _: None,
        )
        with pytest.raises(Interrupted):
            ended.run(sink(DOWN, "taken"))


@given(st.lists(st.sampled_from("abcdefg"), max_size=60), st.integers(1, 5))
def test_the_last_ids_are_known_and_no_more(names: list[str], most: int) -> None:
    seen = Seen(most)
    for place, name in enumerate(names):
        recent = list(dict.fromkeys(reversed(names[:place])))[:most]
        assert seen.add(name) == (name not in recent)
        assert name in seen
