"""``atalaia up``: Kafka, Redis and the services on one machine, until told to stop."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import orjson
import platformdirs
import typer
from rich.console import Console
from rich.table import Table

from atalaia.cli.interrupts import interrupted_by
from atalaia.runtime.machine import Addresses, Machine
from atalaia.runtime.services import KNOWN, present
from atalaia.settings import Settings, load
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy


class _StopRequested(BaseException):
    """SIGTERM or SIGINT, in the main thread, wherever that was; not an error."""


def up(
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A bundle to deploy; may be repeated.", exists=True, file_okay=False, metavar="BUNDLE"
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            help="Data, logs and deployed bundles; a restart with the same goes on.", file_okay=False
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the addresses as one line of JSON when ready.")
    ] = False,
) -> None:
    """Run Kafka, Redis and all services on this machine until Ctrl-C or SIGTERM."""
    folder = state_dir or platformdirs.user_state_path("atalaia")
    _run(load(), folder, model or [], Console(stderr=True, highlight=False), as_json=as_json)


def prepare_stream(settings: Settings, bundles: Sequence[Path] = ()) -> None:
    """Create the topics that are missing and deploy bundles, on a Kafka that runs."""
    create_topics(settings.kafka)
    for bundle in bundles:
        deploy(bundle, settings=settings)


def _say_what_is_missing(services: Sequence[str], console: Console) -> None:
    missing = [name for name in KNOWN if name not in services]
    if missing:
        text = (
            f"Without {', '.join(missing)}, whose libraries are not installed: pip install 'atalaia[watch]'"
        )
        console.print(text, markup=False, soft_wrap=True)


def _run(settings: Settings, folder: Path, bundles: list[Path], console: Console, *, as_json: bool) -> None:
    services = present()
    _say_what_is_missing(services, console)
    with contextlib.ExitStack() as on_screen:
        status = on_screen.enter_context(console.status("Starting ..."))
        machine = Machine(
            settings,
            folder,
            services=services,
            prepare=lambda resolved: prepare_stream(resolved, bundles),
            report=lambda line: console.print(line, markup=False, soft_wrap=True),
            progress=lambda name: status.update(f"Fetching Kafka with Maven, once: {name}"),
        )
        with contextlib.suppress(_StopRequested), _stoppable() as disarm:
            try:
                machine.start()
                on_screen.close()
                _announce(machine.addresses, machine.state_dir, console, as_json=as_json)
                threading.Event().wait()
            finally:
                disarm()
                machine.close()
    console.print("Everything is stopped.")


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Make the first SIGTERM or SIGINT a `_StopRequested`; further ones do not disturb the stopping."""
    armed = threading.Event()
    armed.set()

    def interrupt() -> None:
        if armed.is_set():
            armed.clear()
            raise _StopRequested

    with interrupted_by(interrupt):
        yield armed.clear


def _announce(addresses: Addresses, state_dir: Path, console: Console, *, as_json: bool) -> None:
    table = Table(show_header=False, box=None)
    for name, address in [
        ("gateway", addresses.gateway),
        ("kafka", addresses.kafka),
        ("redis", addresses.redis),
    ]:
        table.add_row(name, address)
    for name, address in addresses.metrics.items():
        table.add_row(f"metrics of {name}", address)
    table.add_row("data and logs", str(state_dir))
    console.print("Ready; Ctrl-C stops it.")
    console.print(table)
    if as_json:
        typer.echo(orjson.dumps(addresses).decode())
