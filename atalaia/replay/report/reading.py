"""Records of results and alerts, turned into what plots take."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from atalaia.inference.columns import parse_time
from atalaia.replay.outcome import Result
from atalaia.replay.report.charts import Point, Span
from atalaia.replay.report.words import moment, number


def streams(results: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    """Results by version and role, each with its name; the primary first."""
    names = {(result["version"], result["role"]) for result in results}
    for version, role in sorted(names, key=lambda name: (name[1] != "primary", *name)):
        of_stream = [entry for entry in results if (entry["version"], entry["role"]) == (version, role)]
        yield f"version {version}, {role}", of_stream


def span_of(result: Result) -> tuple[float, float]:
    """Event time of a window, in milliseconds."""
    return float(parse_time(result["window"]["start"])), float(parse_time(result["window"]["end"]))


def whole_span(results: Iterable[Result], start: str, end: str) -> tuple[float, float]:
    """Event time that the replay and all windows take together."""
    spans = [span_of(result) for result in results]
    starts = [float(parse_time(start)), *(span[0] for span in spans)]
    ends = [float(parse_time(end)), *(span[1] for span in spans)]
    return min(starts), max(ends)


def window_words(result: Result) -> str:
    """A window in words."""
    window = result["window"]
    still = ", provisional" if result["provisional"] else ""
    return f"{moment(window['start'])} to {moment(window['end'])}{still}"


def point(result: Result, value: float | None, words: str, *, hit: bool = False) -> Point:
    """What a result says, as a point."""
    told = f"{window_words(result)}: {words} {number(value)}"
    return Point(*span_of(result), value, bool(result["provisional"]), hit, told)


def alert_spans(alerts: Sequence[Result], end_ms: float) -> list[Span]:
    """How long each alert was pending and fired; one that is not over lasts to the end."""
    spans: list[Span] = []
    standing: dict[str, Result] = {}
    for event in alerts:
        before = standing.pop(event["fingerprint"], None)
        if event["status"] == "resolved":
            spans.append(_span(event if before is None else before, _end(event, end_ms), event.get("reason")))
        else:
            if before is not None and before["since"] != event["since"]:
                spans.append(_span(before, float(parse_time(event["since"]))))
            standing[event["fingerprint"]] = event
    spans += [_span(event, end_ms) for event in standing.values()]
    return sorted(spans, key=lambda span: (span.start_ms, span.name))


def columns_over_windows(results: Sequence[Result]) -> dict[tuple[str, str], list[tuple[Result, Any]]]:
    """Of results of drift, what each test of each column says in each window."""
    found: dict[tuple[str, str], list[tuple[Result, Any]]] = {}
    for result in results:
        for column in result["columns"]:
            found.setdefault((column["column"], column["test"]), []).append((result, column))
    return found


def _end(event: Result, end_ms: float) -> float:
    until = event.get("until")
    return end_ms if until is None else float(parse_time(until))


def _span(event: Result, end_ms: float, reason: str | None = None) -> Span:
    start_ms = float(parse_time(event["since"]))
    status = "pending" if event["status"] == "pending" else "firing"
    over = "" if reason is None else f", {reason}"
    words = f"{event['monitor']} of {event['subject']}: {status} since {moment(event['since'])}{over}"
    return Span(f"{event['monitor']}: {event['subject']}", status, start_ms, max(end_ms, start_ms), words)
