"""``atalaia bundle``: anybody's ONNX file, with a reference, as a bundle."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from atalaia.cli.bundle_summary import answer, describe
from atalaia.errors import BundleError


def bundle(
    *,
    onnx: Annotated[Path, typer.Option(help="The model.", exists=True, dir_okay=False)],
    reference: Annotated[
        Path, typer.Option(help="CSV of held-out rows, with a header.", exists=True, dir_okay=False)
    ],
    target: Annotated[str, typer.Option(help="Column of the CSV that holds the truth.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    version: Annotated[str, typer.Option(help="Version of the model.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; made when it does not exist.")],
    context: Annotated[
        str, typer.Option(help="Columns the model does not see, protected attributes say: A,B")
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML with fields of bundle.toml, [features.NAME] and [context.NAME].",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    reference_is_training: Annotated[
        bool, typer.Option("--reference-is-training", help="The model was trained on the reference.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another bundle in that folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Pack an ONNX model and a reference CSV as a bundle."""
    console = Console(stderr=True)
    try:
        from atalaia.bundles.assemble import assemble_bundle  # noqa: PLC0415 - needs the extra
        from atalaia.bundles.source import Source  # noqa: PLC0415
    except ModuleNotFoundError as error:
        console.print(f"[red]{error.name} is not installed; pip install 'atalaia\\[bundle]'")
        raise typer.Exit(1) from error
    source = Source(
        onnx=onnx,
        reference=reference,
        target=target,
        name=name,
        version=version,
        context=tuple(column.strip() for column in context.split(",") if column.strip()),
        config=config,
        reference_is_training=reference_is_training,
    )
    try:
        with console.status("reading, scoring and testing"):
            made = assemble_bundle(source, out, replace=replace)
    except BundleError as error:
        console.print(f"[red]{error}", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from error
    console.print(describe(made))
    typer.echo(orjson.dumps(answer(made)).decode() if as_json else str(made.folder))
