"""The stream the monitors are shown: a stationary time, a change of laboratory, and an unfair time.

With a data folder the panels are real people's, else simulated; a bundle made likewise fits them. Reference,
stationary stream and new laboratory share no person. The truth (contaminated or not) is known a day later.

>>> calm = stationary(1000, seed=1, start_ms=0, interval_ms=60_000)
>>> then = new_laboratory(500, seed=2, start_ms=calm.end_ms, interval_ms=60_000)
>>> stream = joined(calm, then)
>>> len(stream), int(stream.event_time_ms[-1]), int(stream.label_time_ms[0])
(1500, 89940000, 86400000)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atalaia.inference.rows import Rows
from recipes.bmp_panels import CONTAMINATION, Panels, concatenate
from recipes.bmp_people import IntArray
from recipes.bmp_sources import Contamination, Source, source_of

DAY_MS = 86_400_000
UNFAIR = {"F": 0.12, "M": 0.02}
"""Shares of contaminated panels by sex, in a ward that draws one sex's samples above the drip."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Panels in order of time, with when each was and when its truth is known.

    ``event_time_ms`` and ``label_time_ms`` (n,) are milliseconds since 1970; ``source`` says whose panels
    they are; ``interval_ms`` lies between two.
    """

    panels: Panels
    event_time_ms: IntArray
    label_time_ms: IntArray
    interval_ms: int
    source: str

    def __len__(self) -> int:
        return len(self.panels)

    @property
    def end_ms(self) -> int:
        """When the panel after the last would be."""
        return int(self.event_time_ms[-1]) + self.interval_ms

    @property
    def labels(self) -> npt.NDArray[np.str_]:
        """The truth as the model's classes."""
        return self.panels.labels

    def rows(self) -> Rows:
        """As the model is asked about them, with their times."""
        return replace(self.panels.rows(), event_time_ms=self.event_time_ms)

    def write_csv(self, path: Path) -> None:
        """As `Panels.write_csv`; a replay gives the rows their times."""
        self.panels.write_csv(path)


def stationary(
    n: int,
    seed: int = 1,
    *,
    data_dir: Path | None = None,
    start_ms: int = 0,
    interval_ms: int = 1000,
    label_delay_ms: int = DAY_MS,
    contamination: Contamination = CONTAMINATION,
) -> Stream:
    """Panels as the reference's: nothing may fire.

    Parameters
    ----------
    data_dir : folder of the real panels; None for simulated ones
    start_ms, interval_ms : time of the first panel, and from one to the next
    contamination : share of contaminated panels, of all or by sex

    Raises
    ------
    BundleError
        when the data folder lacks a file.
    """

    def draw(source: Source) -> Panels:
        return source.stationary(n, seed, contamination)

    return _stream(draw, data_dir, start_ms, interval_ms, label_delay_ms)


def new_laboratory(
    n: int,
    seed: int = 2,
    *,
    data_dir: Path | None = None,
    start_ms: int = 0,
    interval_ms: int = 1000,
    label_delay_ms: int = DAY_MS,
    contamination: Contamination = CONTAMINATION,
) -> Stream:
    """Panels of the new laboratory: sodium, chloride, potassium and CO2 drift. As `stationary` otherwise."""

    def draw(source: Source) -> Panels:
        return source.new_laboratory(n, seed, contamination)

    return _stream(draw, data_dir, start_ms, interval_ms, label_delay_ms)


def unfair(
    n: int,
    seed: int = 3,
    *,
    data_dir: Path | None = None,
    start_ms: int = 0,
    interval_ms: int = 1000,
    label_delay_ms: int = DAY_MS,
    contamination: Contamination | None = None,
) -> Stream:
    """As `stationary`, but women's samples are contaminated six times as often as men's (`UNFAIR`)."""
    rates = UNFAIR if contamination is None else contamination
    return stationary(
        n,
        seed,
        data_dir=data_dir,
        start_ms=start_ms,
        interval_ms=interval_ms,
        label_delay_ms=label_delay_ms,
        contamination=rates,
    )


def joined(*streams: Stream) -> Stream:
    """Streams one after the other, with the times they have; the interval is the last one's."""
    return Stream(
        panels=concatenate([stream.panels for stream in streams]),
        event_time_ms=np.concatenate([stream.event_time_ms for stream in streams]),
        label_time_ms=np.concatenate([stream.label_time_ms for stream in streams]),
        interval_ms=streams[-1].interval_ms,
        source=streams[-1].source,
    )


def _stream(
    draw: Callable[[Source], Panels],
    data_dir: Path | None,
    start_ms: int,
    interval_ms: int,
    label_delay_ms: int,
) -> Stream:
    source = source_of(data_dir)
    panels = draw(source)
    event_time_ms = start_ms + interval_ms * np.arange(len(panels), dtype=np.int64)
    return Stream(panels, event_time_ms, event_time_ms + label_delay_ms, interval_ms, source.name)
