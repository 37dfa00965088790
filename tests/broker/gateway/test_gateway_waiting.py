"""Requests whose reply does not come, or comes while the gateway is stopping; bounds on how many wait."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Message, Producer

from atalaia.settings import Settings
from atalaia.stream.deploy import deploy
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker

ROW = {"sodium": 0.25, "potassium": -0.5}


@pytest.fixture
def requests(topics: Settings) -> Iterator[Callable[[int], list[Message]]]:
    """Takes so many requests off the topic."""
    client = Consumer(
        {
            "bootstrap.servers": topics.kafka.bootstrap_servers,
            "group.id": "test",
            "auto.offset.reset": "earliest",
        }
    )
    client.subscribe([f"{topics.kafka.topic_prefix}requests"])

    def take(count: int) -> list[Message]:
        taken: list[Message] = []
        until = time.monotonic() + 20
        while len(taken) < count and time.monotonic() < until:
            message = client.poll(0.2)
            if message is not None and message.error() is None:
                taken.append(message)
        assert len(taken) == count
        return taken

    yield take
    client.close()


def headers_of(message: Message) -> dict[str, bytes]:
    given = dict(message.headers() or ())
    return {name: value for name, value in given.items() if isinstance(value, bytes)}


def reply(topics: Settings, request: Message, *, key: bytes | None = None, score: float = 0.5) -> None:
    """Answer as a scorer would."""
    headers = headers_of(request)
    request_key = request.key()
    assert request_key is not None
    data = {"label": [3], "score": [score], "probabilities": [score, 0.0, 0.0], "applicability": [1.0]}
    outputs: list[dict[str, Any]] = [
        {"name": name, "datatype": "FP32", "shape": [1], "data": values} for name, values in data.items()
    ]
    outputs.append({"name": "abstained", "datatype": "BOOL", "shape": [1], "data": [False]})
    response = {
        "model_name": "panel",
        "model_version": "1",
        "id": request_key.decode(),
        "outputs": outputs,
    }
    client = Producer({"bootstrap.servers": topics.kafka.bootstrap_servers})
    client.produce(
        f"{topics.kafka.topic_prefix}replies",
        key=key or request_key,
        value=json.dumps(response).encode(),
        partition=int(headers["reply"]),
    )
    assert client.flush(10) == 0


def environment(topics: Settings, **gateway: str) -> dict[str, str]:
    named = {f"ATALAIA_GATEWAY__{name.upper()}": value for name, value in gateway.items()}
    return environment_of(topics) | named


def test_no_model_is_deployed(topics: Settings, tmp_path: Path) -> None:
    with processes.gateway(tmp_path, environment(topics)) as gateway:
        refused = httpx.post(f"{gateway.url}/predict", json=ROW)
        assert (refused.status_code, refused.json()["code"]) == (503, "no_primary")
        assert int(refused.headers["retry-after"]) > 0


def test_a_model_deployed_later_is_served_and_documented(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path
) -> None:
    with processes.gateway(tmp_path, environment(topics)) as gateway:
        assert httpx.get(f"{gateway.url}/schema").status_code == 503
        deploy(bundles["panel"], settings=topics)
        processes.wait_until(
            lambda: httpx.get(f"{gateway.url}/schema").status_code == 200, what="the deployment"
        )
        document = httpx.get(f"{gateway.url}/openapi.json").json()
        body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert "panel" in body["examples"]


def test_a_bundle_that_fails_its_digest_is_refused_by_name_and_the_others_keep_serving(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path
) -> None:
    deploy(bundles["panel"], settings=topics)
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in bundles["loan"].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    deploy(broken, settings=topics)
    (broken / "card.md").write_text("changed")
    with processes.gateway(tmp_path, environment(topics)) as gateway:
        refused = httpx.get(f"{gateway.url}/v2/models/loan/ready")
        assert (refused.status_code, refused.json()["code"]) == (503, "model_not_ready")
        assert "card.md" in refused.json()["detail"]
        assert httpx.post(f"{gateway.url}/models/loan/predict", json={}).status_code == 503
        assert httpx.get(f"{gateway.url}/v2/models/panel/ready").json()["ready"] is True


def test_an_accepted_request_without_a_reply_is_504_and_a_full_gateway_says_429(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path, requests: Callable[[int], list[Message]]
) -> None:
    deploy(bundles["panel"], settings=topics)
    settings = environment(topics, deadline="1500ms", max_in_flight="1")
    with processes.gateway(tmp_path, settings) as gateway, ThreadPoolExecutor() as threads:
        first = threads.submit(httpx.post, f"{gateway.url}/predict", json=ROW, timeout=10)
        [published] = requests(1)
        headers = headers_of(published)
        assert headers["model"] == b"panel"
        assert "version" not in headers
        assert 0 < int(headers["deadline"]) / 1000 - time.time() <= 1.5
        full = httpx.post(f"{gateway.url}/predict", json=ROW)
        assert (full.status_code, full.json()["code"]) == (429, "too_many_requests")
        assert full.headers["retry-after"] == "1"
        late = first.result()
        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        # The place it held is free again, and what comes too late finds nobody.
        reply(topics, published)
        second = threads.submit(httpx.post, f"{gateway.url}/predict", json=ROW, timeout=10)
        [published] = requests(1)
        reply(topics, published, key=b"somebody else's", score=0.1)
        reply(topics, published, score=0.75)
        assert second.result().json()["score"] == 0.75


def test_the_body_of_the_protocol_is_published_as_it_came(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path, requests: Callable[[int], list[Message]]
) -> None:
    deploy(bundles["panel"], settings=topics)
    tensor = b'{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.10, -5e-1], "parameters": {}}'
    body = b'{ "unknown": {"a": 1}, "inputs": [%s]  }' % tensor
    named = b'{"id":"mine", "unknown": {"a": 1}, "inputs": [%s]  }' % tensor
    with processes.gateway(tmp_path, environment(topics)) as gateway, ThreadPoolExecutor() as threads:

        def post(path: str, headers: dict[str, str]) -> httpx.Response:
            return httpx.post(f"{gateway.url}{path}", content=body, headers=headers, timeout=10)

        answered = threads.submit(
            post, "/v2/models/panel/versions/1/infer", {"content-type": "application/json"}
        )
        [published] = requests(1)
        assert published.value() == body
        assert headers_of(published)["version"] == b"1"
        assert (published.key() or b"").isalnum()
        reply(topics, published)
        answer: dict[str, Any] = answered.result().json()
        assert answer["outputs"][1]["data"] == [0.5]
        answered = threads.submit(post, "/v2/models/panel/infer", {"x-request-id": "mine"})
        [published] = requests(1)
        assert json.loads(published.value() or b"") == json.loads(named)
        assert published.key() != b"mine"
        reply(topics, published)
        assert answered.result().status_code == 200


def test_a_caller_that_leaves_does_not_keep_its_place(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path, requests: Callable[[int], list[Message]]
) -> None:
    deploy(bundles["panel"], settings=topics)
    settings = environment(topics, deadline="1s", max_in_flight="1")
    with processes.gateway(tmp_path, settings) as gateway:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{gateway.url}/predict", json=ROW, timeout=0.2)
        requests(1)

        def is_free() -> bool:
            metrics = httpx.get(f"{gateway.url}/metrics").text
            return "atalaia_gateway_in_flight_requests 0.0" in metrics

        processes.wait_until(is_free, what="the place being given back", seconds=5)


def test_sigterm_finishes_what_is_in_flight_and_ends_with_0(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path, requests: Callable[[int], list[Message]]
) -> None:
    deploy(bundles["panel"], settings=topics)
    with processes.gateway(tmp_path, environment(topics)) as gateway, ThreadPoolExecutor() as threads:
        answered = threads.submit(httpx.post, f"{gateway.url}/predict", json=ROW, timeout=10)
        [published] = requests(1)
        gateway.process.terminate()
        processes.wait_until(lambda: not processes.answers(f"{gateway.url}/readyz"), what="unreadiness")
        assert gateway.process.poll() is None
        reply(topics, published)
        assert answered.result().status_code == 200
        assert gateway.process.wait(10) == 0
        lines = [json.loads(line) for line in gateway.out.read_bytes().splitlines()]
        [line] = [line for line in lines if line["route"] == "/predict"]
        assert (line["status"], line["model"], line["version"]) == (200, "panel", "1")
        assert (line["score"], line["applicability"], line["abstained"]) == (0.5, 1.0, False)
        assert line["latency_ms"] > 0
        assert line["request_id"] == (published.key() or b"").decode()
        assert "inputs" not in line
        assert "predictions" not in line


def test_sigterm_does_not_wait_for_ever(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path, requests: Callable[[int], list[Message]]
) -> None:
    deploy(bundles["panel"], settings=topics)
    settings = environment(topics, deadline="60s", drain="1s")
    with processes.gateway(tmp_path, settings) as gateway, ThreadPoolExecutor() as threads:
        answered = threads.submit(httpx.post, f"{gateway.url}/predict", json=ROW, timeout=30)
        requests(1)
        started = time.monotonic()
        assert gateway.terminate() == 0
        assert time.monotonic() - started < 8
        with contextlib.suppress(httpx.TransportError):
            assert answered.result().status_code >= 500


def test_inputs_and_predictions_are_logged_only_when_asked_for(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path, requests: Callable[[int], list[Message]]
) -> None:
    deploy(bundles["panel"], settings=topics)
    settings = environment(topics, log_inputs="true", log_predictions="true")
    with processes.gateway(tmp_path, settings) as gateway, ThreadPoolExecutor() as threads:
        answered = threads.submit(httpx.post, f"{gateway.url}/predict", json=ROW, timeout=10)
        [published] = requests(1)
        reply(topics, published)
        assert answered.result().status_code == 200
        assert gateway.terminate() == 0
        line = next(
            entry for entry in map(json.loads, gateway.out.read_bytes().splitlines()) if "inputs" in entry
        )
        assert line["inputs"] == {"sodium": [0.25], "potassium": [-0.5]}
        assert line["predictions"]["score"] == [0.5]
