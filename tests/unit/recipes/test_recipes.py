"""Every recipe that is listed can be loaded and trained."""

import inspect

import pytest

import recipes


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_listed_recipe_trains(name: str) -> None:
    parameters = inspect.signature(recipes.load(name).train).parameters
    assert list(parameters) == ["out", "data_dir", "progress", "replace"]


def test_an_unlisted_recipe_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        recipes.load("beer")
