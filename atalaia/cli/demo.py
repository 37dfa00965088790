"""``atalaia demo``: the story on a machine of its own, with every claim checked."""

import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from atalaia.cli.interrupts import SIGNALS, interrupted_by
from atalaia.demo.script import Act, Script
from atalaia.demo.telling import Teller
from atalaia.demo.tries import PAGES
from atalaia.errors import AtalaiaError
from atalaia.runtime.ports import is_free
from atalaia.runtime.services import gateway_url
from atalaia.settings import AccessSettings, Settings, load

_DEFAULT_FOLDER = Path("state/demo")
_WIDTH = 100


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")
    ] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            help="Data, logs and bundles; default: a temporary folder, with --keep state/demo.",
            file_okay=False,
        ),
    ] = None,
    act: Annotated[
        list[Act] | None, typer.Option(help="Only this part of the story; may be repeated.")
    ] = None,
    rows: Annotated[int, typer.Option(help="How many rows to send in the first act.", min=200)] = 6_000,
    rows_an_hour: Annotated[
        int,
        typer.Option(help="Rows in an hour of event time, of the days that are watched.", min=100, max=3600),
    ] = 600,
    day_seconds: Annotated[
        float,
        typer.Option(help="How long one of those days takes to send, and one of the real people's.", min=0.1),
    ] = 4.0,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page with plots of those days.", metavar="FILE.html", dir_okay=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as one line of JSON, the story to stderr.")
    ] = False,
) -> None:
    """Rows answered exactly once, days of them watched, and all of it audited: on this machine, for real.

    Exit 1 where anything is not as it is told. The parts on wine, adults and electricity need
    ATALAIA_DATA_DIR, and are left out otherwise.
    """
    script = Script(tuple(act or Act), rows, rows_an_hour, day_seconds, report)
    console = Console(stderr=as_json, highlight=False)
    console.width = min(console.width, _WIDTH)
    with _kept_or_temporary(state_dir or (_DEFAULT_FOLDER if keep else None), console) as folder:
        held = _run(folder, Teller(console), script, keep=keep, as_json=as_json)
        if not held:
            raise typer.Exit(1)


def demo_settings(given: Settings, *, keep: bool) -> Settings:
    """Settings of the demo: what is given, free ports and a longer deadline where nothing is.

    A gateway that stays is on its usual port where that is free. On a Kafka that is given, topics have a
    prefix of this run's own, since the demo counts every message. The deadline lets callers wait while
    another scorer takes over from the killed one.
    """
    free: dict[str, dict[str, Any]] = {
        "kafka": {"port": 0, "controller_port": 0},
        "redis": {"port": 0},
        "gateway": {"port": 0, "deadline": 20.0},
        "scorer": {"metrics_port": 0},
        "drift": {"metrics_port": 0},
        "fairness": {"metrics_port": 0},
        "alerts": {"metrics_port": 0},
    }
    if keep and is_free(given.gateway.port, given.gateway.host):
        del free["gateway"]["port"]
    if given.kafka.bootstrap_servers is not None:
        free["kafka"]["topic_prefix"] = f"demo-{secrets.token_hex(4)}."
    parts = {}
    for name, defaults in free.items():
        part = getattr(given, name)
        unset = {field: value for field, value in defaults.items() if field not in part.model_fields_set}
        parts[name] = part.model_copy(update=unset)
    # Its requests bring no key: it is at home on this machine.
    return given.model_copy(update={**parts, "access": AccessSettings()})


def _run(folder: Path, tell: Teller, script: Script, *, keep: bool, as_json: bool) -> bool:
    try:
        from atalaia.demo.story import Story  # noqa: PLC0415 - needs the extras `train` and `watch`

        given = load()
        settings = demo_settings(given, keep=keep)
        passing = settings.kafka.topic_prefix != given.kafka.topic_prefix
        story = Story(settings, folder, script, tell=tell, clears_topics=passing)
        tell.console.print("[bold]Atalaia: models on Kafka, watched from the same stream.[/]")
        with interrupted_by(_interrupt), story.machine() as machine:
            told = story.tell(machine)
            url = told.figures["gateway"] if keep else gateway_url(given.gateway)
            _goodbye(tell, [(line.shows, line.curl(url)) for line in told.tries], url, keep=keep)
            if as_json:
                typer.echo(orjson.dumps(told.figures).decode())
            if keep:
                with suppress(KeyboardInterrupt):
                    threading.Event().wait()
    except ModuleNotFoundError as error:
        raise AtalaiaError(f"{error.name} is not installed; pip install 'atalaia[train,watch]'") from error
    return told.held


def _goodbye(tell: Teller, lines: list[tuple[str, str]], url: str, *, keep: bool) -> None:
    console = tell.console
    if keep:
        console.print("\n[bold cyan]Now you[/]  (it runs until Ctrl-C)")
    else:
        console.print("\n[bold cyan]Now you[/]  (`make demo KEEP=1` leaves it running, then:)")
    tell.lines_to_try(lines)
    console.print(f"[dim]# everything the gateway takes, in a browser[/]\n{url}{PAGES}")


def _interrupt() -> None:
    """The first SIGTERM is as Ctrl-C; after either, nothing disturbs the stopping."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _kept_or_temporary(folder: Path | None, console: Console) -> Iterator[Path]:
    """The folder, or a temporary one that goes at the end, unless something failed: the logs are in it."""
    if folder is not None:
        yield folder
        return
    temporary = Path(tempfile.mkdtemp(prefix="atalaia-demo-"))
    try:
        yield temporary
    except (AtalaiaError, typer.Exit):
        if any(temporary.glob("logs/*")):
            console.print(f"Logs of all services are in {temporary / 'logs'}", soft_wrap=True)
        else:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(temporary, ignore_errors=True)
