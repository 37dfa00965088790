"""What came of a load: rates, latencies and statuses, and whether any of it was wrong. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NO_ANSWER = 0
"""The status of a request whose connection failed."""


@dataclass(frozen=True)
class Line:
    """One row of the table; latencies in milliseconds."""

    profile: str
    kind: str
    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    statuses: Mapping[str, int]
    wrong: int


@dataclass
class Tally:
    """Answers of one profile as they come; counts of one kind, ``valid`` or ``missing``, stay apart."""

    profile: str
    _seconds: dict[str, list[float]] = field(default_factory=dict)
    _statuses: dict[str, Counter[int]] = field(default_factory=dict)
    _expected: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, *, status: int, expected: int, seconds: float) -> None:
        """Count one answer; ``seconds`` is from when it should have been sent."""
        self._seconds.setdefault(kind, []).append(seconds)
        self._statuses.setdefault(kind, Counter())[status] += 1
        self._expected[kind] = expected

    def lines(self, *, seconds: float) -> list[Line]:
        """One a kind, in alphabetical order; ``seconds`` is how long the load lasted.

        >>> tally = Tally("1 user")
        >>> tally.add("valid", status=200, expected=200, seconds=0.002)
        >>> tally.add("valid", status=503, expected=200, seconds=0.004)
        >>> [line] = tally.lines(seconds=0.5)
        >>> line.per_second, line.p50_ms, dict(line.statuses), line.wrong
        (4.0, 3.0, {'200': 1, '503': 1}, 1)
        """
        return [self._line(kind, seconds) for kind in sorted(self._seconds)]

    def _line(self, kind: str, seconds: float) -> Line:
        taken_ms = np.array(self._seconds[kind]) * 1000
        p50, p95, p99 = (float(np.quantile(taken_ms, share)) for share in (0.5, 0.95, 0.99))
        statuses = self._statuses[kind]
        return Line(
            profile=self.profile,
            kind=kind,
            requests=len(taken_ms),
            per_second=len(taken_ms) / seconds,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            statuses={_name(status): statuses[status] for status in sorted(statuses)},
            wrong=statuses.total() - statuses[self._expected[kind]],
        )


def find_faults(lines: Sequence[Line]) -> list[str]:
    """Why the load test fails: answers that were wrong, or none at all; empty where it passes."""
    faults = [
        f"{line.profile}, {line.kind}: {line.wrong} of {line.requests} answers were wrong ({_told(line)})"
        for line in lines
        if line.wrong
    ]
    return faults if lines else ["nothing was answered"]


def as_table(lines: Sequence[Line]) -> str:
    """For people."""
    heads = ("profile", "kind", "requests", "per s", "p50 ms", "p95 ms", "p99 ms", "statuses")
    rows = [heads, *(_cells(line) for line in lines)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    return "\n".join(_aligned(row, widths) for row in rows)


def as_object(lines: Sequence[Line]) -> dict[str, Any]:
    """For programs."""
    return {"lines": [dict(vars(line)) for line in lines], "faults": find_faults(lines)}


def _cells(line: Line) -> tuple[str, ...]:
    numbers = (line.per_second, line.p50_ms, line.p95_ms, line.p99_ms)
    return (line.profile, line.kind, str(line.requests), *(f"{value:.1f}" for value in numbers), _told(line))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    last = len(row) - 1
    cells = [
        cell if place == last else cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells)


def _told(line: Line) -> str:
    return ", ".join(f"{status}: {count}" for status, count in line.statuses.items())


def _name(status: int) -> str:
    return "no answer" if status == NO_ANSWER else str(status)
