"""The answer of a benchmark, for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_MET = {True: "[green]met[/]", False: "[red]missed[/]", None: "[yellow]not measured[/]"}


def tables(answer: Mapping[str, Any], console: Console) -> None:
    """Print the limits and whether they are met, then what was measured beside."""
    console.print(_limits(answer))
    console.print(_figures(answer))
    for name in answer.get("absent", ()):
        console.print(f"{name} is absent: its environment is missing, make bench-peers makes it")


def number(value: float | None, unit: str = "") -> str:
    """A figure with as many digits as say something.

    >>> number(1234567.8, "rows/s"), number(0.9512), number(None)
    ('1,234,568 rows/s', '0.951', 'absent')
    """
    if value is None:
        return "absent"
    text = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def _limits(answer: Mapping[str, Any]) -> Table:
    table = Table("figure", "reach", "measured", "", title=f"bench {answer['bench']}", title_justify="left")
    for limit in answer["limits"]:
        table.add_row(
            limit["name"], limit["reach"], number(limit["figure"], limit["unit"]), _MET[limit["met"]]
        )
    return table


def _figures(answer: Mapping[str, Any]) -> Table:
    table = Table("measured", "", show_header=False)
    table.add_row("ours", number(answer["ours"]))
    for name, value in answer["beside"].items():
        table.add_row(name, number(value))
    table.add_row("ratio", number(answer["ratio"]))
    table.add_row("CPU seconds of ours", number(answer["cpu_seconds"]))
    return table
