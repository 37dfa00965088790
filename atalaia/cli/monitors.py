"""``atalaia monitors``: how a model is watched; needs Kafka's settings, and the bundle where it lies."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.alerts import rfc3339
from atalaia.bundles.folder import Bundle
from atalaia.deployments import current_primary
from atalaia.errors import AtalaiaError, BundleError
from atalaia.monitors import overlays
from atalaia.monitors.configuration import MonitorSettings, monitor_settings
from atalaia.records import ModelRecord, MonitorChange
from atalaia.settings import KafkaSettings, load
from atalaia.stream.changes import in_force, overlay_of, put_change, read_record
from atalaia.stream.deployed import read_bundle_records
from atalaia.windows import Window

app = typer.Typer(
    name="monitors",
    help="Show and change how a model is watched, without a new bundle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Model = Annotated[str, typer.Argument(help="Name of the model.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")]


@app.command("show")
def show(model: _Model, *, as_json: _Json = False) -> None:
    """The settings in force: the bundle's, overlaid by what was set since, and from which position on."""
    kafka = load().kafka
    record = read_record(kafka, model)
    told = answer(record, open_primary(kafka, record))
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    else:
        _tell(told, Console(highlight=False))


@app.command("set")
def put(
    model: _Model,
    assignments: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE, as drift.window=30m; values as in TOML.")
    ] = None,
    *,
    unset: Annotated[list[str] | None, typer.Option(help="A setting to leave to the bundle again.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="TOML with tables of settings.", exists=True, dir_okay=False)
    ] = None,
    as_json: _Json = False,
) -> None:
    """Change settings from now on: every result from there names the digest of those in force."""
    if not assignments and not unset and file is None:
        raise typer.BadParameter("nothing to change; expected NAME=VALUE, --unset NAME or --file TOML")
    kafka = load().kafka
    record = read_record(kafka, model)
    bundle = open_primary(kafka, record)
    before = overlay_of(record)
    overlay = overlays.unset(before, unset or ())
    if file is not None:
        overlay = overlays.merge(overlay, overlays.read_tables(file.read_text("utf-8")))
    overlay = overlays.assign(overlay, map(overlays.read_assignment, assignments or ()))
    check(overlay, bundle)
    changed = overlay != before
    if changed:
        last = in_force(record)
        change = MonitorChange(model, overlay, _now(), None if last is None else last.reference)
        put_change(kafka, change)
        record = read_record(kafka, model)
    told = answer(record, bundle) | {"changed": changed}
    if as_json:
        typer.echo(orjson.dumps(told).decode())
        return
    since = told["since"]
    text = f"in force from position {since['position']} of observations on" if changed else "nothing changed"
    Console(stderr=True, highlight=False).print(f"{model}: {text}, settings {told['digest']}", soft_wrap=True)


