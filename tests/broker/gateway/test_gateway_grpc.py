"""The protocol over gRPC from clients of gRPC's own: the same answers as over HTTP, and refusals by code."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import httpx
import numpy as np
import pytest
from google.protobuf.message import Message
from typer.testing import CliRunner

from atalaia.cli import keys
from atalaia.runtime.ports import free_port
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from services.gateway.grpc import inference_pb2 as pb
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker

SERVICE = "inference.GRPCInferenceService"
ROW = [0.25, -0.5]
FAR = [900.0, -900.0]
MAX_BODY_BYTES = 100_000
Metadata = tuple[tuple[str, str], ...]
Kind = TypeVar("Kind", bound=Message)


def refusal(ask: Callable[[], object]) -> Any:
    """How a call ended that was refused: a `grpc.Call`, which the errors of grpc are without saying so."""
    with pytest.raises(grpc.RpcError) as refused:
        ask()
    return refused.value


class Stub:
    """The methods of the service over a channel, as generated stubs have them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def call(
        self, method: str, request: Message, kind: type[Kind], *, seconds: float = 20, metadata: Metadata = ()
    ) -> Kind:
        call: Callable[..., Kind] = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=kind.FromString,
        )
        return call(request, timeout=seconds, metadata=metadata)

    def send(self, method: str, payload: bytes, **more: Any) -> Any:
        """The answer to bytes, as bytes."""
        as_it_is: Callable[[bytes], bytes] = bytes
        path = f"/{SERVICE}/{method}"
        call: Callable[..., bytes] = self.channel.unary_unary(path, as_it_is, as_it_is)
        return call(payload, timeout=20, **more)

    def infer(self, request: pb.ModelInferRequest, **more: Any) -> pb.ModelInferResponse:
        return self.call("ModelInfer", request, pb.ModelInferResponse, **more)

    def refusal(self, request: pb.ModelInferRequest, **more: Any) -> Any:
        return refusal(lambda: self.infer(request, **more))


class Place:
    """A gateway that takes gRPC too."""

    def __init__(self, url: str, target: str, settings: Settings) -> None:
        self.url, self.target, self.settings = url, target, settings


