"""The plots of the page, each a function of plain numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from atalaia.replay.report.svg import Markup, Scale, drawing, element, line, text
from atalaia.replay.report.words import number, share, tick
from atalaia.replay.shapes import Shape

WIDTH, HEIGHT = 340, 128
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 8, 20
_DOTS_MOST = 90
_BAR_HEIGHT = 20
_NAME_CHARACTERS = 22


class Point(NamedTuple):
    """What one window says: ``value`` None where undefined."""

    start_ms: float
    end_ms: float
    value: float | None
    provisional: bool = False
    hit: bool = False
    words: str = ""

    @property
    def middle_ms(self) -> float:
        """Where it is drawn."""
        return (self.start_ms + self.end_ms) / 2


class Span(NamedTuple):
    """A stretch of time of a status, on the line of a name."""

    name: str
    status: str
    start_ms: float
    end_ms: float
    words: str


class Whisker(NamedTuple):
    """An estimate and its interval."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    hit: bool
    words: str


class Limits(NamedTuple):
    """Lines across a plot: where an alarm begins, what the reference has."""

    alarm: Sequence[float] = ()
    base: Sequence[float] = ()


NO_LIMITS = Limits()


def series(
    points: Sequence[Point],
    over: tuple[float, float],
    *,
    label: str,
    low: float | None = 0.0,
    high: float | None = None,
    limits: Limits = NO_LIMITS,
) -> Markup:
    """Values of windows over time, joined where they follow each other; hollow where provisional.

    Parameters
    ----------
    over : the time the plot spans, in milliseconds
    low, high : the least range of values that is shown; None where the values decide
    """
    known = [point.value for point in points if point.value is not None]
    y = _value_scale([*known, *limits.alarm, *limits.base], low, high)
    x = Scale(*over, _LEFT, WIDTH - _RIGHT)
    parts = [*_value_axis(y), *_time_axis(x)]
    parts += [line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "limit") for value in limits.alarm]
    parts += [line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "base") for value in limits.base]
    for run in _runs(points):
        path = " ".join(f"{x(point.middle_ms):.1f},{y(point.value or 0.0):.1f}" for point in run)
        parts.append(element("polyline", points=path, class_="series"))
    for point in points:
        if point.value is not None and (point.hit or point.provisional or len(points) <= _DOTS_MOST):
            parts.append(_dot(x(point.middle_ms), y(point.value), point))
    if not known:
        parts.append(text(WIDTH / 2, HEIGHT / 2, "undefined in every window", anchor="middle"))
    return drawing(WIDTH, HEIGHT, *parts, label=label)


def bars(points: Sequence[Point], over: tuple[float, float], *, label: str) -> Markup:
    """Shares of windows over time as bars from 0 to 1; outlined where provisional."""
    y = _value_scale([], 0.0, 1.0)
    x = Scale(*over, _LEFT, WIDTH - _RIGHT)
    parts = [*_value_axis(y), *_time_axis(x)]
    for point in points:
        if point.value is None:
            continue
        left, right = x(point.start_ms), x(point.end_ms)
        top = y(point.value)
        parts.append(
            element(
                "rect",
                element("title", point.words),
                x=left + 0.5,
                y=top,
                width=max(1.0, right - left - 1),
                height=HEIGHT - _BOTTOM - top,
                class_="bar provisional" if point.provisional else "bar",
            )
        )
    return drawing(WIDTH, HEIGHT, *parts, label=label)


def distribution(shape: Shape, *, label: str) -> Markup:
    """Shares of the replay beside those of the reference."""
    return _histogram(shape, label) if shape.edges else _categories(shape, label)


def timeline(spans: Sequence[Span], over: tuple[float, float], *, label: str) -> Markup:
    """Stretches of time, a line for each name."""
    names = list(dict.fromkeys(span.name for span in spans))
    width, left = 1060, 250
    height = len(names) * _BAR_HEIGHT + 28
    x = Scale(*over, left, width - _RIGHT)
    parts: list[str] = []
    for place, name in enumerate(names):
        parts.append(text(0, place * _BAR_HEIGHT + 14, _short(name, 40), class_="name"))
        parts.append(line(left, (place + 1) * _BAR_HEIGHT, width, (place + 1) * _BAR_HEIGHT, "gridline"))
    for span in spans:
        start, end = x(span.start_ms), x(span.end_ms)
        parts.append(
            element(
                "rect",
                element("title", span.words),
                x=start,
                y=names.index(span.name) * _BAR_HEIGHT + 4,
                width=max(3.0, end - start),
                height=_BAR_HEIGHT - 8,
                rx=2,
                class_=span.status,
            )
        )
    parts += _ticks_of_time(x, height - 6, most=8)
    return drawing(width, height, *parts, label=label)


def forest(
    whiskers: Sequence[Whisker], *, label: str, middle: float, alarms: Sequence[float], least: float
) -> Markup:
    """Estimates with their intervals, one below the other.

    Parameters
    ----------
    middle : what no difference looks like
    alarms : beyond which an interval alarms
    least : how far to either side of the middle is shown at least
    """
    width, left = 1060, 400
    height = len(whiskers) * _BAR_HEIGHT + 28
    ends = [end for entry in whiskers for end in (entry.value, entry.low, entry.high) if end is not None]
    reach = max([least, *(abs(end - middle) for end in (*ends, *alarms))])
    x = Scale(middle - reach, middle + reach, left, width - 20)
    bottom = height - 24
    parts: list[str] = [line(x(middle), 0, x(middle), bottom, "axis")]
    parts += [line(x(alarm), 0, x(alarm), bottom, "limit") for alarm in alarms]
    for place, entry in enumerate(whiskers):
        y = place * _BAR_HEIGHT + 12
        parts.append(text(0, y + 4, _short(entry.name, 64), class_="name"))
        parts.append(_whisker(x, y, entry))
    for value in x.ticks(8):
        parts.append(text(x(value), height - 6, number(value), anchor="middle"))
    return drawing(width, height, *parts, label=label)