@app.command("rebaseline")
def rebaseline(
    model: _Model,
    *,
    window: Annotated[
        str | None, typer.Option(help="Event times START/END; else the last closed drift windows.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Rows of a CSV file instead of the stream's.", dir_okay=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the file; else the bundles' store.")] = None,
    as_json: _Json = False,
) -> None:
    """Hold the primary's drift against rows of the stream, or of a file, not its bundle's reference."""
    settings = load()
    record = read_record(settings.kafka, model)
    bundle = open_primary(settings.kafka, record)
    needed = check(overlay_of(record), bundle).drift.minimum_reference_rows
    from atalaia.cli import rebaselining  # noqa: PLC0415 - needs the extra that `check` has found

    if csv is not None:
        if window is not None:
            raise typer.BadParameter("--window and --csv exclude each other")
        reference, source = rebaselining.of_csv(bundle, csv), str(csv)
    else:
        chosen = _window(window)
        if chosen is None:
            results = rebaselining.read_results(settings.kafka)
            chosen = rebaselining.last_windows(results, bundle, rows=needed)
        reference = rebaselining.of_stream(settings.kafka, bundle, chosen)
        source = f"{rfc3339(chosen.start_ms)}/{rfc3339(chosen.end_ms)}"
    file = rebaselining.store(reference, bundle, settings, out)
    put_change(settings.kafka, MonitorChange(model, overlay_of(record), _now(), file))
    told = answer(read_record(settings.kafka, model), bundle) | {"rows": reference.rows, "source": source}
    console = Console(stderr=True, highlight=False)
    if reference.rows < needed:
        console.print(f"{reference.rows:,} rows are fewer than {needed:,}: drift is told without a verdict")
    if as_json:
        typer.echo(orjson.dumps(told).decode())
        return
    position = told["since"]["position"]
    text = f"{model}: {reference.rows:,} rows of {source} are the reference from position {position} on"
    console.print(text, markup=False, soft_wrap=True)


def _window(text: str | None) -> Window | None:
    from atalaia.cli.rebaselining import read_window  # noqa: PLC0415

    try:
        return None if text is None else read_window(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--window") from error


def open_primary(kafka: KafkaSettings, record: ModelRecord) -> Bundle:
    """The bundle of the version that answers, else of the newest.

    Raises
    ------
    BundleError
        where it cannot be read, or is not what was deployed.
    """
    deployment = current_primary(record) or record.deployments[-1]
    place = read_bundle_records(kafka).get((record.name, deployment.version))
    if place is None:
        raise BundleError(f"no record says where the bundle of {record.name} {deployment.version} lies")
    bundle = Bundle.read(Path(place.location))
    if bundle.digest != deployment.digest:
        raise BundleError(
            f"the bundle at {place.location} has digest {bundle.digest}, deployed was {deployment.digest}; "
            "put the deployed bundle back"
        )
    return bundle


def check(overlay: dict[str, Any], bundle: Bundle) -> MonitorSettings:
    """The settings an overlay makes of a bundle's.

    Raises
    ------
    SettingsError
        naming the setting that is wrong.
    """
    settings = monitor_settings(bundle.manifest.monitors, [overlay])
    try:
        from atalaia.monitors.checks import check_settings  # noqa: PLC0415 - scipy and river, of an extra
    except ImportError as error:
        raise AtalaiaError(
            f"settings of monitors cannot be checked without {error.name}; install the extra: "
            "pip install 'atalaia[watch]'"
        ) from error
    check_settings(settings, bundle.manifest)
    return settings


def answer(record: ModelRecord, bundle: Bundle) -> dict[str, Any]:
    """The settings in force, for programs."""
    change = in_force(record)
    settings = monitor_settings(bundle.manifest.monitors, [overlay_of(record)])
    reference = None if change is None else change.reference
    return {
        "model": record.name,
        "version": bundle.manifest.version,
        "digest": settings.digest,
        "since": None if change is None else {"position": change.offset, "time": change.changed_at},
        "reference": None if reference is None else msgspec.to_builtins(reference),
        "set": overlay_of(record),
        "bundle": bundle.manifest.monitors,
        "settings": msgspec.to_builtins(settings),
    }


def _tell(told: dict[str, Any], console: Console) -> None:
    since = told["since"]
    if since is None:
        text = "as its bundle says"
    else:
        text = f"since {since['time']}, position {since['position']} of observations"
    console.print(f"{told['model']} {told['version']}: settings {told['digest']}, {text}", soft_wrap=True)
    if told["reference"] is not None:
        console.print(f"reference: {told['reference']['location']}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    was_set, bundled = overlays.flatten(told["set"]), overlays.flatten(told["bundle"])
    for name, value in overlays.flatten(told["settings"]).items():
        source = "set" if name in was_set else "bundle" if name in bundled else ""
        table.add_row(name, escape(orjson.dumps(value).decode()), source)
    console.print(table)


def _now() -> str:
    return datetime.now(UTC).isoformat()
