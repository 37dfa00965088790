"""What drifted: each column against its reference, and its tests over the windows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from atalaia.monitors.configuration import DriftSettings
from atalaia.replay.outcome import Result
from atalaia.replay.report.charts import Limits, Point, distribution, series
from atalaia.replay.report.reading import columns_over_windows, point, streams
from atalaia.replay.report.svg import Markup, element, join
from atalaia.replay.report.tables import badge, card, figure, fold, grid, legend, table
from atalaia.replay.report.words import moment, number, share
from atalaia.replay.shapes import Shape

_LEAST_P = 1e-16
Tested = list[tuple[Result, Any]]


def drift_section(
    results: Sequence[Result],
    shapes: Sequence[Shape],
    settings: DriftSettings,
    over: tuple[float, float],
) -> Markup:
    """All streams, the columns that drifted first."""
    if not results:
        return element("p", "No drift results were published.", class_="soft")
    by_column = {shape.column: shape for shape in shapes}
    parts: list[str] = [
        legend(
            ("var(--replay)", "this replay"),
            ("var(--reference)", "reference"),
            ("var(--alarm)", "hit, or the line a hit has to pass"),
        )
    ]
    for name, of_stream in streams(results):
        parts.append(element("h4", name))
        parts.append(_stream(of_stream, by_column, settings, over))
    return join(parts)


def _stream(
    results: Sequence[Result],
    shapes: Mapping[str, Shape],
    settings: DriftSettings,
    over: tuple[float, float],
) -> Markup:
    tested = _deciding(columns_over_windows(results))
    ranked = sorted(tested.items(), key=lambda entry: _rank(entry[1]))
    cards = [(_hits(told), _column(name, told, shapes.get(name), settings, over)) for name, told in ranked]
    calm = [drawn for hits, drawn in cards if not hits]
    parts: list[str] = [grid(drawn for hits, drawn in cards if hits)]
    if calm:
        words = f"{len(calm)} columns without a hit" if len(calm) < len(cards) else "No column has a hit"
        parts.append(fold(words, grid(calm)))
    why = results[-1].get("why")
    if why:
        parts.append(element("p", f"No verdict in the last window: {why}", class_="soft"))
    parts.append(fold("All tests of the last window", _tests(results[-1])))
    parts.append(_detectors(results))
    return join(parts)


def _column(
    name: str, tested: Tested, shape: Shape | None, settings: DriftSettings, over: tuple[float, float]
) -> Markup:
    last = tested[-1][1]
    badges = [badge(f"hits: {_hits(tested)} of {len(tested)}")] if _hits(tested) else []
    badges += [badge("drifted", "alarm")] if _ever_drifted(tested) else []
    parts: list[str] = []
    if shape is not None:
        unit = f", {shape.unit}" if shape.unit else ""
        words = f"share of rows{unit}; {number(shape.rows)} rows"
        parts.append(
            figure(distribution(shape, label=f"Distribution of {name} against its reference"), words)
        )
    parts.append(_where(tested))
    effects = [point(result, said["effect"], "effect", hit=said["hit"]) for result, said in tested]
    plot = series(effects, over, label=f"Effect size of {name}", limits=Limits(alarm=[settings.effect]))
    parts.append(figure(plot, f"effect ({last['test']}); a hit needs {number(settings.effect)}"))
    surprise = [_surprise(result, said) for result, said in tested]
    q = -math.log10(settings.q)
    plot = series(surprise, over, label=f"p-value of {name}", high=q, limits=Limits(base=[q]))
    parts.append(figure(plot, f"-log10 of the adjusted p; the line is q = {number(settings.q)}"))
    return card(name, *parts, badges=badges)


def _surprise(result: Result, said: Any) -> Point:
    p = said["p_value"] if said["p_adjusted"] is None else said["p_adjusted"]
    value = None if p is None else -math.log10(max(p, _LEAST_P))
    drawn = point(result, value, "", hit=said["hit"])
    return drawn._replace(words=f"{drawn.words.partition(': ')[0]}: p {number(p)}")


def _where(tested: Tested) -> Markup:
    """Where in its range the column changed, as the last hit says."""
    hits = [said for _, said in tested if said["hit"]]
    if not hits:
        return Markup("")
    last = hits[-1]
    words = [f"since {moment(last['since'])}"] if last.get("since") else []
    words += [_change(which, last[which]) for which in ("grew", "shrank") if last.get(which)]
    return element("p", "; ".join(words), class_="soft")


def _change(which: str, place: Mapping[str, Any]) -> str:
    return f"{_range(place)} {which} from {share(place['reference_share'])} to {share(place['share'])}"


def _range(place: Mapping[str, Any]) -> str:
    if place.get("category") is not None:
        return f"“{place['category']}”"
    low, high = place.get("low"), place.get("high")
    if low is None:
        return f"up to {number(high)}"
    return f"from {number(low)}" if high is None else f"{number(low)} to {number(high)}"


def _tests(result: Result) -> Markup:
    heads = ("column", "test", "n", "statistic", "p", "p adjusted", "effect", "hit", "drifted", "")
    rows = [
        (
            said["column"],
            said["test"],
            number(said["n"]),
            *(number(said[key]) for key in ("statistic", "p_value", "p_adjusted", "effect")),
            "yes" if said["hit"] else "",
            "yes" if said["drifted"] else "",
            said.get("why") or ("" if said.get("decides", True) else "published only"),
        )
        for said in result["columns"]
    ]
    return table(heads, rows, words=2)


def _detectors(results: Sequence[Result]) -> Markup:
    """What the sequential detectors found."""
    found = [said for result in results for said in result.get("detectors", [])]
    if not found:
        return Markup("")
    rows = [
        (said["detector"], said["column"], moment(said["at"]), moment(said["since"]), number(said["rows"]))
        for said in found
    ]
    return fold(
        f"Changes found by sequential detectors: {len(found)}",
        table(("detector", "column", "found at", "since", "rows"), rows, words=4),
    )


def _deciding(columns: Mapping[tuple[str, str], Tested]) -> dict[str, Tested]:
    """Of each column the deciding test with the greatest effect."""
    chosen: dict[str, Tested] = {}
    for (name, _), tested in columns.items():
        if name not in chosen or _weight(tested) > _weight(chosen[name]):
            chosen[name] = tested
    return chosen


def _weight(tested: Tested) -> tuple[bool, bool, float]:
    decides = any(said.get("decides", True) for _, said in tested)
    return decides, any(said["hit"] for _, said in tested), _greatest(tested)


def _rank(tested: Tested) -> tuple[bool, bool, float]:
    return not _ever_drifted(tested), not _hits(tested), -_greatest(tested)


def _hits(tested: Tested) -> int:
    return sum(bool(said["hit"]) for _, said in tested)


def _greatest(tested: Tested) -> float:
    return max((said["effect"] for _, said in tested if said["effect"] is not None), default=0.0)


def _ever_drifted(tested: Tested) -> bool:
    return any(said["drifted"] for _, said in tested)


def drifted_columns(results: Sequence[Result]) -> list[str]:
    """Columns that drifted in any window."""
    return sorted({said["column"] for result in results for said in result["columns"] if said["drifted"]})
