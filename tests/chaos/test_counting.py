"""The count of rows can fail: a row dropped, seen twice, or in no window does not add up."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest

from atalaia.auditing.published import Published, read_result
from atalaia.records import Observation
from atalaia.results import DriftResult
from atalaia.topics import DRIFT
from tests.unit.monitors.drift_log import HOUR, Bundles, Reader, make_watched, message, reach, section

from .counting import add_up

ROWS, WINDOWS = 40, 3


@dataclass
class Past:
    """What lies on `observations` and on `drift`."""

    log: list[Observation]
    results: list[DriftResult]

    def wrong(self) -> list[str]:
        return add_up(self.log, published(self.results)).wrong


def past() -> Past:
    """Three windows of rows, some of a canary's, and one row that comes too late."""
    watched, other = make_watched(), make_watched(version="2")
    reader = Reader(Bundles({("m", "1"): watched, ("m", "2"): other}))
    log: list[Observation] = []
    for hour in range(WINDOWS):
        times = [hour * HOUR + 1000 * place for place in range(ROWS)]
        log.append(message(section(times, watched=watched, seed=hour)))
        log.append(message(section(times[:5], watched=other, role="canary", seed=hour)))
        log.append(reach((hour + 1) * HOUR + 2 * 60_000))
        if hour == 1:
            log.append(message(section([7], watched=watched)))
    return Past(log, [result for observation in log for result in reader.take(observation)])


def published(results: list[DriftResult]) -> list[Published]:
    return [read_result(DRIFT.name, msgspec.json.encode(result)) for result in results]


def test_a_good_log_adds_up() -> None:
    good = past()
    counts = add_up(good.log, published(good.results))
    assert counts.wrong == []
    assert (counts.observed, counts.late.total()) == (WINDOWS * (ROWS + 5) + 1, 1)


def drop_an_observation(past: Past) -> None:
    del past.log[0]


def observe_rows_once_more(past: Past) -> None:
    past.log.append(past.log[0])


def lose_a_window(past: Past) -> None:
    first = past.results[0].window
    past.results[:] = [result for result in past.results if result.window != first]


def count_a_row_twice(past: Past) -> None:
    place = max(place for place, result in enumerate(past.results) if result.role == "primary")
    past.results[place] = msgspec.structs.replace(past.results[place], n=past.results[place].n + 1)


WRONGS = (drop_an_observation, observe_rows_once_more, lose_a_window, count_a_row_twice)


@pytest.mark.parametrize("spoil", WRONGS, ids=lambda spoil: spoil.__name__)
def test_rows_that_do_not_add_up_are_found(spoil: Callable[[Past], None]) -> None:
    spoiled = past()
    spoil(spoiled)
    (line,) = spoiled.wrong()
    assert line.startswith("rows counted")
