"""``atalaia audit``: hold the log against what is promised of it; needs nothing but Kafka's settings."""

from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.conservation import Report, examine
from atalaia.errors import AtalaiaError
from atalaia.settings import KafkaSettings, load
from atalaia.stream.ledger import read_facts

if TYPE_CHECKING:
    from atalaia.auditing.report import Windows

_SHOWN = 50


def audit(
    *,
    windows: Annotated[
        bool, typer.Option("--windows/--no-windows", help="Whether to recount windows, or requests alone.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Check that every request has one outcome, every window its figures; exit 1 if not.

    Reads the topics to their committed ends, and recomputes the last revision of every window at the
    positions it names. Windows whose evidence has expired are listed, and are no difference.
    """
    console = Console(stderr=True, highlight=False)
    report, recounted = _hold(load().kafka) if windows else (examine(read_facts(load().kafka)), None)
    _tell(report, console)
    told = answer(report)
    if recounted is not None:
        _tell_windows(recounted, console)
        told |= recounted.answer() | {"ok": report.ok and recounted.ok}
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    if not told["ok"]:
        raise typer.Exit(1)


def _hold(kafka: KafkaSettings) -> "tuple[Report, Windows]":
    try:
        from atalaia.auditing.reading import audit as hold  # noqa: PLC0415 - scipy and river, of an extra
    except ImportError as error:
        raise AtalaiaError(
            f"windows cannot be recounted without {error.name}; install the extra: pip install "
            "'atalaia[watch,train]', or leave them out with --no-windows"
        ) from error
    found = hold(kafka)
    return found.conservation, found.windows


def answer(report: Report) -> dict[str, Any]:
    """The report of conservation for programs."""
    return {
        "ok": report.ok,
        "positions": report.positions,
        "outcomes": dict(report.outcomes),
        "predictions": report.predictions,
        "pending": report.pending,
        "lost_by_retention": report.lost_by_retention,
        "found": dict(report.found),
        "differences": [difference._asdict() for difference in report.differences],
    }


def _tell_windows(windows: "Windows", console: Console) -> None:
    console.print(
        f"Windows: {windows.verified:,} recounted without a difference, {len(windows.differing):,} differ, "
        f"{len(windows.unverifiable):,} can no longer be verified."
    )
    told = windows.answer()
    if told["window_differences"]:
        table = Table(box=box.SIMPLE, title=f"{len(windows.differing):,} windows differ")
        for heading in ("monitor", "of", "window", "figure", "published", "recomputed"):
            table.add_column(heading, overflow="fold")
        for entry in told["window_differences"][:_SHOWN]:
            figures = (entry["path"], str(entry["published"]), str(entry["recomputed"]))
            table.add_row(*map(escape, (*_place(entry), *figures)))
        console.print(table)
    if told["unverifiable"]:
        table = Table(box=box.SIMPLE, title=f"{len(windows.unverifiable):,} windows cannot be verified")
        for heading in ("monitor", "of", "window", "why"):
            table.add_column(heading, overflow="fold")
        for entry in told["unverifiable"][:_SHOWN]:
            table.add_row(*map(escape, (*_place(entry), entry["reason"])))
        console.print(table)


def _place(entry: dict[str, Any]) -> tuple[str, str, str]:
    window = entry["window"]
    return (
        entry["monitor"],
        f"{entry['model']} {entry['version']} {entry['role']}",
        f"{window['start']} to {window['end']}",
    )


def _tell(report: Report, console: Console) -> None:
    counts = Table(box=box.SIMPLE, show_header=False)
    counts.add_column()
    counts.add_column(justify="right")
    counts.add_row("requests on the topic", f"{report.positions:,}")
    for outcome, count in sorted(report.outcomes.items()):
        counts.add_row(f"  {outcome}", f"{count:,}")
    counts.add_row("  not yet answered", f"{report.pending:,}")
    counts.add_row("lost by retention", f"{report.lost_by_retention:,}")
    counts.add_row("predictions", f"{report.predictions:,}")
    console.print(counts)
    if report.ok:
        console.print("Nothing differs: every request has one outcome, every outcome its prediction.")
        return
    found = Table(box=box.SIMPLE, title=f"{sum(report.found.values()):,} differences")
    for heading in ("kind", "partition", "offset", "what"):
        found.add_column(heading)
    for kind, partition, offset, detail in report.differences:
        found.add_row(kind, _number(partition), _number(offset), escape(detail))
    console.print(found)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
