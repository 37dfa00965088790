"""The page: one file, nothing fetched, for a colleague to open."""

from collections.abc import Sequence
from importlib import resources

from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings, monitor_settings
from atalaia.replay.monitors import CAUGHT_UP
from atalaia.replay.outcome import Outcome, Result, provisional
from atalaia.replay.report.charts import timeline
from atalaia.replay.report.drift import drift_section, drifted_columns
from atalaia.replay.report.fairness import fairness_section
from atalaia.replay.report.performance import performance_section, summary
from atalaia.replay.report.reading import alert_spans, whole_span
from atalaia.replay.report.svg import Markup, element, join
from atalaia.replay.report.tables import fold, table
from atalaia.replay.report.words import moment, number, share
from atalaia.replay.shapes import Shape

_STYLE = resources.files(__package__).joinpath("page.css").read_text("utf-8")


def render_report(
    outcome: Outcome,
    shapes: Sequence[Shape],
    manifest: Manifest,
    settings: MonitorSettings | None = None,
) -> str:
    """The page of a replay as HTML.

    Parameters
    ----------
    shapes : how the columns were distributed
    settings : the monitors', whose thresholds are drawn; default: those of the bundle
    """
    settings = settings or monitor_settings(manifest.monitors)
    results = [*outcome.drift, *outcome.performance, *outcome.fairness]
    over = _span(outcome, results)
    title = f"{outcome.model} {outcome.version}, replayed"
    body = element(
        "main",
        _head(outcome, manifest),
        _tiles(outcome),
        _notes(outcome),
        _section("Alerts", _alerts(outcome.alerts, over)),
        _section(
            "Drift", drift_section(outcome.drift, shapes, settings.drift, _span(outcome, outcome.drift))
        ),
        _section(
            "Performance", performance_section(outcome.performance, _span(outcome, outcome.performance))
        ),
        _section("Fairness", fairness_section(outcome.fairness, settings.fairness)),
        _refused(outcome),
        _foot(outcome, results),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_STYLE)),
    )
    return "<!doctype html>\n" + element("html", head, element("body", body), lang="en")


def _head(outcome: Outcome, manifest: Manifest) -> Markup:
    words = f"Event time {moment(outcome.start)} to {moment(outcome.end)} UTC, {manifest.task}"
    told = [element("p", manifest.description, class_="soft")] if manifest.description else []
    return join(
        [element("h1", f"{outcome.model} {outcome.version}"), element("p", words, class_="soft"), *told]
    )


def _tiles(outcome: Outcome) -> Markup:
    drifted = drifted_columns(outcome.drift)
    fired = {event["fingerprint"] for event in outcome.alerts if event["status"] == "firing"}
    tiles = [
        _tile("rows", number(outcome.rows)),
        _tile("answered", share(outcome.answered / outcome.rows if outcome.rows else None)),
        _tile("abstained", number(outcome.abstained)),
        _tile("failed", number(outcome.failed), alarm=outcome.failed > 0),
        _tile("columns that drifted", number(len(drifted)), alarm=bool(drifted)),
        _tile("alerts that fired", number(len(fired)), alarm=bool(fired)),
    ]
    best = summary(outcome.performance)
    if best is not None:
        tiles.append(_tile(f"{best[0]}, last window", best[1]))
    return element("div", *tiles, class_="tiles")


def _tile(words: str, value: str, *, alarm: bool = False) -> Markup:
    return element(
        "div", element("b", value), element("span", words), class_="tile alarm" if alarm else "tile"
    )


def _notes(outcome: Outcome) -> Markup:
    """What to know before reading on."""
    notes = [
        f"The {name} monitor was {word} when this page was made: its results are not whole."
        for name, word in outcome.monitors.items()
        if word != CAUGHT_UP
    ]
    open_windows = provisional([*outcome.drift, *outcome.performance, *outcome.fairness])
    if open_windows:
        notes.append(
            f"{open_windows} windows are provisional: their time, or the wait for labels, was not over. "
            "They are drawn hollow."
        )
    return join(element("p", note, class_="soft") for note in notes)


def _alerts(alerts: Sequence[Result], over: tuple[float, float]) -> Markup:
    if not alerts:
        return element("p", "None.", class_="soft")
    spans = alert_spans(alerts, over[1])
    drawn = timeline(spans, over, label="Alerts over event time")
    rows = [
        (
            event["status"] + (f" ({event['reason']})" if event.get("reason") else ""),
            event["severity"],
            event["monitor"],
            event["subject"],
            event["version"],
            moment(event["since"]),
            moment(event["until"]) if event.get("until") else "",
        )
        for event in alerts
    ]
    heads = ("status", "severity", "monitor", "subject", "version", "since", "until")
    words = "Filled while firing, dashed while pending."
    return join(
        [
            element("section", drawn, class_="card wide"),
            element("p", words, class_="soft"),
            fold(f"All {len(alerts)} events in their order", table(heads, rows, words=len(heads))),
        ]
    )


def _refused(outcome: Outcome) -> Markup:
    if not outcome.failures:
        return Markup("")
    rows = [
        (str(entry.row) if entry.rows == 1 else f"{entry.row} to {entry.row + entry.rows - 1}", entry.reason,
         entry.detail[:300])
        for entry in outcome.failures
    ]  # fmt: skip
    words = f"{number(outcome.failed)} rows were refused; the first of them:"
    return _section(
        "Refused rows", join([element("p", words), table(("row", "reason", "detail"), rows, words=3)])
    )


def _foot(outcome: Outcome, results: Sequence[Result]) -> Markup:
    took = f"{outcome.seconds:.1f} s, {number(outcome.rows_per_second)} a second"
    bundles = sorted({str(result["bundle"]) for result in results})
    configurations = sorted({str(result["configuration"]) for result in results})
    words = [
        f"Replay {outcome.replay}; {number(outcome.rows)} rows in {took}.",
        f" Bundle {', '.join(bundles)}." if bundles else "",
        f" Monitors' settings {', '.join(configurations)}." if configurations else "",
    ]
    return element("footer", *words)


def _span(outcome: Outcome, results: Sequence[Result]) -> tuple[float, float]:
    return whole_span(results, outcome.start, outcome.end)


def _section(title: str, content: str) -> Markup:
    return element("section", element("h2", title), content)
