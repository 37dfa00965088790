"""Requests to try by hand: printed as curl lines, and sent once by the demo so that they cannot rot."""

import shlex
from dataclasses import dataclass
from typing import Any

import orjson

from atalaia.demo.posting import Post
from atalaia.demo.refusals import TYPICAL
from recipes.bmp_figures import ANALYTES

PAGES = "/docs"
"""For a browser."""

_SALINE: dict[str, float] = dict(zip(ANALYTES, (144, 121, 2.7, 16, 9, 0.6, 6.3, 66), strict=True))
_CONTENT = "content-type: application/json"


@dataclass(frozen=True, slots=True)
class Try:
    """A request, what it shows, and the status it must get; ``lines`` is its body, made for reading."""

    shows: str
    path: str
    status: int = 200
    lines: tuple[str, ...] = ()

    @property
    def post(self) -> Post:
        """The request as the demo sends it."""
        if not self.lines:
            return Post(self.path, b"", method="GET", headers={})
        return Post(self.path, "\n".join(self.lines).encode())

    def curl(self, url: str) -> str:
        """The same for a shell.

        >>> Try("models", "/v1/models").curl("http://127.0.0.1:8080")
        'curl -s http://127.0.0.1:8080/v1/models'
        """
        command = f"curl -s {shlex.quote(url + self.path)}"
        if not self.lines:
            return command
        body = shlex.quote("\n".join(self.lines))
        return f"{command} -H '{_CONTENT}' \\\n  -d {body}"


def tries(model: str) -> list[Try]:
    """A few of each kind, short enough to read."""
    infer = f"/v2/models/{model}/infer"
    return [
        Try("what the model takes, with an example", "/schema"),
        Try("a panel as plain JSON", "/predict", lines=_panel()),
        Try(
            "the same blood with a third of saline in it",
            "/predict",
            lines=_panel(**_SALINE),
        ),
        Try("a row far out: refused, with distance and reasons", "/predict", 422, _panel(sodium=1390)),
        Try("as the Open Inference Protocol has it", infer, lines=_tensor()),
        Try("metrics for Prometheus", "/metrics"),
    ]


def watching_tries(model: str) -> list[Try]:
    """What the monitors say, for whoever asks."""
    monitors = f"/v2/models/{model}/monitors"
    return [
        Try("drift of the last window", f"{monitors}/drift?window=latest"),
        Try("fairness of the last window", f"{monitors}/fairness?window=latest"),
        Try("alerts", "/alerts"),
    ]


def _panel(**changed: float) -> tuple[str, ...]:
    text = orjson.dumps(_short({**TYPICAL, **changed})).decode()
    return _folded(text)


def _tensor() -> tuple[str, ...]:
    data = [*_short(dict(TYPICAL)).values(), *[None] * len(TYPICAL)]
    head = f'{{"inputs": [{{"name": "input", "shape": [1, {len(data)}], "datatype": "FP64",'
    return (head, f'        "data": {orjson.dumps(data).decode()}}}]}}')


def _short(values: dict[str, float]) -> dict[str, Any]:
    return {name: int(value) if float(value).is_integer() else value for name, value in values.items()}


def _folded(text: str) -> tuple[str, ...]:
    """An object on two lines, cut at the comma nearest its middle."""
    commas = [place for place, character in enumerate(text) if character == ","]
    middle = min(commas, key=lambda place: abs(place - len(text) // 2))
    return (text[: middle + 1], f"      {text[middle + 1 :]}")
