"""Recipes: from data to a bundle, one file each, listed here."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from atalaia.bundles.folder import Bundle

RECIPES = {
    "adult": "recipes.adult",
    "bmp": "recipes.bmp",
    "electricity": "recipes.electricity",
    "electricity-previous": "recipes.electricity_previous",
    "wine": "recipes.wine",
    "wine-regressor": "recipes.wine_regressor",
}
"""Name of a recipe and its module; imported when asked for, since training libraries are heavy."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps of it are done, and of how many."""


def unseen(_doing: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


class Recipe(Protocol):
    """What a recipe's module offers."""

    def train(
        self, out: Path, *, data_dir: Path | None = None, progress: Progress = unseen, replace: bool = False
    ) -> Bundle:
        """Make the bundle in ``out``, from data in ``data_dir`` where the recipe needs any."""


def load(name: str) -> Recipe:
    """The recipe of that name.

    Raises
    ------
    KeyError
        when there is none.
    """
    return cast("Recipe", importlib.import_module(RECIPES[name]))
