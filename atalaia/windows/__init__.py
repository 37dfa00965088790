"""Event time: panes, watermarks, windows, lateness, revisions. Pure; time is what the messages say.

A caller does, message by message, in log order::

    plausible = watermark.plausible(times_ms, record_time_ms)
    kept = book.add(times_ms[plausible], watermark.time_ms)       # the others are late
    watermark.advance(partition, latest_ms)                       # rows, and marks "at the end"
    closings += book.close(watermark.time_ms, cut=position)

and at the end of a step publishes `coalesce(closings)` and drops the panes `book.forget` names. What comes
out is a function of the messages and their order, however they are put into steps.
"""

from atalaia.windows.book import BookState, ClosedWindow, Closing, WindowBook, coalesce
from atalaia.windows.definitions import LastRows, TimeWindows, Window, WindowDefinition, pane_of, panes_of
from atalaia.windows.watermark import Watermark, WatermarkState

__all__ = [
    "BookState",
    "ClosedWindow",
    "Closing",
    "LastRows",
    "TimeWindows",
    "Watermark",
    "WatermarkState",
    "Window",
    "WindowBook",
    "WindowDefinition",
    "coalesce",
    "pane_of",
    "panes_of",
]
