"""Tables and small parts that several sections share."""

from collections.abc import Iterable, Sequence

from atalaia.replay.report.svg import Markup, element


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str | None = None, words: int = 1
) -> Markup:
    """A table that scrolls where it is too wide; its first columns hold ``words``, the others numbers."""
    sides = ["left" if place < words else None for place in range(len(heads))]
    names = (element("th", name, scope="col", class_=side) for name, side in zip(heads, sides, strict=True))
    head = element("thead", element("tr", *names))
    lines = (
        element("tr", *(element("td", cell, class_=side) for cell, side in zip(row, sides, strict=True)))
        for row in rows
    )
    body = element("tbody", *lines)
    named = [] if caption is None else [element("caption", caption)]
    return element("div", element("table", *named, head, body), class_="scroll")


def badge(words: str, kind: str = "") -> Markup:
    """A word in a frame: ``alarm``, ``waiting`` or ``good``."""
    return element("span", words, class_=f"badge {kind}".strip())


def card(title: str, *parts: str, badges: Sequence[str] = ()) -> Markup:
    """A frame with a title."""
    head = element("header", element("h3", title), element("span", *badges))
    return element("section", head, *parts, class_="card")


def figure(plot: str, caption: str) -> Markup:
    """A plot and what it shows."""
    return element("figure", element("figcaption", caption), plot)


def grid(parts: Iterable[str]) -> Markup:
    """Cards side by side."""
    return element("div", *parts, class_="grid")


def fold(summary: str, *parts: str) -> Markup:
    """What is shown when asked for."""
    return element("details", element("summary", summary), *parts)


def legend(*entries: tuple[str, str]) -> Markup:
    """Colours, as CSS, and what they stand for."""
    return element(
        "div",
        *(
            element("span", element("i", style=f"background:{colour}"), words)
            for colour, words in entries
        ),
        class_="legend",
    )  # fmt: skip
