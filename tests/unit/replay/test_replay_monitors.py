"""Waiting for monitors: until they have taken all and published all, or have stood still for too long."""

from collections.abc import Sequence

import pytest

from atalaia.replay.monitors import CAUGHT_UP, Standing, Target, wait_for_monitors

TARGET = Target(partition=2, observations=100, labels=40)


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float, /) -> None:
        self.seconds += seconds


class Fences:
    """Standings that change from look to look, and stay as they were last."""

    def __init__(self, **services: Sequence[list[Standing]]) -> None:
        self._services = services
        self._looks = dict.fromkeys(services, 0)

    def standings(self, service: str, partition: int) -> list[Standing]:
        assert partition == TARGET.partition
        told = self._services.get(service)
        if told is None:
            return []
        look, self._looks[service] = self._looks[service], self._looks[service] + 1
        return told[min(look, len(told) - 1)]


def at(observations: int, labels: int = 0, unpublished: int = 0) -> list[Standing]:
    return [Standing({"observations": observations, "labels": labels}, unpublished)]


def wait(fences: Fences, *, target: Target = TARGET, patience: float = 5.0) -> tuple[dict[str, str], float]:
    clock = Clock()
    told = wait_for_monitors(fences, target, patience_seconds=patience, tell=lambda _: None, clock=clock)
    return told, clock.seconds


def test_all_is_taken_when_positions_are_reached_and_nothing_is_left_to_publish() -> None:
    steps = [at(90, 40), at(100, 39), at(100, 40, unpublished=2), at(101, 40)]
    told, seconds = wait(Fences(drift=[at(100)], fairness=steps))
    assert told == {"drift": CAUGHT_UP, "fairness": CAUGHT_UP}
    assert seconds == pytest.approx(0.6)


def test_without_labels_their_position_is_no_matter() -> None:
    fences = Fences(drift=[at(100)], fairness=[[Standing({"observations": 100}, 0)]])
    assert wait(fences, target=TARGET._replace(labels=None))[0] == {"drift": CAUGHT_UP, "fairness": CAUGHT_UP}


def test_state_of_an_older_configuration_that_stands_still_holds_nobody_up() -> None:
    drift = [[*at(7, unpublished=3), *at(100)]]
    assert wait(Fences(drift=drift, fairness=[at(100, 40)]))[0]["drift"] == CAUGHT_UP


def test_a_monitor_that_moves_is_waited_for_however_long_it_takes() -> None:
    steps = [at(position, 40) for position in range(101) for _ in range(20)]
    told, seconds = wait(Fences(drift=[at(100)], fairness=steps))
    assert told["fairness"] == CAUGHT_UP
    assert seconds > 300


@pytest.mark.parametrize(("steps", "word"), [([at(99, 40)], "behind"), (None, "not running")])
def test_one_that_does_not_move_is_given_up_and_named(steps: list[list[Standing]] | None, word: str) -> None:
    fences = Fences(drift=[at(100)]) if steps is None else Fences(drift=[at(100)], fairness=steps)
    told, seconds = wait(fences)
    assert told == {"drift": CAUGHT_UP, "fairness": word}
    assert 5.0 < seconds < 5.5


def test_what_is_taken_beyond_the_target_is_no_progress() -> None:
    steps = [at(100 + look, 39) for look in range(1_000)]
    told, seconds = wait(Fences(drift=[at(100)], fairness=steps))
    assert told["fairness"] == "behind"
    assert seconds < 6
