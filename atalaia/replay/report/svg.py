"""Elements of HTML and SVG as text that can hold any name, and the scales plots are drawn to."""

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass

Attribute = str | float | None


class Markup(str):
    """Text that is markup already; any other text is escaped when it is put into an element."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: Attribute) -> Markup:
    """An element; ``_`` in the names of attributes stands for ``-``, a trailing one for nothing.

    >>> element("p", "a < b", class_="x", data_n=1)
    '<p class="x" data-n="1">a &lt; b</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Children one after the other, text among them escaped."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def drawing(width: int, height: int, *children: str, label: str) -> Markup:
    """A plot that takes the width it is given."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        preserveAspectRatio="xMidYMid meet",
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, *, anchor: str = "start", class_: str = "tick") -> Markup:
    """Words in a plot."""
    return element("text", content, x=x, y=y, text_anchor=anchor, class_=class_)


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places in a plot, linear; values beyond the ends are put at them.

    >>> Scale(0, 10, 0, 100)(2.5), Scale(0, 10, 100, 0)(20)
    (25.0, 0.0)
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Where a value is put."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + min(1.0, max(0.0, share)) * (self.stop - self.start)

    def ticks(self, most: int = 4) -> list[float]:
        """Round values within, at most so many.

        >>> Scale(0, 0.34, 0, 1).ticks(4)
        [0.0, 0.1, 0.2, 0.3]
        """
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        raw = span / max(1, most)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(place * step, 12) for place in range(first, last + 1)][: most + 1]


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}" if abs(value) < 1e5 else f"{value:.0f}"


_VOID = {"meta", "link", "br", "hr"}
