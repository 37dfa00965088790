"""``atalaia status``: one look at what runs; says which parts are down instead of failing with them."""

from collections.abc import Iterable
from typing import Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.cli.status_parts import Status, look
from atalaia.settings import load


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Who answers, who lags behind, what alerts; exit 1 where something is unreachable or stuck."""
    seen = look(load())
    if as_json:
        typer.echo(orjson.dumps(answer(seen)).decode())
    else:
        tell(seen, Console(highlight=False))
    if not seen.ok:
        raise typer.Exit(1)


def answer(seen: Status) -> dict[str, Any]:
    """The look for programs."""
    return {
        "ok": seen.ok,
        "problems": seen.problems,
        "kafka": seen.kafka,
        "redis": seen.redis,
        "models": seen.models,
        "services": seen.services,
        "observations": seen.observations,
        "alerts": seen.alerts,
        "dead_letters": seen.dead_letters,
        "results": seen.results,
    }


def tell(seen: Status, console: Console) -> None:
    """The look for people."""
    for name, part in (("Kafka", seen.kafka), ("Redis", seen.redis)):
        console.print(
            f"{name:<8}{'[green]answers[/]' if part.get('reachable') else '[red]does not answer[/]'}"
        )
    if seen.observations:
        ages = [entry["age_seconds"] for entry in seen.observations]
        console.print(f"last observation {min(ages):,.1f} s ago")
    if seen.dead_letters:
        letters = seen.dead_letters
        console.print(f"dead letters {letters['total']:,}, {letters['last_hour']:,} in the last hour")
    _print(console, ("model", "version", "role", "since"), map(_model, seen.models))
    _print(
        console,
        ("service", "lag", "the first waits"),
        (
            (name, f"{part['lag']:,}", _seconds(part["waiting_seconds"]))
            for name, part in seen.services.items()
        ),
    )
    _print(
        console,
        ("monitor", "model", "version", "role", "latest window", "n", "revision"),
        map(_result, seen.results),
    )
    _print(console, ("alert", "model", "version", "monitor", "subject", "since"), map(_alert, seen.alerts))
    if seen.kafka.get("reachable") and not seen.alerts:
        console.print("no alert is pending or firing")
    for problem in seen.problems:
        console.print(f"[red]{escape(problem)}", soft_wrap=True)


def _print(console: Console, headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    filled = list(rows)
    if not filled:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in filled:
        table.add_row(*map(escape, row))
    console.print(table)


def _model(entry: dict[str, Any]) -> tuple[str, ...]:
    role = entry["role"] if entry["current"] else f"former {entry['role']}"
    name = f"{entry['model']} (default)" if entry["default"] and entry["current"] else entry["model"]
    return name, entry["version"], role, entry["since"]


def _result(entry: dict[str, Any]) -> tuple[str, ...]:
    window = f"{entry['window']['start']} to {entry['window']['end']}"
    revision = f"{entry['revision']}{' (provisional)' if entry['provisional'] else ''}"
    names = (entry["monitor"], entry["model"], entry["version"], entry["role"])
    return *names, window, f"{entry['n'] or 0:,}", revision


def _alert(entry: dict[str, Any]) -> tuple[str, ...]:
    hushed = " (silenced)" if entry["silenced_by"] else ""
    hushed += " (acknowledged)" if entry["acknowledged_by"] else ""
    names = ("model", "version", "monitor", "subject", "since")
    return entry["status"] + hushed, *(entry[name] for name in names)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} s"
