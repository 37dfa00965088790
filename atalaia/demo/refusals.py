"""One request of each kind that is refused, and what it is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson

from atalaia.demo.checks import Checks
from atalaia.demo.posting import Answer, Post, send_once
from atalaia.settings import GatewaySettings
from recipes.bmp_figures import ANALYTES

TYPICAL: Mapping[str, float] = dict(zip(ANALYTES, (139, 104, 4.0, 24, 14, 0.9, 9.4, 98), strict=True))
"""A panel as a healthy person has it; deltas may be left out, there was no panel before."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A request that must be refused."""

    what: str
    post: Post
    status: int
    code: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes written straight to `requests` that must become a dead letter."""

    what: str
    key: str
    value: bytes
    code: str


class Letter(Protocol):
    """What is read of a dead letter."""

    def key(self) -> bytes | None:
        """Key of the original message."""

    def value(self) -> bytes | None:
        """Its bytes."""

    def headers(self) -> Any:
        """Where it lay and why it is dead."""


class Shown(NamedTuple):
    """A line of the table: what was sent, what came back."""

    what: str
    got: str
    detail: str


def wrong_requests(gateway: GatewaySettings, model: str) -> list[Wrong]:
    """One of each kind."""
    predict, infer = "/predict", f"/v2/models/{model}/infer"
    narrow = {"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}
    too_many = orjson.dumps({"instances": [{}] * (gateway.max_rows + 1)})
    typical = orjson.dumps(TYPICAL)
    return [
        Wrong("not JSON", Post(predict, b"sodium=139"), 400, "not_readable"),
        Wrong("an empty body", Post(predict, b""), 400, "not_readable"),
        Wrong("a CSV file", Post(predict, b"sodium=139", headers=_type("text/csv")), 415, _MEDIA),
        Wrong("an unknown model", Post("/models/oracle/predict", typical), 404, "unknown_model"),
        Wrong(
            "an unknown version", Post(f"/v2/models/{model}/versions/9/infer", _oip()), 404, "unknown_model"
        ),
        Wrong("an unknown path", Post("/fortune", b"", method="GET"), 404, "not_found"),
        Wrong("GET where POST is due", Post(predict, b"", method="GET"), 405, "method_not_allowed"),
        Wrong("a body too large", Post(predict, b" " * (gateway.max_body_bytes + 1)), 413, "too_large"),
        Wrong("too many rows", Post(predict, too_many), 413, "too_large"),
        Wrong("a feature missing", Post(predict, _typical(without="calcium")), 422, _INPUT),
        Wrong("an unknown feature", Post(predict, _typical(lactate=1.2)), 422, _INPUT),
        Wrong("a string for a number", Post(predict, _typical(sodium="high")), 422, _INPUT),
        Wrong("infinity", Post(predict, typical.replace(b"139", b"1e999")), 422, _INPUT),
        Wrong("an unknown category", Post(predict, _typical(sex="X")), 422, _INPUT),
        Wrong("a tensor too narrow", Post(infer, orjson.dumps({"inputs": [narrow]})), 422, _INPUT),
        Wrong("a row far out", Post(predict, _typical(sodium=1390)), 422, "out_of_distribution"),
    ]


def garbage(run: str) -> list[Garbage]:
    """Bytes that no gateway would let through."""
    return [
        Garbage("not JSON", f"{run}-garbage-1", b"\x00\xffgarbage", "not_readable"),
        Garbage("an empty value", f"{run}-garbage-2", b"", "not_readable"),
        Garbage("JSON, no request", f"{run}-garbage-3", b'{"inputs": 7}', "invalid_input"),
        Garbage("not JSON, no key", "", b"<xml/>", "not_readable"),
    ]


def send_wrong(url: str, requests: Iterable[Wrong], checks: Checks) -> tuple[list[Shown], list[Answer]]:
    """Send each; what it was told, and the answers."""
    lines, answers = [], []
    for wrong in requests:
        answer = send_once(url, wrong.post)
        problem = _problem(answer)
        found = f"{answer.status} {problem.get('code', '')}".rstrip()
        held = (answer.status, problem.get("code")) == (wrong.status, wrong.code) and "detail" in problem
        checks.expect(f"{wrong.what}: {wrong.status} {wrong.code}", held, found)
        detail = str(problem.get("detail", answer.body[:200]))
        lines.append(Shown(wrong.what, found, detail))
        answers.append(answer)
    return lines, answers


def judge_garbage(sent: Iterable[Garbage], dead_letters: Iterable[Letter], checks: Checks) -> list[Shown]:
    """Find the dead letter of each; its original bytes and the reason must be there."""
    buried: dict[tuple[str, bytes], dict[str, str]] = {}
    for letter in dead_letters:
        key = (letter.key() or b"").decode("utf-8", "replace")
        headers = {name: _text(value) for name, value in dict(letter.headers() or []).items()}
        buried[key, letter.value() or b""] = headers
    lines = []
    for one in sent:
        headers = buried.get((one.key, one.value), {})
        reason = headers.get("reason", "no dead letter")
        checks.expect(f"{one.what}: dead letter {one.code}", reason == one.code, reason)
        lines.append(Shown(f"{one.what}, to Kafka", f"dead letter {reason}", headers.get("detail", "")))
    return lines


_INPUT, _MEDIA = "invalid_input", "unsupported_media_type"


def describe(answer: Answer) -> str:
    """Status and reason, for whoever expected something else."""
    if answer.status < 400 and answer.status:
        return str(answer.status)
    problem = _problem(answer)
    why = problem.get("detail") or answer.body[:200].decode("utf-8", "replace")
    return f"{answer.status} {problem.get('code', '')}: {str(why)[:200]}"


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _typical(*, without: str = "", **changed: object) -> bytes:
    values: dict[str, object] = {**TYPICAL, **changed}
    values.pop(without, None)
    return orjson.dumps(values)


def _oip() -> bytes:
    data = [*TYPICAL.values(), *[None] * len(TYPICAL)]
    tensor = {"name": "input", "shape": [1, len(data)], "datatype": "FP64", "data": data}
    return orjson.dumps({"inputs": [tensor]})


def _type(content_type: str) -> dict[str, str]:
    return {"content-type": content_type}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
