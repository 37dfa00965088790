"""``atalaia replay``: a CSV file as the stream it once was, and what the monitors say of it."""

import contextlib
import math
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console

from atalaia.cli.interrupts import interrupted_by
from atalaia.durations import parse_duration
from atalaia.errors import SettingsError
from atalaia.inference.columns import parse_time
from atalaia.replay.deployed import read_deployed
from atalaia.replay.encoding import ROWS_PER_REQUEST
from atalaia.replay.monitors import RedisFences
from atalaia.replay.outcome import Outcome
from atalaia.replay.report import render_report
from atalaia.replay.run import Options, Replay
from atalaia.replay.table import Table, UnusableTable
from atalaia.replay.telling import tell_outcome
from atalaia.settings import Settings, load

_INTERRUPTED = 130


def replay(
    table: Annotated[
        Path,
        typer.Argument(metavar="CSV", help="Rows with a header, oldest first.", exists=True, dir_okay=False),
    ],
    *,
    model: Annotated[str, typer.Option(help="The model asked; its columns are found by name.")],
    target: Annotated[
        str | None, typer.Option(help="Column of the truth, sent as labels.", metavar="COL")
    ] = None,
    label_delay: Annotated[str, typer.Option(help="From a row to its label.", metavar="DURATION")] = "0s",
    interval: Annotated[
        str, typer.Option(help="From a row to the next, in event time.", metavar="DURATION")
    ] = "1s",
    start: Annotated[
        str | None,
        typer.Option(
            help="Event time of the first row, RFC 3339; default: so that the rows end now.", metavar="TIME"
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="Seconds of event time a second; default: as fast as it goes.", metavar="N"),
    ] = None,
    rows_per_request: Annotated[
        int, typer.Option(help="At most so many rows go together.", min=1)
    ] = ROWS_PER_REQUEST,
    patience: Annotated[
        str, typer.Option(help="How long the monitors may make no progress.", metavar="DURATION")
    ] = "60s",
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page with plots, whole in one file.", metavar="FILE.html", dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Send the rows of a file through Kafka in their own time; print what the monitors found.

    Row i is at start + i x interval. Exit 1 where not every row was accounted for, or a monitor did not come
    to the end.
    """  # fmt: skip
    options = Options(
        target=target,
        label_delay_ms=_milliseconds("--label-delay", label_delay),
        interval_ms=_positive("--interval", _milliseconds("--interval", interval)),
        start_ms=None if start is None else _time(start),
        speed=None if speed is None else _positive("--speed", speed),
        rows_per_request=rows_per_request,
        patience_seconds=_milliseconds("--patience", patience) / 1000,
    )
    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"{report.absolute().parent} is no folder", param_hint="--report")
    console = Console(stderr=True, highlight=False)
    outcome = _run(load(), model, table, options=options, report=report, console=console)
    tell_outcome(outcome, Console(stderr=as_json, highlight=False))
    if report is not None:
        console.print(f"report: {report}", markup=False, soft_wrap=True)
    if as_json:
        typer.echo(orjson.dumps(msgspec.to_builtins(outcome)).decode())
    if not outcome.complete:
        raise typer.Exit(1)


def _run(
    settings: Settings, model: str, path: Path, *, options: Options, report: Path | None, console: Console
) -> Outcome:
    if settings.redis.url is None:
        raise SettingsError(
            "no Redis to ask how far the monitors are; set ATALAIA_REDIS__URL=redis://host:port/0, "
            "or run `atalaia up`, which starts one and prints its address"
        )
    fences = RedisFences(settings.redis.url)
    with contextlib.closing(fences), console.status("reading") as status, interrupted_by(_interrupt):
        try:
            table = Table.open(path)
            bundle = read_deployed(settings.kafka, model)
            replay = Replay(settings.kafka, bundle, table, options, fences=fences, tell=status.update)
        except UnusableTable as error:
            raise typer.BadParameter(str(error)) from error
        try:
            outcome = replay.run()
        except KeyboardInterrupt:
            console.print("Interrupted; the replay was ended where it stood.")
            raise typer.Exit(_INTERRUPTED) from None
        if report is not None:
            report.write_text(render_report(outcome, replay.shapes(), bundle.manifest), "utf-8")
    return outcome


def _interrupt() -> None:
    """SIGTERM ends a replay as Ctrl-C does."""
    raise KeyboardInterrupt


def _milliseconds(option: str, text: str) -> float:
    try:
        return parse_duration(text) * 1000
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _positive(option: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g}, expected a number above 0", param_hint=option)
    return value


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a time; write RFC 3339, such as 2026-01-31T12:00:00Z", param_hint="--start"
        ) from error
