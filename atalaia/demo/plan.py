"""The days of the stream that is watched: what each is, and when."""

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from recipes import bmp_stream
from recipes.bmp_stream import Stream

STATIONARY, NEW_LABORATORY, UNFAIR = "stationary", "new laboratory", "unfair"
PHASES = ((STATIONARY, 2), (NEW_LABORATORY, 1), (STATIONARY, 1), (UNFAIR, 2), (STATIONARY, 3))
"""What comes, and for how many days. An unfair time of two days is found out when the truth of the second
has come; it is over after two days that are fair, whose truth takes a day too."""

DAYS = sum(days for _, days in PHASES)
DAY_MS = bmp_stream.DAY_MS
_HOUR_MS = 3_600_000
_SEED = 31
_MAKERS = {
    STATIONARY: bmp_stream.stationary,
    NEW_LABORATORY: bmp_stream.new_laboratory,
    UNFAIR: bmp_stream.unfair,
}


class Phase(NamedTuple):
    """Days that are alike, from ``start_ms`` up to, not including, ``end_ms``."""

    name: str
    days: int
    start_ms: int
    end_ms: int

    def holds(self, time_ms: int) -> bool:
        """Whether a time lies in it."""
        return self.start_ms <= time_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class Plan:
    """Days of panels at one rate.

    >>> plan = Plan(start_ms=0, rows_an_hour=600)
    >>> plan.rows, plan.interval_ms, [phase.days for phase in plan.phases]
    (129600, 6000, [2, 1, 1, 2, 3])
    """

    start_ms: int
    rows_an_hour: int

    @classmethod
    def until(cls, now_ms: int, *, rows_an_hour: int) -> "Plan":
        """The whole days before today's."""
        return cls(now_ms // DAY_MS * DAY_MS - DAYS * DAY_MS, rows_an_hour)

    @property
    def interval_ms(self) -> int:
        """From one panel to the next."""
        return _HOUR_MS // self.rows_an_hour

    @property
    def rows(self) -> int:
        """Panels in all."""
        return DAYS * self._rows_a_day

    @property
    def end_ms(self) -> int:
        """The end of the last day."""
        return self.start_ms + DAYS * DAY_MS

    @property
    def phases(self) -> list[Phase]:
        """What comes when."""
        ends = [self.start_ms + DAY_MS * days for days in accumulate(days for _, days in PHASES)]
        return [
            Phase(name, days, end - days * DAY_MS, end)
            for (name, days), end in zip(PHASES, ends, strict=True)
        ]

    def first(self, name: str) -> Phase:
        """The first phase of a name."""
        return next(phase for phase in self.phases if phase.name == name)

    def stream(self, data_dir: Path | None) -> Stream:
        """The panels; real ones where there is a data folder."""
        return bmp_stream.joined(
            *(
                _MAKERS[phase.name](
                    phase.days * self._rows_a_day,
                    _SEED + place,
                    data_dir=data_dir,
                    start_ms=phase.start_ms,
                    interval_ms=self.interval_ms,
                )
                for place, phase in enumerate(self.phases)
            )
        )

    @property
    def _rows_a_day(self) -> int:
        return DAY_MS // self.interval_ms
