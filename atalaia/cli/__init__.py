"""The command ``atalaia``: each subcommand is a module here and one line below.

Modules of commands import what is heavy inside their functions, so that ``atalaia --help`` is quick.
"""

import sys
from typing import Annotated

import typer

from atalaia import __version__
from atalaia.cli import up
from atalaia.errors import AtalaiaError

app = typer.Typer(
    name="atalaia",
    help="Models served on Apache Kafka, and watched from the same stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up.up)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_tell_version),
    ] = False,
) -> None:
    """Models served on Apache Kafka, and watched from the same stream."""


def main() -> None:
    """Run the command line: exit code 0 done, 1 a failure in words, 2 wrong usage."""
    try:
        app()
    except AtalaiaError as error:
        typer.secho("error: ", fg=typer.colors.RED, err=True, nl=False)
        typer.echo(str(error), err=True)
        sys.exit(1)
