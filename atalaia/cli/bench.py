"""``atalaia bench``: figures measured on this machine, beside peers and limits."""

import os
import sys
from typing import Annotated

import typer


def bench(
    name: Annotated[
        str, typer.Argument(help="Which; one that is unknown is answered with all there are.", metavar="NAME")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
) -> None:
    """Measure NAME on ports of its own, in at most eight minutes."""
    # In this process's place: a signal sent to it reaches what started the servers, and ends them.
    os.execv(sys.executable, [sys.executable, "-m", "bench", name, *(["--json"] if as_json else [])])  # noqa: S606