@contextlib.contextmanager
def started(folder: Path, environment: dict[str, str]) -> Iterator[tuple[processes.Running, str]]:
    port = free_port()
    environment = environment | {"ATALAIA_GATEWAY__GRPC_PORT": str(port)}
    with processes.gateway(folder, environment) as gateway:
        yield gateway, f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def place(
    kafka: str, redis_url: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("grpc")
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="grpc."))
    create_topics(settings.kafka)
    for name in ("panel", "loan"):
        deploy(bundles[name], settings=settings)
    environment = environment_of(settings) | {
        "ATALAIA_REDIS__URL": redis_url,
        "ATALAIA_GATEWAY__DEADLINE": "15s",
        "ATALAIA_GATEWAY__MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    }
    with processes.scorer(folder, environment), started(folder, environment) as (gateway, target):
        yield Place(gateway.url, target, settings)


@pytest.fixture
def stub(place: Place) -> Iterator[Stub]:
    with grpc.insecure_channel(place.target) as channel:
        yield Stub(channel)


def panel(data: list[float], *, raw: bool = True, **more: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="panel", **more)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[len(data) // 2, 2])
    if raw:
        request.raw_input_contents.append(np.array(data, "<f4").tobytes())
    else:
        tensor.contents.fp32_contents.extend(data)
    return request


def loan(*, raw: bool = False) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="loan", model_version="7")
    income = request.inputs.add(name="income", datatype="FP32", shape=[2])
    children = request.inputs.add(name="children", datatype="INT64", shape=[2, 1])
    colour = request.inputs.add(name="colour", datatype="BYTES", shape=[2])
    if raw:
        request.raw_input_contents.extend(
            [np.array([0.5, np.nan], "<f4").tobytes(), np.array([2, 3], "<i8").tobytes()]
        )
        request.raw_input_contents.append(b"\x03\0\0\0red\x05\0\0\0green")
    else:
        income.contents.fp32_contents.extend([0.5, float("nan")])
        children.contents.int64_contents.extend([2, 3])
        colour.contents.bytes_contents.extend([b"red", b"green"])
    return request


LOAN_IN_JSON = {
    "inputs": [
        {"name": "income", "shape": [2], "datatype": "FP32", "data": [0.5, None]},
        {"name": "children", "shape": [2, 1], "datatype": "INT64", "data": [2, 3]},
        {"name": "colour", "shape": [2], "datatype": "BYTES", "data": ["red", "green"]},
    ]
}
FIELDS = {"INT64": "int64_contents", "FP32": "fp32_contents", "BOOL": "bool_contents"}
KINDS = {"INT64": "<i8", "FP32": "<f4", "BOOL": "?"}


def values(response: pb.ModelInferResponse) -> dict[str, list[Any]]:
    return {
        output.name: (
            np.frombuffer(response.raw_output_contents[place], KINDS[output.datatype]).tolist()
            if response.raw_output_contents
            else list(getattr(output.contents, FIELDS[output.datatype]))
        )
        for place, output in enumerate(response.outputs)
    }


def over_http(place: Place, model: str, body: dict[str, Any]) -> dict[str, list[Any]]:
    """The same values over HTTP, where numbers are the shortest texts of float32."""
    answer = httpx.post(f"{place.url}/v2/models/{model}/infer", json=body, timeout=20).json()
    return {
        output["name"]: (
            np.array(output["data"], np.float32).tolist() if output["datatype"] == "FP32" else output["data"]
        )
        for output in answer["outputs"]
    }


def problem(refused: Any) -> dict[str, Any]:
    """The problem document in the trailing metadata."""
    [found] = [value for key, value in refused.trailing_metadata() or () if key == "problem-bin"]
    members = json.loads(found)
    assert isinstance(members, dict)
    return members


def test_health_and_metadata_say_what_http_says(stub: Stub, place: Place) -> None:
    assert stub.call("ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse).live
    assert stub.call("ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse).ready
    assert stub.call("ModelReady", pb.ModelReadyRequest(name="loan"), pb.ModelReadyResponse).ready
    server = stub.call("ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse)
    assert server.version == httpx.get(f"{place.url}/v2").json()["version"]
    ours = stub.call("ModelMetadata", pb.ModelMetadataRequest(name="loan"), pb.ModelMetadataResponse)
    theirs = httpx.get(f"{place.url}/v2/models/loan").json()
    assert (ours.name, ours.versions, ours.platform) == ("loan", theirs["versions"], theirs["platform"])
    for tensors, expected in ((ours.inputs, theirs["inputs"]), (ours.outputs, theirs["outputs"])):
        described = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in tensors]
        assert described == [(entry["name"], entry["datatype"], entry["shape"]) for entry in expected]


def test_a_model_that_is_not_there_is_not_found(stub: Stub) -> None:
    request = pb.ModelReadyRequest(name="nobody")
    refused = refusal(lambda: stub.call("ModelReady", request, pb.ModelReadyResponse))
    assert refused.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("raw", [True, False])
def test_answers_are_those_of_http(stub: Stub, place: Place, raw: bool) -> None:
    one = stub.infer(panel(ROW, raw=raw, id="mine"))
    assert (one.model_name, one.model_version, one.id) == ("panel", "1", "mine")
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": ROW}
    assert values(one) == over_http(place, "panel", {"inputs": [tensor]})
    assert bool(one.raw_output_contents) is raw
    assert values(stub.infer(loan(raw=raw))) == over_http(place, "loan", LOAN_IN_JSON)


def test_outputs_come_as_they_were_asked_for(stub: Stub) -> None:
    request = panel(ROW)
    request.outputs.add(name="abstained")
    request.outputs.add(name="label")
    assert list(values(stub.infer(request))) == ["abstained", "label"]


def test_an_id_may_come_as_metadata(stub: Stub) -> None:
    assert stub.infer(panel(ROW), metadata=(("x-request-id", "theirs"),)).id == "theirs"
    assert stub.infer(panel(ROW, id="mine"), metadata=(("x-request-id", "theirs"),)).id == "mine"


def test_rows_far_from_what_the_model_was_made_on(stub: Stub) -> None:
    refused = stub.refusal(panel(FAR))
    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "Mahalanobis" in (refused.details() or "")
    members = problem(refused)
    assert (members["code"], members["status"]) == ("out_of_distribution", 422)
    assert members["distance"] > members["cutoff"]
    assert {entry["feature"] for entry in members["contributions"]} == {"sodium", "potassium"}
    assert values(stub.infer(panel([*ROW, *FAR])))["abstained"] == [False, True]


def test_refusals_have_the_codes_that_clients_act_on(stub: Stub) -> None:
    missing = stub.refusal(pb.ModelInferRequest(model_name="panel"))
    assert missing.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [entry["field"] for entry in problem(missing)["errors"]] == ["sodium", "potassium"]
    assert stub.refusal(pb.ModelInferRequest(model_name="no")).code() is grpc.StatusCode.NOT_FOUND
    assert stub.refusal(panel(ROW * 5_001)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    too_long = stub.refusal(panel([*ROW], id="x" * 3 * MAX_BODY_BYTES))
    assert too_long.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert problem(too_long)["code"] == "too_large"
    assert values(stub.infer(panel(ROW)))["abstained"] == [False]


@pytest.mark.parametrize(
    ("method", "payload", "code"),
    [
        ("ModelInfer", b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        ("ModelReady", b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        ("ModelStreamInfer", b"", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_what_is_no_message_or_no_method_is_told_so(
    stub: Stub, method: str, payload: bytes, code: grpc.StatusCode
) -> None:
    assert refusal(lambda: stub.send(method, payload)).code() is code


def test_messages_are_not_compressed(stub: Stub) -> None:
    payload = panel([0.0] * 2_000, raw=True).SerializeToString()
    refused = refusal(lambda: stub.send("ModelInfer", payload, compression=grpc.Compression.Gzip))
    assert refused.code() is grpc.StatusCode.UNIMPLEMENTED
    assert stub.send("ModelInfer", payload)


def test_http_at_the_port_of_grpc_is_sent_away(place: Place) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://{place.target}/v2", timeout=5)


def test_large_answers_wait_for_their_client(stub: Stub) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4_900, 2)).astype("<f4")
    answer = stub.infer(panel(rows.ravel().tolist()))
    found = values(answer)
    assert len(found["label"]) == 4_900
    assert len(answer.SerializeToString()) > 65_535
    alone = [values(stub.infer(panel(rows[place].tolist())))["score"] for place in (0, 4_899)]
    assert [found["score"][0]], [found["score"][-1]] == alone


def test_many_calls_at_once_each_get_their_own_answer(place: Place) -> None:
    async def ask_all() -> list[tuple[str, float, float]]:
        async with grpc.aio.insecure_channel(place.target) as channel:
            call: Callable[..., Awaitable[pb.ModelInferResponse]] = channel.unary_unary(
                f"/{SERVICE}/ModelInfer",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=pb.ModelInferResponse.FromString,
            )

            async def ask(number: int) -> tuple[str, float, float]:
                sodium = number / 500
                answer = await call(panel([sodium, 0.0], raw=number % 2 == 0, id=f"n{number}"), timeout=30)
                return answer.id, sodium, values(answer)["score"][0]

            return await asyncio.gather(*(ask(number) for number in range(500)))

    answers = asyncio.run(ask_all())
    assert [identity for identity, _, _ in answers] == [f"n{number}" for number in range(500)]
    for _, sodium, score in answers:
        raised = np.exp([sodium, -sodium, 0.0])
        assert score == pytest.approx(raised.max() / raised.sum(), rel=1e-5)


def test_a_key_of_idempotency_means_what_it_means_over_http(stub: Stub) -> None:
    key = (("idempotency-key", f'"{time.time_ns()}"'),)
    first = stub.infer(panel(ROW), metadata=key)
    until = time.monotonic() + 20
    again: pb.ModelInferResponse | None = None
    while again is None and time.monotonic() < until:
        try:
            again = stub.infer(panel(ROW), metadata=key)
        except grpc.RpcError as error:  # what is kept of the first is committed in a moment
            ended: Any = error
            if ended.code() is not grpc.StatusCode.ABORTED:
                raise
            time.sleep(0.02)
    assert again == first
    reused = stub.refusal(panel([0.5, 0.5]), metadata=key)
    assert reused.code() is grpc.StatusCode.ALREADY_EXISTS
    assert problem(reused)["code"] == "idempotency_key_reused"


def test_the_deadline_of_a_call_counts_where_it_is_sooner(
    topics: Settings, bundles: dict[str, Path], tmp_path: Path
) -> None:
    deploy(bundles["panel"], settings=topics)
    environment = environment_of(topics) | {"ATALAIA_GATEWAY__DEADLINE": "3s"}
    with started(tmp_path, environment) as (gateway, target), grpc.insecure_channel(target) as channel:
        stub = Stub(channel)
        began = time.monotonic()
        own = stub.refusal(panel(ROW), seconds=20)
        assert own.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 2.5 < time.monotonic() - began < 10
        assert problem(own)["code"] == "deadline_exceeded"
        assert stub.refusal(panel(ROW), seconds=0.5).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        lines: list[dict[str, Any]] = []

        def logged() -> bool:
            lines[:] = [json.loads(line) for line in gateway.out.read_text().splitlines()]
            lines[:] = [line for line in lines if str(line.get("route")).endswith("ModelInfer")]
            return len(lines) == 2

        processes.wait_until(logged, what="both lines in the log")
        assert [line["status"] for line in lines] == [504, 504]
        assert 300 < lines[1]["latency_ms"] < 2_500 < lines[0]["latency_ms"]


def test_keys_are_needed_where_there_are_keys(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"

    def key(name: str, scopes: str) -> Metadata:
        made = CliRunner().invoke(keys.app, ["add", name, "--scopes", scopes, "--file", str(file)])
        assert made.exit_code == 0, made.output
        return (("authorization", f"Bearer {made.stdout.strip()}"),)

    infer, label = key("asks", "infer"), key("labels", "label")
    environment = environment_of(place.settings) | {"ATALAIA_ACCESS__KEYS_FILE": str(file)}
    with started(tmp_path, environment) as (_, target), grpc.insecure_channel(target) as channel:
        stub = Stub(channel)
        assert stub.refusal(panel(ROW)).code() is grpc.StatusCode.UNAUTHENTICATED
        assert stub.refusal(panel(ROW), metadata=label).code() is grpc.StatusCode.PERMISSION_DENIED
        assert values(stub.infer(panel(ROW), metadata=infer))["abstained"] == [False]
        assert stub.call("ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse).live


def test_a_stopping_gateway_answers_what_it_has(place: Place, tmp_path: Path) -> None:
    async def ask_while_it_stops(target: str, gateway: processes.Running) -> list[grpc.StatusCode]:
        async with grpc.aio.insecure_channel(target) as channel:
            call: Callable[..., Awaitable[pb.ModelInferResponse]] = channel.unary_unary(
                f"/{SERVICE}/ModelInfer",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=pb.ModelInferResponse.FromString,
            )
            codes: list[grpc.StatusCode] = []

            async def ask() -> None:
                while not codes or grpc.StatusCode.UNAVAILABLE not in codes:
                    try:
                        await call(panel(ROW), timeout=20)
                        codes.append(grpc.StatusCode.OK)
                    except grpc.aio.AioRpcError as refused:
                        codes.append(refused.code())

            asking = [asyncio.create_task(ask()) for _ in range(20)]
            await asyncio.sleep(0.5)
            gateway.process.terminate()
            await asyncio.gather(*asking)
            return codes

    with started(tmp_path, environment_of(place.settings)) as (gateway, target):
        codes = asyncio.run(ask_while_it_stops(target, gateway))
        assert gateway.process.wait(15) == 0
    assert codes.count(grpc.StatusCode.OK) > 20
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


def test_a_port_that_is_taken_ends_the_gateway(place: Place, tmp_path: Path) -> None:
    port = place.target.rpartition(":")[2]
    environment = environment_of(place.settings) | {
        "ATALAIA_GATEWAY__GRPC_PORT": port,
        "ATALAIA_GATEWAY__PORT": str(free_port()),
    }
    with processes.running("gateway", tmp_path, environment) as gateway:
        assert gateway.process.wait(20) != 0
    said = "".join(path.read_text() for path in tmp_path.glob("gateway.*"))
    assert f'"port":{port}' in said.replace(" ", "")
    assert "cannot listen for gRPC" in said
