"""A replay's outcome as tables on a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.replay.monitors import CAUGHT_UP
from atalaia.replay.outcome import Outcome, Result, provisional
from atalaia.replay.report.words import NOTHING, interval, moment, number

_METRICS_SHOWN = 5
_GAPS_SHOWN = 12


def tell_outcome(outcome: Outcome, console: Console) -> None:
    """Print all of it."""
    console.print(_counts(outcome))
    for failure in outcome.failures[:5]:
        console.print(f"[red]row {failure.row}: {escape(failure.detail[:200])}", soft_wrap=True)
    for name, word in outcome.monitors.items():
        if word != CAUGHT_UP:
            console.print(f"[red]the {name} monitor is {word}: its results are not whole")
    for table in (_drift(outcome.drift), _performance(outcome.performance), _fairness(outcome.fairness)):
        if table is not None:
            console.print(table)
    if provisional([*outcome.drift, *outcome.performance, *outcome.fairness]):
        console.print("* provisional: its time, or the wait for its labels, was not over")
    console.print("No alerts." if not outcome.alerts else _alerts(outcome.alerts))


def _counts(outcome: Outcome) -> Table:
    table = _table(f"{outcome.model} {outcome.version}", "", "")
    table.show_header = False
    table.add_row("event time", f"{moment(outcome.start)} to {moment(outcome.end)}")
    for name in ("rows", "answered", "abstained", "failed"):
        table.add_row(name, number(getattr(outcome, name)))
    table.add_row("seconds", f"{outcome.seconds:.1f}")
    table.add_row("rows a second", number(outcome.rows_per_second))
    return table


def _drift(results: Sequence[Result]) -> Table | None:
    if not results:
        return None
    table = _table("drift", "window", "version", "n", "verdict", "columns hit, by effect")
    for result in results:
        hit = [said for said in result["columns"] if said["hit"]]
        hit.sort(key=lambda said: -(said["effect"] or 0.0))
        named = ", ".join(f"{said['column']} {number(said['effect'])}" for said in hit)
        verdict = "[red]drifted[/]" if result["drifted"] else result.get("why") or "not drifted"
        table.add_row(
            _window(result), _version(result), number(result["n"]), verdict, escape(named) or NOTHING
        )
    return table


def _performance(results: Sequence[Result]) -> Table | None:
    if not results:
        return None
    known = [name for name, value in results[-1]["metrics"].items() if value is not None][:_METRICS_SHOWN]
    names = [name.replace("_", " ") for name in known]
    table = _table("performance", "window", "version", "n", "labelled", *names)
    for result in results:
        figures = [number(result["metrics"].get(name)) for name in known]
        table.add_row(
            _window(result), _version(result), number(result["n"]), number(result["labelled"]), *figures
        )
    return table


def _fairness(results: Sequence[Result]) -> Table | None:
    hits = [(result, gap) for result in results for gap in result["gaps"] if gap["hit"]]
    if not results:
        return None
    table = _table(
        "fairness: gaps that are hits", "window", "metric", "attribute", "between", "value", "interval"
    )
    for result, gap in hits[-_GAPS_SHOWN:]:
        ends = None if gap["low"] is None or gap["high"] is None else (gap["low"], gap["high"])
        between = escape(" / ".join(map(str, gap["between"])))
        table.add_row(
            _window(result),
            gap["metric"],
            escape(gap["attribute"]),
            between,
            number(gap["value"]),
            interval(ends),
        )
    if not hits:
        table.add_row(f"none in {len(results)} windows", *[""] * 5)
    return table


def _alerts(alerts: Sequence[Result]) -> Table:
    table = _table("alerts", "status", "monitor", "subject", "version", "since", "until")
    for event in alerts:
        status = f"[red]{event['status']}[/]" if event["status"] == "firing" else event["status"]
        until = moment(event["until"]) if event.get("until") else ""
        subject = escape(event["subject"])
        table.add_row(status, event["monitor"], subject, event["version"], moment(event["since"]), until)
    return table


def _table(title: str, *heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head == "window")
    return table


def _window(result: Result) -> str:
    """A window, short enough for a terminal; a star where it is provisional."""
    start, end = moment(result["window"]["start"]), moment(result["window"]["end"])
    (day, time), (other_day, other_time) = start.split(), end.split()
    if time == other_time == "00:00":
        words = f"{day} to {other_day}"
    else:
        words = f"{start} to {other_time if day == other_day else end}"
    return words + (" *" if result["provisional"] else "")


def _version(result: Result) -> str:
    return escape(str(result["version"])) + ("" if result["role"] == "primary" else f" ({result['role']})")
