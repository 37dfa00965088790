"""``atalaia models``: what is deployed; needs nothing but Kafka's settings."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.bundles.folder import Bundle
from atalaia.deployments import current_primary, default_model, deployed_version
from atalaia.errors import BundleError
from atalaia.records import BundleRecord, Deployment, ModelRecord
from atalaia.settings import KafkaSettings, Settings, load
from atalaia.stream import deploy as deployment
from atalaia.stream.admin import create_topics
from atalaia.stream.logs import LogReader
from atalaia.topics import BUNDLES

app = typer.Typer(
    name="models",
    help="Deploy bundles, and list what is deployed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_SHORT_DIGEST = 12
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")]


class Listed(NamedTuple):
    """A deployed version; ``problem`` says why its bundle cannot be served, None where it verifies."""

    model: str
    version: str
    role: str
    current: bool
    default: bool
    digest: str
    since: str
    positions: dict[int, int]
    location: str | None
    problem: str | None

    def answer(self) -> dict[str, Any]:
        """The same for programs."""
        members = self._asdict()
        positions = members.pop("positions")
        members["from"] = {str(partition): offset for partition, offset in positions.items()}
        return {**members, "verified": self.problem is None}


@app.command("deploy")
def deploy(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.", exists=True, file_okay=False)],
    *,
    role: Annotated[str, typer.Option(help="How the version takes part; primary answers.")] = "primary",
    as_json: _Json = False,
) -> None:
    """Make a bundle's version answer, from the present ends of `requests` on."""
    if role != "primary":
        raise typer.BadParameter(
            f"role {role!r} cannot be deployed by this version; expected primary", param_hint="--role"
        )
    settings = load()
    create_topics(settings.kafka)
    read = Bundle.read(bundle)
    before = deployment.read_models(settings.kafka).get(read.name)
    record = deployment.deploy(bundle, settings=settings)
    changed = record != before
    console = Console(stderr=True, highlight=False)
    if changed:
        text = f"{read.name} {read.version} answers from now on, digest {_short(read.digest)}"
    else:
        text = f"{read.name} {read.version} is deployed already with this very digest; nothing was changed"
    console.print(text, markup=False, soft_wrap=True)
    listed = next(entry for entry in listing(settings) if (entry.model, entry.version) == read_key(read))
    typer.echo(orjson.dumps({**listed.answer(), "changed": changed}).decode() if as_json else listed.location)


@app.command("list")
def show(*, as_json: _Json = False) -> None:
    """Every deployed version: role, digest, since when and from where, and whether its bundle verifies."""
    entries = listing(load())
    if as_json:
        typer.echo(orjson.dumps([entry.answer() for entry in entries]).decode())
        return
    if not entries:
        Console(stderr=True, highlight=False).print(
            "No model is deployed; deploy one with `atalaia models deploy BUNDLE`"
        )
        return
    console = Console(highlight=False)
    console.print(_table(entries))
    for entry in entries:
        if entry.problem is not None:
            console.print(f"[red]{escape(f'{entry.model} {entry.version}: {entry.problem}')}", soft_wrap=True)


def listing(settings: Settings) -> list[Listed]:
    """Every deployed version, models by age, the newest deployment of each model first.

    Raises
    ------
    StreamUnavailable
        where Kafka does not answer, or its topics have not been made.
    """
    records = deployment.read_models(settings.kafka)
    bundles = _read_bundles(settings.kafka)
    default = default_model(records.values())
    entries = []
    for record in sorted(records.values(), key=lambda record: (record.created_at, record.name)):
        for entry in _versions(record):
            bundle = bundles.get((record.name, entry.version))
            entries.append(
                Listed(
                    model=record.name,
                    version=entry.version,
                    role=entry.role,
                    current=entry is current_primary(record) or entry.role != "primary",
                    default=record.name == default,
                    digest=entry.digest,
                    since=entry.deployed_at,
                    positions=entry.positions,
                    location=None if bundle is None else bundle.location,
                    problem=_problem(bundle, entry),
                )
            )
    return entries


def read_key(bundle: Bundle) -> tuple[str, str]:
    """Model and version."""
    return bundle.name, bundle.version


def _versions(record: ModelRecord) -> list[Deployment]:
    """The newest deployment of each version, newest first."""
    names = dict.fromkeys(entry.version for entry in reversed(record.deployments))
    found = [deployed_version(record, version) for version in names]
    return [entry for entry in found if entry is not None]


def _read_bundles(kafka: KafkaSettings) -> dict[tuple[str, str], BundleRecord]:
    latest: dict[tuple[str, str], BundleRecord] = {}
    with LogReader(kafka, (BUNDLES,)) as reader:
        for message in reader.read_to_end():
            value = message.value()
            if value is not None:
                record = msgspec.json.decode(value, type=BundleRecord)
                latest[record.model, record.version] = record
    return latest


def _problem(bundle: BundleRecord | None, entry: Deployment) -> str | None:
    if bundle is None:
        return "no record says where its bundle lies; deploy it again"
    try:
        found = Bundle.read(bundle.location)
    except BundleError as error:
        return str(error)
    if found.digest != entry.digest:
        return f"the bundle at {bundle.location} has digest {found.digest}, deployed was {entry.digest}"
    return None


def _table(entries: list[Listed]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("model", "version", "role", "digest", "since", "from position", "bundle"):
        table.add_column(name, no_wrap=name in ("digest", "since"), overflow="fold")
    for entry in entries:
        role = entry.role if entry.current else f"former {entry.role}"
        table.add_row(
            escape(entry.model) + (" (default)" if entry.default and entry.current else ""),
            escape(entry.version),
            role,
            _short(entry.digest),
            entry.since.partition(".")[0].replace("T", " ") + "Z",
            " ".join(f"{partition}:{offset}" for partition, offset in sorted(entry.positions.items())),
            "[green]verified[/]" if entry.problem is None else "[red]refused[/]",
        )
    return table


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT_DIGEST]
