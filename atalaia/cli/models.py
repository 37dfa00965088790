"""``atalaia models``: which versions take part in requests, and how; needs nothing but Kafka's settings."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atalaia.bundles.folder import Bundle
from atalaia.deployments import current_plan, default_model
from atalaia.errors import BundleError
from atalaia.records import BundleRecord, Deployment, ModelRecord
from atalaia.settings import Settings, load
from atalaia.stream import deploy as deployment
from atalaia.stream.admin import create_topics
from atalaia.stream.deployed import read_bundle_records, read_models

app = typer.Typer(
    name="models",
    help="Deploy, promote, roll back and retire versions, and list them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class TakenRole(StrEnum):
    """How a version is deployed."""

    primary = "primary"
    canary = "canary"
    shadow = "shadow"


_TAKES = {
    TakenRole.primary: "answers",
    TakenRole.canary: "answers its share",
    TakenRole.shadow: "is scored and answers nobody",
}
_SHORT_DIGEST = 12
_Model = Annotated[str, typer.Argument(help="Name of the model.")]
_Version = Annotated[str, typer.Argument(help="Its version.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")]


class Listed(NamedTuple):
    """A deployed version; ``problem`` says why its bundle cannot be served, None where it verifies."""

    model: str
    version: str
    role: str
    weight: float | None
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
    role: Annotated[
        TakenRole, typer.Option(help="primary answers; canary answers a share; shadow only listens.")
    ] = TakenRole.primary,
    weight: Annotated[
        float | None,
        typer.Option(min=0, max=100, metavar="PCT", help="Of a canary: its percentage of requests."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Make a bundle's version take part in requests, from a stated position of each partition on."""
    if (role is TakenRole.canary) != (weight is not None):
        raise typer.BadParameter(
            "a canary needs its share of requests, and no other role has one: --role canary --weight 5",
            param_hint="--weight",
        )
    settings = load()
    create_topics(settings.kafka)
    read = Bundle.read(bundle)
    before = read_models(settings.kafka).get(read.name)
    record = deployment.deploy(bundle, settings=settings, role=role.value, weight=weight)
    changed = record != before
    if changed:
        text = f"{read.name} {read.version} {_TAKES[role]} from now on, digest {_short(read.digest)}"
    else:
        text = f"{read.name} {read.version} is deployed already with this very digest; nothing was changed"
    _say(text)
    listed = next(entry for entry in listing(settings) if (entry.model, entry.version) == read_key(read))
    typer.echo(orjson.dumps({**listed.answer(), "changed": changed}).decode() if as_json else listed.location)


@app.command("promote")
def promote(name: _Model, version: _Version, *, as_json: _Json = False) -> None:
    """Make a deployed version the primary: a canary or shadow that has shown itself, or an earlier one."""
    _change(name, lambda settings: deployment.promote(name, version, kafka=settings.kafka), as_json=as_json)


@app.command("rollback")
def rollback(name: _Model, *, as_json: _Json = False) -> None:
    """Make the version that answered before the present primary answer again."""
    _change(name, lambda settings: deployment.rollback(name, kafka=settings.kafka), as_json=as_json)


@app.command("retire")
def retire(name: _Model, version: _Version, *, as_json: _Json = False) -> None:
    """Take a version out; without its primary a model answers nobody."""
    _change(name, lambda settings: deployment.retire(name, version, kafka=settings.kafka), as_json=as_json)


def _change(name: str, make: Callable[[Settings], ModelRecord], *, as_json: bool) -> None:
    settings = load()
    before = read_models(settings.kafka).get(name)
    record = make(settings)
    plan = current_plan(record.deployments)
    changed = record != before
    taking = ", ".join(f"{entry.version} ({entry.role})" for entry in plan.versions) or "nobody"
    _say(f"{name} is answered by {taking}" + ("" if changed else "; nothing was changed"))
    if as_json:
        answer = {
            "model": name,
            "primary": plan.primary and plan.primary.version,
            "canary": plan.canary and {"version": plan.canary.version, "weight": plan.canary.weight},
            "shadows": [entry.version for entry in plan.shadows],
            "changed": changed,
        }
        typer.echo(orjson.dumps(answer).decode())


def _say(text: str) -> None:
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)


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
    records = read_models(settings.kafka)
    bundles = read_bundle_records(settings.kafka)
    default = default_model(records.values())
    entries = []
    for record in sorted(records.values(), key=lambda record: (record.created_at, record.name)):
        taking_part = current_plan(record.deployments).versions
        for entry in _versions(record):
            bundle = bundles.get((record.name, entry.version))
            entries.append(
                Listed(
                    model=record.name,
                    version=entry.version,
                    role=entry.role,
                    weight=entry.weight,
                    current=entry in taking_part,
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
    newest: dict[str, Deployment] = {}
    for entry in reversed(record.deployments):
        newest.setdefault(entry.version, entry)
    return list(newest.values())


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
        role = entry.role if entry.current or entry.role == "retired" else f"former {entry.role}"
        if entry.weight is not None:
            role += f" {entry.weight:g} %"
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
