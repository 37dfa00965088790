"""What the bench of gRPC says of its runs, and its generator against a connection of the gateway's."""

import asyncio

import pytest

from atalaia.runtime.ports import free_port
from bench import grpc
from bench.__main__ import judged
from bench.grpc_load import drive, read_messages, write_messages
from bench.load import Load
from bench.peers import noop_grpc
from services.gateway.grpc.calls import answered, refused
from services.gateway.grpc.http2.connection import Request
from services.gateway.grpc.http2.listener import Listener, Respond
from services.gateway.grpc.statuses import Status
from tests.unit.bench.loads import one_load


def test_calls_are_compared_with_requests_in_pairs() -> None:
    rates = {grpc.HTTP: [1_000, 500, 100]} | {name: [1_500, 500, 200] for name in grpc.CONNECTIONS}
    runs = {name: [one_load(rate) for rate in turns] for name, turns in rates.items()}
    answer = judged(grpc.summary(runs | {noop_grpc.NAME: [one_load(9)] * 3}))
    assert (answer["ours"], answer["ratio"]) == (500, 1.5)
    assert answer["ratios"][grpc.SHARED] == [1.5, 1.0, 2.0]
    assert [limit["met"] for limit in answer["limits"]] == [True]
    assert answer["beside"]["http_gateway_cpu_ms_a_request"] == 1.0


@pytest.mark.parametrize(("connections", "calls"), [(1, 1), (1, 8), (4, 8)])
def test_the_generator_counts_each_answer_by_its_status(connections: int, calls: int) -> None:
    """Answers are larger than a window, and every third is a refusal."""
    messages = [bytes((place,)) * 100 for place in range(6)]
    told = {"0": 0, "14": 0}

    under_way: set[asyncio.Task[None]] = set()

    async def answer_one(request: Request, respond: Respond) -> None:
        assert request.body is not None
        assert request.body[5:] in messages
        await asyncio.sleep(0)
        fails = request.body[5] % 3 == 0
        told["14" if fails else "0"] += 1
        respond(refused(Status.UNAVAILABLE, "no") if fails else answered(b"y" * 70_000))

    def answer(request: Request, respond: Respond) -> None:
        task = asyncio.get_running_loop().create_task(answer_one(request, respond))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    async def measure() -> Load:
        listener = Listener(answer, max_body_bytes=1_000, max_streams=100)
        port = free_port()
        await listener.start("127.0.0.1", port)
        target = f"127.0.0.1:{port}"
        load = await drive(target, messages, connections=connections, calls=calls, seconds=0.2)
        await listener.stop(5.0)
        return load

    load = asyncio.run(measure())
    assert load.requests == sum(load.statuses.values()) > 10
    assert load.statuses.keys() == {"0", "14"}
    assert all(told[status] >= count for status, count in load.statuses.items())
    assert sum(told.values()) <= load.requests + 3 * calls


def test_messages_come_from_their_file_as_they_went() -> None:
    messages = [b"", b"one", bytes(300)]
    assert read_messages(write_messages(messages)) == messages
