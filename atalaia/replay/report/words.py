"""Numbers and times as a page writes them."""

import math
from datetime import UTC, datetime

from atalaia.inference.columns import parse_time

NOTHING = "-"
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000


def number(value: float | None) -> str:
    """Three digits; what is undefined is a dash.

    >>> number(0.12345), number(1234567), number(None), number(3), number(1e-20)
    ('0.123', '1,234,567', '-', '3', '1e-20')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(value: float | None) -> str:
    """A share in percent.

    >>> share(0.1234), share(1), share(None)
    ('12.3 %', '100 %', '-')
    """
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.3g} %"


def interval(bounds: list[float] | tuple[float, float] | None) -> str:
    """Both ends of an interval, nothing where there is none.

    >>> interval((0.25, 0.5)), interval(None)
    ('0.25 to 0.5', '')
    """
    return "" if bounds is None else f"{number(bounds[0])} to {number(bounds[1])}"


def moment(time: str) -> str:
    """A time to the minute.

    >>> moment("2026-01-31T12:00:30.000Z")
    '2026-01-31 12:00'
    """
    return _at(parse_time(time)).strftime("%Y-%m-%d %H:%M")


def tick(time_ms: float, *, span_ms: float, step_ms: float) -> str:
    """A time on an axis that spans so much, with a mark every step.

    >>> tick(3_600_000, span_ms=7_200_000, step_ms=3_600_000)
    '01:00'
    >>> tick(3_600_000, span_ms=172_800_000, step_ms=43_200_000), tick(0, span_ms=864e6, step_ms=864e5)
    ('1 Jan 01:00', '1 Jan')
    """
    at = _at(time_ms)
    day = f"{at.day} {at.strftime('%b')}"
    if step_ms < _MINUTE_MS:
        return at.strftime("%H:%M:%S")
    if step_ms < _DAY_MS:
        return at.strftime("%H:%M") if span_ms <= _DAY_MS else f"{day} {at.strftime('%H:%M')}"
    return day if span_ms < 300 * _DAY_MS else at.strftime("%b %Y")


def _at(time_ms: float) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
