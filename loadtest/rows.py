"""The requests of a load test, made from what a model says of itself. Pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MISSING_SHARE = 0.2
"""Requests with a field left out, of all: the thesis' experiment."""


@dataclass(frozen=True)
class Asked:
    """One request: what is sent, and the only status that is right for it."""

    kind: str
    body: dict[str, Any]
    expected: int


class Requests:
    """Draws requests: the model's own example, now and then without a field that it needs.

    Parameters
    ----------
    schema : the answer of ``GET /schema``
    seed : the same seed draws the same requests
    missing_share : how many of them lack a field

    Raises
    ------
    ValueError
        where the model needs no field at all: nothing could be left out.

    >>> schema = {"model": "m", "example": {"a": 1, "b": 2},
    ...           "features": [{"name": "a", "missing": True}, {"name": "b", "missing": False}]}
    >>> Requests(schema, seed=0, missing_share=1.0).draw()
    Asked(kind='missing', body={'a': 1}, expected=422)
    """

    def __init__(self, schema: Mapping[str, Any], *, seed: int, missing_share: float = MISSING_SHARE) -> None:
        self._example: dict[str, Any] = dict(schema["example"])
        self._needed = [
            feature["name"]
            for feature in schema["features"]
            if not feature["missing"] and feature["name"] in self._example
        ]
        if not self._needed:
            raise ValueError(
                f"model {schema['model']!r} takes rows without any of its fields, so none can be refused; "
                "load a model that needs one"
            )
        self._random = random.Random(seed)
        self._missing_share = missing_share

    def draw(self) -> Asked:
        """The next one."""
        if self._random.random() >= self._missing_share:
            return Asked("valid", self._example, 200)
        left_out = self._random.choice(self._needed)
        body = {name: value for name, value in self._example.items() if name != left_out}
        return Asked("missing", body, 422)
