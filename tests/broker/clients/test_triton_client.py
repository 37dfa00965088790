"""The Triton project's HTTP client, which knows nothing of us, against the gateway."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.broker

ROWS = np.array([[0.25, -0.5], [0.0, 0.125], [-0.75, 0.5]], np.float32)


@pytest.fixture
def client(url: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(url.removeprefix("http://"), network_timeout=20.0) as client:
        yield client


def tensor(name: str, datatype: str, values: Any, *, binary: bool = True) -> InferInput:
    made = InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def by_hand(url: str, model: str, inputs: list[dict[str, Any]]) -> dict[str, list[Any]]:
    answer = httpx.post(f"{url}/v2/models/{model}/infer", json={"inputs": inputs}, timeout=20)
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def test_health_and_metadata(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("panel")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("panel")
    assert [entry["name"] for entry in metadata["inputs"]][:2] == ["sodium", "potassium"]


@pytest.mark.parametrize("binary", [True, False])
def test_one_tensor_and_all_outputs_as_the_client_asks_by_itself(
    client: InferenceServerClient, url: str, binary: bool
) -> None:
    result = client.infer("panel", [tensor("x", "FP32", ROWS, binary=binary)], request_id="mine")
    expected = by_hand(
        url, "panel", [{"name": "x", "shape": [3, 2], "datatype": "FP32", "data": ROWS.ravel().tolist()}]
    )
    response = result.get_response()
    assert (response["model_name"], response["id"]) == ("panel", "mine")
    # Without outputs named, this client asks for all of them as bytes.
    assert all("binary_data_size" in output["parameters"] for output in response["outputs"])
    for name, values in expected.items():
        found = result.as_numpy(name).ravel()
        # As JSON has them they are the shortest numbers that mean the same in the datatype served.
        assert found.tolist() == np.array(values, found.dtype).tolist(), name
    assert result.as_numpy("probabilities").shape == (3, 3)
    assert result.as_numpy("abstained").dtype == np.bool_


def test_named_outputs_each_as_it_was_asked_for(client: InferenceServerClient) -> None:
    wanted = [
        InferRequestedOutput("score", binary_data=True),
        InferRequestedOutput("label", binary_data=False),
    ]
    result = client.infer("panel", [tensor("x", "FP32", ROWS)], outputs=wanted, model_version="1")
    score, label = result.get_response()["outputs"]
    assert (score["name"], "data" in score) == ("score", False)
    assert (label["name"], len(label["data"])) == ("label", 3)
    assert result.as_numpy("score").shape == (3,)


def test_strings_and_a_tensor_a_feature(client: InferenceServerClient, url: str) -> None:
    columns: dict[str, tuple[str, npt.NDArray[Any]]] = {
        "income": ("FP32", np.array([0.5, -0.25], np.float32)),
        "children": ("INT64", np.array([1, 3], np.int64)),
        "colour": ("BYTES", np.array([b"red", b"green"], np.object_)),
    }
    result = client.infer("loan", [tensor(name, *column) for name, column in columns.items()])
    expected = by_hand(
        url,
        "loan",
        [
            {
                "name": name,
                "shape": [2],
                "datatype": datatype,
                "data": [value.decode() for value in values] if datatype == "BYTES" else values.tolist(),
            }
            for name, (datatype, values) in columns.items()
        ],
    )
    found = result.as_numpy("value")
    assert found.tolist() == np.array(expected["value"], found.dtype).tolist()


def test_refusals_reach_the_client_in_words(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="nobody"):
        client.infer("nobody", [tensor("x", "FP32", ROWS)])
    with pytest.raises(InferenceServerException, match="NaN or infinity"):
        client.infer("panel", [tensor("x", "FP32", np.array([[np.nan, 1.0]], np.float32))])
    with pytest.raises(InferenceServerException) as refused:
        client.infer("panel", [tensor("x", "FP32", ROWS[:, :1])])
    assert refused.value.status() == "422"
