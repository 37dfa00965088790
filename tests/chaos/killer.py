"""SIGKILL of gateway, scorers and broker, at random from a seed, each waited for until answers come again."""

import random
import time
from collections import defaultdict
from dataclasses import dataclass, field

from atalaia.runtime.machine import Machine

from .load import Load


@dataclass
class Killer:
    """Kills one victim after another.

    Parameters
    ----------
    seed : decides who is killed and when
    recovery_seconds : of every kill, by kind, until all requests posted after it are answered again
    """

    machine: Machine
    load: Load
    seed: int
    give_up_seconds: float = 60.0
    recovery_seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def victims(self) -> list[str]:
        """Names of what may be killed."""
        return [name for name in self.machine.supervisor.names if name != "redis"]

    def rampage(self, seconds: float, *, first: list[str]) -> None:
        """Kill those named, then whoever it is, until the time is over."""
        until = time.monotonic() + seconds
        todo = list(first)
        while todo or time.monotonic() < until:
            time.sleep(self._random.uniform(0.0, 2.0))
            self.kill(todo.pop(0) if todo else self._random.choice(self.victims))

    def kill(self, name: str) -> None:
        """Kill one and wait until requests posted afterwards are answered, whatever partition they are on."""
        began = time.monotonic()
        self.machine.kill(name)
        while (answered := self.load.recovered_at(began)) is None:
            if time.monotonic() - began > self.give_up_seconds:
                raise AssertionError(f"no answer {self.give_up_seconds} s after {name} was killed")
            time.sleep(0.02)
        kind = name.split("-", maxsplit=1)[0]
        self.recovery_seconds[kind].append(answered - began)

    def table(self) -> list[str]:
        """Recovery by kind of kill, a line each."""
        lines = [
            f"{'killed':<10} {'times':>5} {'median s':>9} {'worst s':>8}   until all requests are answered"
        ]
        for kind, seconds in sorted(self.recovery_seconds.items()):
            ordered = sorted(seconds)
            lines.append(
                f"{kind:<10} {len(ordered):>5} {ordered[len(ordered) // 2]:>9.1f} {ordered[-1]:>8.1f}"
            )
        return lines