def _whisker(x: Scale, y: float, entry: Whisker) -> Markup:
    """A line from end to end and a dot; beyond an end that is open it runs off the plot."""
    hit = " hit" if entry.hit else ""
    parts: list[str] = [element("title", entry.words)]
    if entry.low is not None or entry.high is not None:
        low = x.low if entry.low is None else entry.low
        high = x.high if entry.high is None else entry.high
        parts.append(line(x(low), y, x(high), y, f"whisker{hit}"))
    if entry.value is not None:
        parts.append(element("circle", cx=x(entry.value), cy=y, r=4, class_=f"dot{hit}"))
    return element("g", *parts)


def _histogram(shape: Shape, label: str) -> Markup:
    x = Scale(shape.edges[0], shape.edges[-1], _LEFT, WIDTH - _RIGHT)
    y = _value_scale([*shape.replay, *shape.reference], 0.0, None)
    parts = [*_value_axis(y, shares=True)]
    steps = [f"M{x(shape.edges[0]):.1f},{y(0):.1f}"]
    for place, (ours, theirs) in enumerate(zip(shape.replay, shape.reference, strict=True)):
        left, right = x(shape.edges[place]), x(shape.edges[place + 1])
        words = (
            f"{number(shape.edges[place])} to {number(shape.edges[place + 1])}: "
            f"{share(ours)} here, {share(theirs)} in the reference"
        )
        bar = {"x": left, "y": y(ours), "width": max(0.5, right - left - 0.5), "height": y(0) - y(ours)}
        parts.append(element("rect", element("title", words), class_="bar", **bar))
        steps.append(f"V{y(theirs):.1f}H{right:.1f}")
    parts.append(element("path", d="".join([*steps, f"V{y(0):.1f}"]), class_="reference"))
    parts += [text(x(value), HEIGHT - 5, number(value), anchor="middle") for value in x.ticks(4)]
    return drawing(WIDTH, HEIGHT, *parts, label=label)


def _categories(shape: Shape, label: str) -> Markup:
    left, row = 120, 26
    height = max(1, len(shape.names)) * row + 8
    x = Scale(0.0, max([*shape.replay, *shape.reference, 1e-9]), left, WIDTH - 48)
    parts: list[str] = []
    for place, name in enumerate(shape.names):
        ours, theirs, top = shape.replay[place], shape.reference[place], place * row + 4
        words = f"{name}: {share(ours)} here, {share(theirs)} in the reference"
        parts.append(text(left - 6, top + 14, _short(name, _NAME_CHARACTERS), anchor="end", class_="name"))
        for value, at, class_ in ((ours, top, "replay-bar"), (theirs, top + 10, "reference-bar")):
            bar = {"x": left, "y": at, "width": max(0.5, x(value) - left), "height": 9}
            parts.append(element("rect", element("title", words), class_=class_, **bar))
        parts.append(text(x(max(ours, theirs)) + 4, top + 13, share(ours)))
    return drawing(WIDTH, height, *parts, label=label)


def _dot(x: float, y: float, point: Point) -> Markup:
    class_ = "dot" + (" hit" if point.hit else "") + (" provisional" if point.provisional else "")
    return element("circle", element("title", point.words), cx=x, cy=y, r=2.5, class_=class_)


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Runs of points without an undefined one between them."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if len(run) > 1]


def _value_scale(values: Sequence[float], low: float | None, high: float | None) -> Scale:
    least = min([*values, *([] if low is None else [low])], default=0.0)
    most = max([*values, *([] if high is None else [high])], default=1.0)
    room = ((most - least) or abs(most) or 1.0) * 0.08
    return Scale(
        least if low is not None and least >= low else least - room,
        most if high is not None and most <= high else most + room,
        HEIGHT - _BOTTOM,
        _TOP,
    )


def _value_axis(y: Scale, *, shares: bool = False) -> list[Markup]:
    parts = []
    for value in y.ticks(3):
        parts.append(line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "gridline"))
        parts.append(text(_LEFT - 5, y(value) + 4, share(value) if shares else number(value), anchor="end"))
    return parts


def _time_axis(x: Scale) -> list[Markup]:
    bottom = HEIGHT - _BOTTOM
    return [line(_LEFT, bottom, WIDTH - _RIGHT, bottom, "axis"), *_ticks_of_time(x, HEIGHT - 5, most=3)]


def _ticks_of_time(x: Scale, y: float, *, most: int) -> list[Markup]:
    span = x.high - x.low
    step = next((step for step in _STEPS_MS if span / step <= most), span / most or 1.0)
    first = -(-x.low // step) * step
    places = [first + place * step for place in range(most + 1) if first + place * step <= x.high]
    return [text(x(place), y, tick(place, span_ms=span, step_ms=step), anchor="middle") for place in places]


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


_STEPS_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1_800)
_STEPS_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 720, 2_160)
_STEPS_MS = (
    *(1_000.0 * seconds for seconds in _STEPS_SECONDS),
    *(3_600_000.0 * hours for hours in _STEPS_HOURS),
)
