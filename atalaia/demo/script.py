"""Which parts of the story are told, and how large they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Act(StrEnum):
    """A part of the story that can be told by itself."""

    ROWS = "rows"
    WATCHING = "watching"
    WINE = "wine"
    ADULT = "adult"
    ELECTRICITY = "electricity"


@dataclass(frozen=True, slots=True)
class Script:
    """What is told, and how much of it.

    Parameters
    ----------
    rows : of the first act
    rows_an_hour : of the second: panels in an hour of their time
    day_seconds : how long a day takes of the second act, and half of one of `ADULT`
    report : where the page on the second is written
    """

    acts: Sequence[Act] = tuple(Act)
    rows: int = 6_000
    rows_an_hour: int = 600
    day_seconds: float = 4.0
    report: Path | None = None
