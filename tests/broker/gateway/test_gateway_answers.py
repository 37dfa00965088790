"""What good input gets, in every protocol."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.broker

ROW = {"sodium": 0.25, "potassium": -0.5}
TENSOR = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.25, -0.5]}


def outputs(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


def test_one_row_gets_the_same_answer_in_every_protocol(client: httpx.Client) -> None:
    protocol = outputs(client.post("/v2/models/panel/infer", json={"inputs": [TENSOR]}))
    pinned = outputs(client.post("/v2/models/panel/versions/1/infer", json={"inputs": [TENSOR]}))
    by_column = outputs(
        client.post(
            "/v2/models/panel/infer",
            json={
                "inputs": [
                    {"name": name, "shape": [1, 1], "datatype": "FP32", "data": [[value]]}
                    for name, value in ROW.items()
                ]
            },
        )
    )
    plain = client.post("/predict", json=ROW).json()
    named = client.post("/models/panel/predict", json=ROW).json()
    instances = client.post("/models/panel/predict", json={"instances": [ROW, [0.25, -0.5]]}).json()
    v1 = client.post("/v1/models/panel:predict", json={"instances": [[0.25, -0.5]]}).json()
    assert protocol == pinned == by_column
    expected = {
        "label": protocol["label"][0],
        "score": protocol["score"][0],
        "probabilities": protocol["probabilities"],
        "applicability": protocol["applicability"][0],
        "abstained": False,
    }
    assert instances["predictions"] == [expected, expected]
    assert v1["predictions"] == [expected]
    for answer in (plain, named):
        assert answer == expected | {"id": answer["id"], "model": "panel", "version": "1"}
    assert plain["id"] != named["id"]


def test_the_clients_own_id_comes_back(client: httpx.Client) -> None:
    headers = {"X-Request-Id": "mine"}
    body = {"inputs": [TENSOR]}
    assert client.post("/predict", json=ROW, headers=headers).json()["id"] == "mine"
    assert client.post("/v2/models/panel/infer", json=body, headers=headers).json()["id"] == "mine"
    both = client.post("/v2/models/panel/infer", json={"id": "body's", **body}, headers=headers)
    assert both.json()["id"] == "body's"
    without = client.post("/v2/models/panel/infer", json={"id": None, **body}, headers=headers)
    assert without.json()["id"] == "mine"


def test_context_columns_and_event_time_travel_and_change_nothing(client: httpx.Client) -> None:
    context = {"sex": "F", "age": 41, "event_time": "2026-01-31T12:00:00Z"}
    with_context = client.post("/predict", json=ROW | context)
    assert with_context.status_code == 200, with_context.text
    assert with_context.json()["score"] == client.post("/predict", json=ROW).json()["score"]


def test_strings_whole_numbers_and_missing_values_are_answered(client: httpx.Client) -> None:
    rows = [
        {"income": 1.5, "children": 2, "colour": "red"},
        {"income": None, "children": 1, "colour": "green"},
    ]
    answer = client.post("/models/loan/predict", json={"instances": rows}).json()
    assert [row["value"] for row in answer["predictions"]] == [4.5, 3.0]
    assert "label" not in answer["predictions"][0]


def test_only_the_outputs_asked_for_are_returned(client: httpx.Client) -> None:
    body = {"inputs": [TENSOR], "outputs": [{"name": "score"}, {"name": "label"}]}
    response = client.post("/v2/models/panel/infer", json=body)
    assert [output["name"] for output in response.json()["outputs"]] == ["score", "label"]


def test_rows_out_of_distribution_among_others_are_marked_and_the_rest_is_answered(
    client: httpx.Client,
) -> None:
    answer = client.post("/predict", json={"instances": [ROW, [500.0, 0.0]]}).json()
    assert [row["abstained"] for row in answer["predictions"]] == [False, True]


def test_models_say_what_they_take(client: httpx.Client) -> None:
    schema = client.get("/models/loan/schema").json()
    assert [feature["name"] for feature in schema["features"]] == ["income", "children", "colour"]
    assert schema["features"][0]["missing"] is True
    assert schema["features"][2]["categories"] == ["red", "green"]
    assert client.post("/models/loan/predict", json=schema["example"]).status_code == 200
    assert client.get("/schema").json()["classes"] == [3, 4, 5]
    metadata = client.get("/v2/models/panel").json()
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("panel", ["1"], "onnx_onnxv1")
    answered = client.post("/v2/models/panel/infer", json={"inputs": [TENSOR]}).json()["outputs"]
    described = {output["name"]: output["datatype"] for output in metadata["outputs"]}
    assert described == {output["name"]: output["datatype"] for output in answered}
    assert client.get("/v2/models/panel/ready").json() == {"name": "panel", "ready": True}
    assert client.get("/v1/models").json() == {"models": ["loan", "panel"]}


def test_the_documented_examples_are_answered(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        body = (
            operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        )
        for name, example in body.get("examples", {}).items():
            model = name.partition("-")[0]
            version = {"panel": "1", "loan": "7"}.get(model)
            if version is None:
                continue  # of an alert, which would have to be there
            done = next(status for status in operations["post"]["responses"] if status.startswith("2"))
            url = path.replace("{model}", model).replace("{version}", version)
            response = client.post(url, json=example["value"])
            assert response.status_code == int(done), (url, response.text)
            tried += 1
    assert tried >= 2 + 4 + 2 * 2 + 2


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_pages_need_nothing_from_elsewhere(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "//" not in page.text.replace("http://www.w3.org", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png"):
        assert client.get(f"/assets/{asset}").status_code == 200
