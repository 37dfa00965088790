"""What the demo puts on the screen: headlines, short sentences, bars, tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from atalaia.demo.checks import Check
from atalaia.demo.refusals import Shown

Advance = Callable[[int], None]
"""Told how many are done."""

_INDENT, _GAP = 3, 2


class Teller:
    """Tells the story, a numbered headline a step."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._steps = 0

    def act(self, title: str) -> None:
        """Begin a part of the story, of several steps."""
        self.console.print(f"\n[bold magenta]{title}[/]", highlight=False)

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self.console.print(f"\n[bold cyan]{self._steps}  {title}[/]", highlight=False)

    def say(self, *sentences: str) -> None:
        """A paragraph; figures in it may be marked up."""
        self.console.print(Padding(" ".join(sentences), (0, 0, 0, _INDENT), expand=False), highlight=False)

    @contextmanager
    def bar(self, doing: str, total: int) -> Iterator[Advance]:
        """A bar that goes when it is done."""
        with self._bars() as bars:
            task = bars.add_task(doing, total=total)
            yield lambda done: bars.update(task, completed=done)

    @contextmanager
    def bars(self) -> Iterator[Callable[[str, int, int], None]]:
        """A bar for whatever is named, as recipes report their progress."""
        with self._bars() as bars:
            tasks = {}

            def progress(doing: str, done: int, total: int) -> None:
                if doing not in tasks:
                    tasks[doing] = bars.add_task(doing, total=total)
                bars.update(tasks[doing], completed=done)

            yield progress

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """A word on what is waited for, where there is nothing to count."""
        with self.console.status(what) as status:
            yield status.update

    def refusals(self, over_http: Iterable[Shown], elsewhere: Iterable[Shown]) -> None:
        """What was sent wrongly, and what became of it."""
        parts = [("sent over HTTP", list(over_http)), ("elsewhere", list(elsewhere))]
        widths = [
            max(
                len(text) for heading, lines in parts for text in (heading, *(line[column] for line in lines))
            )
            for column in (0, 1)
        ]
        # Cut here: a table would rather squeeze the short columns.
        left = max(self.console.width - _INDENT - sum(widths) - 2 * _GAP, 20)
        table = _plain_table()
        for heading, lines in parts:
            table.add_row(f"[dim]{heading}[/]", "[dim]got[/]", "[dim]because[/]")
            for what, got, detail in lines:
                words = " ".join(detail.split())
                cut = words if len(words) <= left else f"{words[: left - 3]}..."
                table.add_row(escape(what), escape(got), escape(cut))
            table.add_row()
        self._table(table)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Figures in columns; no headings where there are none."""
        table = _plain_table()
        if heads:
            table.add_row(*(f"[dim]{head}[/]" for head in heads))
        for row in rows:
            table.add_row(*row)
        self._table(table)

    def verdict(self, checks: Iterable[Check]) -> None:
        """Whether all that was claimed held, else what differed."""
        checks = list(checks)
        failed = [check for check in checks if not check.held]
        if not failed:
            self.say(f"[green]All {len(checks)} checks held.[/]")
            return
        self.say(f"[red]{len(failed)} of {len(checks)} checks did not hold:[/]")
        for check in failed:
            self.say(f"[red]- {escape(check.claim)}[/]: found {escape(check.found)}")

    def lines_to_try(self, lines: Iterable[tuple[str, str]]) -> None:
        """Commands to copy, exactly as they are, with a comment each."""
        for shows, command in lines:
            self.console.print(f"[dim]# {escape(shows)}[/]", highlight=False, soft_wrap=True)
            self.console.print(command, markup=False, highlight=False, soft_wrap=True)

    def _bars(self) -> Progress:
        columns = (
            TextColumn(" " * (_INDENT - 1) + "{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    def _table(self, table: Table) -> None:
        self.console.print(Padding(table, (0, 0, 0, _INDENT), expand=False), highlight=False)


def _plain_table() -> Table:
    return Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
