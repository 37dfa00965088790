"""``atalaia train``: a recipe's bundle, from data or from figures."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import recipes
from atalaia.bundles.folder import Bundle
from atalaia.cli.bundle_summary import answer, describe
from atalaia.errors import BundleError
from atalaia.settings import load


def train(
    recipe: Annotated[str, typer.Argument(help=f"One of {', '.join(recipes.RECIPES)}.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; made when it does not exist.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the data; else ATALAIA_DATA_DIR.", file_okay=False)
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another bundle in that folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Train RECIPE and pack its model as a bundle."""
    console = Console(stderr=True)
    try:
        chosen = recipes.load(recipe)
    except KeyError:
        known = ", ".join(recipes.RECIPES)
        raise typer.BadParameter(f"no recipe {recipe!r}; there are {known}", param_hint="RECIPE") from None
    except ModuleNotFoundError as error:
        console.print(f"[red]{error.name} is not installed; pip install 'atalaia\\[train]'")
        raise typer.Exit(1) from error
    if data_dir is None:
        data_dir = load().data_dir
    try:
        bundle = _train(chosen, out, data_dir, replace=replace, console=console)
    except BundleError as error:
        console.print(f"[red]{error}", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from error
    console.print(describe(bundle))
    typer.echo(orjson.dumps(answer(bundle)).decode() if as_json else str(bundle.folder))


def _train(
    chosen: recipes.Recipe, out: Path, data_dir: Path | None, *, replace: bool, console: Console
) -> Bundle:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def progress(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bars.add_task(doing, total=total)
            bars.update(tasks[doing], completed=done)

        return chosen.train(out, data_dir=data_dir, progress=progress, replace=replace)
