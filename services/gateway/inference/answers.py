"""From the reply of a scorer to what the caller gets. Pure."""

from typing import Any, NamedTuple

import orjson

from atalaia.errors import Refusal
from services.gateway.problems import Reported

_BY_ROW = ("label", "value", "score", "applicability", "abstained")


class Answer(NamedTuple):
    """A reply, read: the data of its outputs by name, row-major."""

    id: str
    model: str
    version: str
    outputs: dict[str, list[Any]]
    body: dict[str, Any]

    @property
    def abstained(self) -> list[bool]:
        """Which rows the model does not answer."""
        return self.outputs["abstained"]


def read_answer(reply: bytes) -> Answer:
    """The answer a scorer gave.

    Raises
    ------
    Refusal
        where the reply is an error.
    """
    body: dict[str, Any] = orjson.loads(reply)
    if body.get("error"):
        raise _reported(body)
    outputs = {output["name"]: output["data"] for output in body["outputs"]}
    return Answer(body["id"], body["model_name"], body["model_version"], outputs, body)


def select_outputs(answer: Answer, names: list[str]) -> bytes:
    """The response with only the named tensors, in the order they were asked for."""
    return orjson.dumps(selection(answer, names))


def selection(answer: Answer, names: list[str]) -> dict[str, Any]:
    """As `select_outputs`, not yet JSON."""
    tensors = {output["name"]: output for output in answer.body["outputs"]}
    return {**answer.body, "outputs": [tensors[name] for name in names]}


def plain_row(answer: Answer) -> bytes:
    """The one row of an answer as plain JSON."""
    head = {"id": answer.id, "model": answer.model, "version": answer.version}
    return orjson.dumps({**head, **_rows(answer)[0]})


def plain_rows(answer: Answer) -> bytes:
    """All rows of an answer as plain JSON, in the order they were asked."""
    head = {"id": answer.id, "model": answer.model, "version": answer.version}
    return orjson.dumps({**head, "predictions": _rows(answer)})


def _rows(answer: Answer) -> list[dict[str, Any]]:
    names = [name for name in _BY_ROW if name in answer.outputs]
    columns = [answer.outputs[name] for name in names]
    if "probabilities" in answer.outputs:
        flat = answer.outputs["probabilities"]
        classes = len(flat) // len(answer.abstained)
        names.insert(2, "probabilities")
        columns.insert(2, [flat[start : start + classes] for start in range(0, len(flat), classes)])
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _reported(body: dict[str, Any]) -> Refusal:
    parameters = body.get("parameters") or {}
    status, code = parameters.get("status"), parameters.get("code")
    known = isinstance(status, int) and 400 <= status <= 599
    return Reported(
        str(body["error"]),
        status=status if isinstance(status, int) and known else 500,
        code=code if isinstance(code, str) else "scoring_failed",
    )
