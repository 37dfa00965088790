"""Requests that are not waited for, or not for long: an exchange on Kafka, and replies written by hand."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Producer

from atalaia.settings import GatewaySettings, Settings
from atalaia.topics import REPLIES
from services.gateway.inference.exchange import Exchange

pytestmark = [pytest.mark.broker, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as a gateway runs


@pytest.fixture
async def exchange(topics: Settings) -> AsyncIterator[Exchange]:
    exchange = Exchange(topics.kafka, GatewaySettings())
    exchange.start()
    async with asyncio.timeout(20):
        while not exchange.up:  # noqa: ASYNC110 - it has no word for it
            await asyncio.sleep(0.05)
    yield exchange
    exchange.stop()


class Asking:
    """A request that is asked later, and whether Kafka was said to have it."""

    def __init__(self, exchange: Exchange, *, wait_seconds: float) -> None:
        self.accepted = asyncio.Event()
        asked = exchange.ask_later(
            b"ticket", b"{}", self.accepted.set, model="panel", version=None, wait_seconds=wait_seconds
        )
        self.reply = asyncio.ensure_future(asked)


async def test_who_waits_for_an_answer_is_accepted_as_soon_as_kafka_has_the_request(
    exchange: Exchange,
) -> None:
    asking = Asking(exchange, wait_seconds=30.0)
    async with asyncio.timeout(5):
        await asking.accepted.wait()
    assert not asking.reply.done()
    asking.reply.cancel()


async def test_a_repeat_is_answered_though_the_first_has_stopped_waiting(
    exchange: Exchange, topics: Settings
) -> None:
    first = Asking(exchange, wait_seconds=0.5)
    async with asyncio.timeout(20):
        await first.accepted.wait()
        repeat = Asking(exchange, wait_seconds=30.0)
        assert await first.reply is None
        writer = Producer({"bootstrap.servers": topics.kafka.bootstrap_servers})
        for partition in range(REPLIES.partitions):  # any of them may be the one that the exchange reads
            writer.produce(
                f"{topics.kafka.topic_prefix}replies", key=b"ticket", value=b"answer", partition=partition
            )
        writer.flush(10)
        reply = await repeat.reply
    assert reply is not None
    assert reply.value == b"answer"
