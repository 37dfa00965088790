"""Trouble of all kinds, at random from a seed, each waited for until answers and monitors come again."""

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from atalaia.topics import OBSERVATIONS

from .load import Load
from .standing import Monitors
from .troubles import Troubles

_LOOK_SECONDS = 0.02
_LOOK_AT_MONITORS_SECONDS = 0.2


class Recovery(NamedTuple):
    """Seconds from trouble until all requests are answered, and until all monitors have counted anew."""

    answers: float
    monitors: float


@dataclass
class Killer:
    """Makes one trouble after another, or several at once.

    Parameters
    ----------
    seed : decides which and when
    recoveries : by kind of trouble
    """

    troubles: Troubles
    load: Load
    monitors: Monitors
    seed: int
    give_up_seconds: float = 90.0
    recoveries: dict[str, list[Recovery]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def rampage(self, seconds: float, *, first: Sequence[Sequence[str]] = ()) -> None:
        """Make the troubles named, those of an entry at once, then whichever, until the time is over."""
        until = time.monotonic() + seconds
        todo = list(first)
        kinds = list(self.troubles.kinds)
        while todo or time.monotonic() < until:
            time.sleep(self._random.uniform(0.0, 2.0))
            count = self._random.choice((1, 1, 2))
            self.make(todo.pop(0) if todo else self._random.sample(kinds, count))

    def make(self, names: Sequence[str]) -> None:
        """Make some trouble and wait until posted requests are answered and monitors count what is new."""
        began = time.monotonic()
        for name in names:
            self.troubles.kinds[name]()
        beyond = self.monitors.end(OBSERVATIONS)
        answered = counted = None
        look_at = 0.0
        while answered is None or counted is None:
            now = time.monotonic()
            answered = answered or self.load.recovered_at(began)
            if counted is None and now >= look_at:
                counted = now if self.monitors.passed(beyond) else None
                look_at = now + _LOOK_AT_MONITORS_SECONDS
            if now - began > self.give_up_seconds:
                missing = "answers" if answered is None else "progress of the monitors"
                raise AssertionError(f"no {missing} {self.give_up_seconds:g} s after {' and '.join(names)}")
            time.sleep(_LOOK_SECONDS)
        for name in names:
            self.recoveries[name].append(Recovery(answered - began, counted - began))

    def table(self) -> list[str]:
        """Recovery by kind of trouble, a line each; what was made together is counted with each."""
        lines = [
            f"{'':<16} {'':>5} {'all answered, s':>16} {'all counted, s':>16}",
            f"{'trouble':<16} {'times':>5} {'median':>8}{'worst':>8} {'median':>8}{'worst':>8}",
        ]
        for name, found in sorted(self.recoveries.items()):
            answers = sorted(entry.answers for entry in found)
            monitors = sorted(entry.monitors for entry in found)
            middle = len(found) // 2
            lines.append(
                f"{name:<16} {len(found):>5} {answers[middle]:>8.1f}{answers[-1]:>8.1f} "
                f"{monitors[middle]:>8.1f}{monitors[-1]:>8.1f}"
            )
        return lines
