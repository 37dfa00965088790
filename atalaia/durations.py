"""Durations as people write and read them: ``250ms``, ``90s``, ``5m``, ``2h``, ``7d``."""

import re

_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Seconds of a duration.

    Raises
    ------
    ValueError
        for anything that is not a number followed by ms, s, m, h or d.

    >>> parse_duration("250ms"), parse_duration("5m")
    (0.25, 300.0)
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit: 250ms, 90s, 5m, 2h, 7d")
    return float(match[1]) * _SECONDS_PER_UNIT[match[2]]


def format_duration(seconds: float) -> str:
    """The largest unit of which there is at least one, and as many as there are.

    >>> format_duration(0.25), format_duration(300), format_duration(36 * 3600)
    ('250ms', '5m', '1.5d')
    """
    unit = next((name for name in ("d", "h", "m", "s") if seconds >= _SECONDS_PER_UNIT[name]), "ms")
    return f"{seconds / _SECONDS_PER_UNIT[unit]:.6g}{unit}"
