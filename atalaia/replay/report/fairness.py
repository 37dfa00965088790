"""How groups of rows fared: gaps with their intervals, and the rates behind them."""

from collections.abc import Mapping, Sequence
from typing import Any

from atalaia.monitors.configuration import FairnessSettings
from atalaia.replay.outcome import Result
from atalaia.replay.report.charts import Whisker, forest
from atalaia.replay.report.reading import streams, window_words
from atalaia.replay.report.svg import Markup, element, join
from atalaia.replay.report.tables import fold, table
from atalaia.replay.report.words import interval, number

_RATES = ("flag_rate", "tpr", "fpr", "ppv", "npv", "accuracy", "abstention_rate")
_DRAWN = 24
_RATIO = "_ratio"


def fairness_section(results: Sequence[Result], settings: FairnessSettings) -> Markup:
    """All streams: of each the last window that compares groups, and which windows had a hit."""
    if not results:
        return element("p", "No fairness results were published.", class_="soft")
    parts: list[str] = []
    for name, of_stream in streams(results):
        parts.append(element("h4", name))
        parts.append(_stream(of_stream, settings))
    return join(parts)


def _stream(results: Sequence[Result], settings: FairnessSettings) -> Markup:
    compared = [result for result in results if any(gap["value"] is not None for gap in result["gaps"])]
    shown = (compared or results)[-1]
    parts: list[str] = [element("p", f"Window {window_words(shown)}.", class_="soft")]
    if shown.get("why"):
        parts.append(element("p", f"No verdict: {shown['why']}", class_="soft"))
    ratios = [gap for gap in shown["gaps"] if gap["metric"].endswith(_RATIO)]
    differences = [gap for gap in shown["gaps"] if not gap["metric"].endswith(_RATIO)]
    alarms = [-settings.difference, settings.difference]
    parts.append(_forest("Differences of rates", differences, middle=0.0, alarms=alarms, least=0.2))
    parts.append(_forest("Ratios of rates", ratios, middle=1.0, alarms=[settings.ratio], least=0.3))
    parts.append(_groups(shown))
    parts.append(_hits(results))
    return join(parts)


def _forest(
    title: str, gaps: Sequence[Mapping[str, Any]], *, middle: float, alarms: Sequence[float], least: float
) -> Markup:
    known = [gap for gap in gaps if gap["value"] is not None]
    if not known:
        return Markup("")
    ranked = sorted(known, key=lambda gap: (not gap["hit"], not gap["judged"], -abs(gap["value"] - middle)))
    whiskers = [_whisker(gap) for gap in ranked[:_DRAWN]]
    plot = forest(whiskers, label=title, middle=middle, alarms=alarms, least=least)
    left = len(ranked) - len(whiskers)
    more = [] if not left else [element("p", f"{left} smaller ones are in the table below.", class_="soft")]
    return element("section", element("h3", title), plot, *more, class_="card wide")


def _whisker(gap: Mapping[str, Any]) -> Whisker:
    name = f"{_words(gap['metric'])}, {gap['attribute']}: {' against '.join(map(str, gap['between']))}"
    kept = [] if gap["supported"] else ["too few rows"]
    kept += ["biased by coverage"] if gap["biased"] else []
    kept += [] if gap["judged"] else ["published only"]
    told = [f"{number(gap['value'])} ({interval(_ends(gap)) or 'no interval'})", *kept]
    return Whisker(
        name, gap["value"], gap["low"], gap["high"], bool(gap["hit"]), f"{name}: {', '.join(told)}"
    )


def _groups(result: Result) -> Markup:
    rates = [name for name in _RATES if any(group.get(name) is not None for group in result["groups"])]
    rows = []
    for group in result["groups"]:
        name = ", ".join(f"{attribute} {value}" for attribute, value in group["group"].items()) or "all rows"
        cells: list[str] = [name, number(group["n"]), number(group["labelled"])]
        cells += [_rate(group, rate) for rate in rates]
        rows.append(cells)
    heads = ("group", "n", "labelled", *(_words(rate) for rate in rates))
    every = [
        (_words(gap["metric"]), gap["attribute"], " / ".join(map(str, gap["between"])), number(gap["value"]),
         interval(_ends(gap)), "yes" if gap["hit"] else "")
        for gap in result["gaps"]
    ]  # fmt: skip
    return join(
        [
            table(heads, rows, caption="Groups, with the intervals of their rates"),
            fold(
                "All gaps",
                table(("metric", "attribute", "between", "value", "interval", "hit"), every, words=3),
            ),
        ]
    )


def _rate(group: Mapping[str, Any], name: str) -> Markup:
    bounds = group["intervals"].get(name)
    return join([number(group[name]), element("small", interval(bounds)) if bounds else ""])


def _hits(results: Sequence[Result]) -> Markup:
    rows = [
        (window_words(result), _words(gap["metric"]), gap["attribute"], " / ".join(map(str, gap["between"])),
         number(gap["value"]), interval(_ends(gap)))
        for result in results
        for gap in result["gaps"]
        if gap["hit"]
    ]  # fmt: skip
    if not rows:
        return element("p", "No gap was a hit in any window.", class_="soft")
    heads = ("window", "metric", "attribute", "between", "value", "interval")
    return fold(f"{len(rows)} hits over all windows", table(heads, rows, words=4))


def _ends(gap: Mapping[str, Any]) -> tuple[float, float] | None:
    return None if gap["low"] is None or gap["high"] is None else (gap["low"], gap["high"])


def _words(name: str) -> str:
    short = {"tpr": "TPR", "fpr": "FPR", "tnr": "TNR", "fnr": "FNR", "ppv": "PPV", "npv": "NPV"}
    return " ".join(short.get(part, part) for part in name.split("_"))
