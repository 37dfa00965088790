"""The command ``atalaia``: each subcommand is a module here and one line in `COMMANDS`."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from atalaia import __version__
from atalaia.errors import AtalaiaError

COMMANDS = {
    "demo": "See it at work on real Kafka: rows, a scorer killed, days of them watched, all of it audited.",
    "up": "Run Kafka, Redis and all services on this machine until Ctrl-C or SIGTERM.",
    "models": "Deploy, promote, roll back and retire versions, and list them.",
    "keys": "Add, list and revoke API keys of the gateway.",
    "monitors": "Show and change how a model is watched.",
    "labels": "Send what turned out to be true, from a CSV file.",
    "status": "One look at what runs: who answers, who lags behind, what alerts.",
    "replay": "Send a CSV file through Kafka in its own time, and print what the monitors found.",
    "audit": "Recount the log: every request has one outcome, every window its figures; say what differs.",
    "train": "Train a recipe and pack its model as a bundle.",
    "bundle": "Pack an ONNX model and a reference CSV as a bundle.",
    "bench": "Measure a part of it on this machine, beside peers and limits.",
    "schemas": "Write the schemas of everything on the topics, or check those there.",
}
"""Name and help; the module ``atalaia.cli.NAME`` has a function NAME, or a `typer.Typer` named ``app``."""


class CommandGroup(TyperGroup):
    """Imports the module of the command that is asked for, none to list them: ``atalaia --help`` is quick."""

    _listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands by their lines in `COMMANDS`."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command itself, except for a listing."""
        if self._listing or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"{__name__}.{cmd_name}")
        if isinstance(getattr(module, "app", None), typer.Typer):
            return get_group(module.app)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(getattr(module, cmd_name))
        return get_command(alone)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


app = typer.Typer(
    name="atalaia",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_tell_version),
    ] = False,
) -> None:
    """Models served on Apache Kafka, and watched from the same stream."""


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


def main() -> None:
    """Run the command line: exit code 0 done, 1 a failure in words, 2 wrong usage."""
    try:
        app()
    except AtalaiaError as error:
        typer.secho("error: ", fg=typer.colors.RED, err=True, nl=False)
        typer.echo(str(error), err=True)
        sys.exit(1)
