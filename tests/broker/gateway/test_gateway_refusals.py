"""What bad input gets: the table of the design, row by row."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.broker.gateway.conftest import MAX_BODY_BYTES, MAX_ROWS

pytestmark = pytest.mark.broker

ROW: dict[str, Any] = {"sodium": 0.25, "potassium": -0.5}
LOAN: dict[str, Any] = {"income": 1.0, "children": 1, "colour": "red"}
INFER = "/v2/models/panel/infer"
JSON = {"content-type": "application/json"}


def tensor(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.25, -0.5]} | changes]}


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["error"] == document["detail"] != ""
    assert document["request_id"]
    assert document["instance"] == response.request.url.path
    assert {"type", "title"} <= document.keys()
    return document


def ends(servers: str) -> dict[int, int]:
    client = Consumer({"bootstrap.servers": servers, "group.id": "none"})
    try:
        return {
            partition: client.get_watermark_offsets(TopicPartition("served.requests", partition), timeout=10)[
                1
            ]
            for partition in range(4)
        }
    finally:
        client.close()


@pytest.fixture
def unpublished(kafka: str, served: str) -> Iterator[None]:
    """Nothing reaches `requests` within the test."""
    del served
    before = ends(kafka)
    yield
    assert ends(kafka) == before


@pytest.mark.usefixtures("unpublished")
class TestRefusedBeforeAnythingIsPublished:
    @pytest.mark.parametrize("path", ["/predict", INFER, "/v1/models/panel:predict"])
    @pytest.mark.parametrize("body", [b"", b"   ", b"{", b"nonsense", b"\xff\xfe", b'{"a": 1} x'])
    def test_a_body_that_is_not_json(self, client: httpx.Client, path: str, body: bytes) -> None:
        problem(client.post(path, content=body, headers=JSON), 400, "not_readable")

    @pytest.mark.parametrize("path", ["/predict", INFER])
    @pytest.mark.parametrize("body", [b"[1, 2]", b"3", b"null", b'"text"'])
    def test_json_that_is_no_object(self, client: httpx.Client, path: str, body: bytes) -> None:
        problem(client.post(path, content=body, headers=JSON), 400, "not_readable")

    @pytest.mark.parametrize(
        "headers",
        [
            {"content-type": "text/plain"},
            {"content-type": "application/x-www-form-urlencoded"},
            {"content-type": "application/json; charset=utf-16"},
            {"content-type": "application/octet-stream", "inference-header-content-length": "10"},
            {"content-type": "application/json", "content-encoding": "gzip"},
        ],
    )
    def test_another_content_type(self, client: httpx.Client, headers: dict[str, str]) -> None:
        refused = client.post("/predict", content=b"{}", headers=headers)
        problem(refused, 415, "unsupported_media_type")

    @pytest.mark.parametrize(
        ("row", "fields"),
        [
            ({"sodium": 1.0}, {"potassium"}),
            (ROW | {"nonsense": 1}, {"nonsense"}),
            ({"sodium": "high", "nonsense": 1, "sex": "X"}, {"sodium", "potassium", "nonsense", "sex"}),
            ({"sodium": "high", "potassium": [1]}, {"sodium", "potassium"}),
            (ROW | {"sodium": True}, {"sodium"}),
            (ROW | {"sodium": None}, {"sodium"}),
            (ROW | {"sodium": 1e39}, {"sodium"}),
            (ROW | {"sex": "X"}, {"sex"}),
            (ROW | {"event_time": "yesterday"}, {"event_time"}),
        ],
    )
    def test_a_row_that_does_not_fit(
        self, client: httpx.Client, row: dict[str, Any], fields: set[str]
    ) -> None:
        errors = problem(client.post("/predict", json=row), 422, "invalid_input")["errors"]
        assert {error["field"] for error in errors} == fields
        assert all(error["expected"] and error["problem"] for error in errors)

    @pytest.mark.parametrize(
        ("row", "field"), [(LOAN | {"colour": "blue"}, "colour"), (LOAN | {"children": 1.5}, "children")]
    )
    def test_an_unknown_category_and_half_a_child(
        self, client: httpx.Client, row: dict[str, Any], field: str
    ) -> None:
        errors = problem(client.post("/models/loan/predict", json=row), 422, "invalid_input")["errors"]
        assert [error["field"] for error in errors] == [field]

    def test_the_row_at_fault_is_named(self, client: httpx.Client) -> None:
        body = {"instances": [ROW, ROW | {"sodium": "x"}]}
        [error] = problem(client.post("/predict", json=body), 422, "invalid_input")["errors"]
        assert (error["field"], error["row"]) == ("sodium", 1)

    @pytest.mark.parametrize(
        "body",
        [
            tensor(shape=[1, 3]),
            tensor(shape=[2, 2]),
            tensor(shape=[1]),
            tensor(shape=[0, 2], data=[]),
            tensor(data=[0.25]),
            tensor(data=[[0.25], [-0.5]]),
            tensor(data=["a", "b"]),
            tensor(datatype="BYTES"),
            tensor(datatype="FLOAT"),
            {"inputs": []},
            {"inputs": "x"},
            {},
            {
                "inputs": [
                    {"name": "sodium", "shape": [1], "datatype": "FP32", "data": [1.0]},
                    {"name": "potassium", "shape": [2], "datatype": "FP32", "data": [1.0, 2.0]},
                ]
            },
            tensor() | {"outputs": [{"name": "nonsense"}]},
            tensor() | {"outputs": [3]},
            tensor() | {"parameters": {"event_time": "yesterday"}},
        ],
    )
    def test_tensors_that_do_not_fit(self, client: httpx.Client, body: dict[str, Any]) -> None:
        assert problem(client.post(INFER, json=body), 422, "invalid_input")["errors"]

    @pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
    def test_numbers_that_are_not_finite(self, client: httpx.Client, number: bytes) -> None:
        body = b'{"sodium": %s, "potassium": 1}' % number
        problem(client.post("/predict", content=body, headers=JSON), 422, "invalid_input")
        body = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[%s,1]}]}' % number
        problem(client.post(INFER, content=body, headers=JSON), 422, "invalid_input")

    def test_a_body_too_large_by_its_own_word(self, client: httpx.Client) -> None:
        problem(client.post("/predict", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON), 413, "too_large")

    def test_a_body_too_large_without_saying_so(self, client: httpx.Client) -> None:
        chunks = (b" " * 1_000 for _ in range(MAX_BODY_BYTES // 1_000 + 2))
        problem(client.post("/predict", content=chunks, headers=JSON), 413, "too_large")

    def test_too_many_rows(self, client: httpx.Client) -> None:
        rows = [ROW] * (MAX_ROWS + 1)
        problem(client.post("/predict", json={"instances": rows}), 413, "too_large")
        n = MAX_ROWS + 1
        problem(client.post(INFER, json=tensor(shape=[n, 2], data=[0.0] * 2 * n)), 413, "too_large")
        problem(client.post(INFER, json=tensor(shape=[n, 2], data=[[0.0, 1.0]] * n)), 413, "too_large")

    @pytest.mark.parametrize(
        "path",
        [
            "/v2/models/nobody/infer",
            "/v2/models/panel/versions/9/infer",
            "/models/nobody/predict",
            "/v1/models/nobody:predict",
        ],
    )
    def test_a_model_or_version_nobody_deployed(self, client: httpx.Client, path: str) -> None:
        problem(client.post(path, json=tensor() | {"instances": [ROW]}), 404, "unknown_model")

    def test_a_version_named_in_the_body_that_nobody_deployed(self, client: httpx.Client) -> None:
        body = tensor() | {"parameters": {"version": "9"}}
        problem(client.post(INFER, json=body), 404, "unknown_model")

    @pytest.mark.parametrize("path", ["/v2/models/nobody", "/v1/models/nobody", "/models/nobody/schema"])
    def test_asking_about_a_model_nobody_deployed(self, client: httpx.Client, path: str) -> None:
        problem(client.get(path), 404, "unknown_model")

    def test_a_path_and_a_method_that_are_not_there(self, client: httpx.Client) -> None:
        problem(client.get("/nowhere"), 404, "not_found")
        refused = client.get("/predict")
        problem(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == "POST"

    def test_an_id_that_is_none(self, client: httpx.Client) -> None:
        headers = {"X-Request-Id": "x" * 201}
        problem(client.post("/predict", json=ROW, headers=headers), 422, "invalid_input")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"sodium": 500.0, "potassium": 0.25}),
        ("/predict", {"instances": [[500.0, 0.25]]}),
        (INFER, tensor(data=[500.0, 0.25])),
    ],
)
def test_a_single_row_out_of_distribution(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    document = problem(client.post(path, json=body), 422, "out_of_distribution")
    assert document["distance"] > document["cutoff"] > 0
    contributions = document["contributions"]
    assert contributions[0]["feature"] == "sodium"
    total = sum(entry["contribution"] for entry in contributions)
    assert total == pytest.approx(document["distance"], rel=1e-5)
    assert "sodium" in document["detail"]
