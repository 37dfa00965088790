"""``atalaia audit``: hold the log against what is promised of it; needs nothing but Kafka's settings."""

from typing import Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.conservation import Report, examine
from atalaia.settings import load
from atalaia.stream.ledger import read_facts


def audit(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Check that every request has exactly one outcome and every outcome its prediction; exit 1 if not.

    Reads `requests`, `predictions`, `observations` and `dead-letters` to their committed ends.
    """
    report = examine(read_facts(load().kafka))
    _tell(report, Console(stderr=True, highlight=False))
    if as_json:
        typer.echo(orjson.dumps(answer(report)).decode())
    if not report.ok:
        raise typer.Exit(1)


def answer(report: Report) -> dict[str, Any]:
    """The report for programs."""
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
