"""The OpenAPI document, the request log and the endpoint of services without HTTP."""

import contextlib
import io
import json
import logging
from http.client import HTTPConnection
from pathlib import Path

import orjson
import pytest

from atalaia.bundles.manifest import Manifest
from atalaia.errors import PortTaken
from atalaia.inference.columns import parse_time
from atalaia.telemetry import endpoint
from atalaia.telemetry.logs import Seldom
from services.gateway.openapi.document import document
from services.gateway.requestlog import RequestLog
from services.gateway.truth.acceptance import accept
from services.gateway.watching.notes import SilenceNote, make_silence, read_note
from tests.unit.gateway.gateway_bundles import LOAN, PANEL, served

COMMITTED = Path(__file__).parents[3] / "schemas" / "openapi.json"


def test_the_committed_document_is_up_to_date() -> None:
    assert json.loads(COMMITTED.read_bytes()) == json.loads(orjson.dumps(document())), (
        "run `python -m services.gateway.openapi` and commit the result"
    )


def test_every_deployed_model_has_an_example_in_every_protocol() -> None:
    described = document([served(PANEL), served(LOAN)])
    with_examples = {
        path: set(operations["post"]["requestBody"]["content"]["application/json"].get("examples", ()))
        for path, operations in described["paths"].items()
        if "post" in operations
    }
    assert with_examples["/predict"] == {"panel", "panel-rows"}
    assert with_examples["/models/{model}/predict"] == {"panel", "panel-rows", "loan", "loan-rows"}
    assert with_examples["/v2/models/{model}/infer"] == {"panel", "loan"}
    assert with_examples["/v1/models/{model}:predict"] == {"panel", "loan"}
    assert with_examples["/labels"] == {"panel"}
    assert with_examples["/models/{model}/labels"] == {"panel", "loan"}


@pytest.mark.parametrize("manifest", [PANEL, LOAN], ids=["panel", "loan"])
def test_examples_of_labels_are_taken_by_their_model(manifest: Manifest) -> None:
    described = document([served(manifest)])["paths"]["/labels"]["post"]
    example = described["requestBody"]["content"]["application/json"]["examples"][manifest.name]["value"]
    now_ms = parse_time("2026-02-01T00:00:00Z")
    assert len(accept(orjson.dumps(example), manifest, now_ms=now_ms, max_labels=10)) == 2


def test_the_example_of_a_silence_is_one() -> None:
    described = document()["paths"]["/silences"]["post"]["requestBody"]["content"]["application/json"]
    for example in described["examples"].values():
        note = read_note(orjson.dumps(example["value"]), SilenceNote)
        assert make_silence(note, identity="s", now_ms=0).by


def test_operations_have_names_of_their_own_and_references_lead_somewhere() -> None:
    described = document()
    names = [
        operation["operationId"]
        for operations in described["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))
    for reference in _references(described):
        place = described
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _references(inner)]
    return []


def test_log_lines_wait_for_a_flush_and_hold_no_nan() -> None:
    stream = io.BytesIO()
    log = RequestLog(stream)
    log.write({"route": "/predict", "score": float("nan")})
    assert stream.getvalue() == b""
    log.flush()
    line = json.loads(stream.getvalue())
    assert (line["route"], line["score"]) == ("/predict", None)
    assert line["ts"].endswith("+00:00")
    for _ in range(500):
        log.write({"route": "/"})
    assert len(stream.getvalue().splitlines()) == 501


def get(port: int, path: str) -> tuple[int, bytes]:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def test_the_endpoint_shows_health_and_metrics() -> None:
    state = [False]
    with contextlib.closing(endpoint.serve("127.0.0.1", 0, lambda: state[0])) as shown:
        assert get(shown.port, "/readyz") == (503, b'{"ready":false}')
        state[0] = True
        assert get(shown.port, "/readyz?x") == (200, b'{"ready":true}')
        assert get(shown.port, "/healthz") == (200, b'{"live":true}')
        assert get(shown.port, "/nowhere")[0] == 404
        status, page = get(shown.port, "/metrics")
        assert (status, page[:6]) == (200, b"# HELP")
        with pytest.raises(PortTaken, match="METRICS_PORT"):
            endpoint.serve("127.0.0.1", shown.port, lambda: True)


def test_a_line_said_again_and_again_is_let_through_seldom() -> None:
    seldom = Seldom()
    record = logging.LogRecord("librdkafka", logging.ERROR, "", 0, "Connect failed", None, None)
    said = []
    for second in range(25):
        record.created = float(second)
        said.append(seldom.filter(record))
    assert [second for second, let in enumerate(said) if let] == [0, 10, 20]
