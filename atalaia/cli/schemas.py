"""``atalaia schemas``: JSON Schemas, the AsyncAPI document and examples, written or checked."""

from pathlib import Path
from typing import Annotated

import typer

from atalaia.schemas.files import stale, write


def schemas(
    out: Annotated[Path, typer.Option(help="Folder of the generated files.")] = Path("schemas"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where files are stale.")
    ] = False,
) -> None:
    """Write the schemas of everything on the topics, or check that those there are up to date."""
    if not check:
        for name in write(out):
            typer.echo(f"{out / name} brought up to date")
        return
    names = stale(out)
    for name in names:
        typer.echo(f"{out / name} is stale", err=True)
    if names:
        typer.echo(
            f"{len(names)} of the generated files are not what the code makes: run `atalaia schemas` "
            "and commit the result",
            err=True,
        )
        raise typer.Exit(1)
