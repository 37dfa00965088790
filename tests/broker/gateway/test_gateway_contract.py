"""The running gateway against its own OpenAPI document, with input made to break it: never a 500."""

import contextlib
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.gateway.openapi.document import document

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

NAMES = {"model": ["panel", "loan", "nobody"], "version": ["1", "7", "0"]}
"""Names that are deployed beside one that is not, so that bodies are read as well as paths."""

CHECKS: Any = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


OPERATIONS = [(method, path) for path, operations in document()["paths"].items() for method in operations]


@pytest.fixture(scope="module")
def schema(served: str) -> Any:
    described = httpx.get(f"{served}/openapi.json").json()
    for name, values in NAMES.items():
        described["components"]["parameters"][name]["schema"] = {"type": "string", "enum": values}
    # What is unloaded answers no other test.
    unload = described["paths"]["/v2/repository/models/{model}/unload"]["post"]
    nobody = {"type": "string", "enum": ["nobody"]}
    unload["parameters"] = [{"name": "model", "in": "path", "required": True, "schema": nobody}]
    loaded = schemathesis.openapi.from_dict(described)
    loaded.config.update(base_url=served)
    return loaded


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfit"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{m} {p}" for m, p in OPERATIONS])
def test_every_answer_is_one_the_document_names(
    schema: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=50 if method == "post" else 5,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with a GET that takes nothing
        check()


def test_the_document_is_openapi(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for component in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(component)
