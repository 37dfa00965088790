"""Claims and kept answers on a real Redis, and the line to it when that goes away."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.ports import free_port
from atalaia.runtime.supervisor import Supervisor
from services.gateway.kept.line import Line
from services.gateway.kept.memory import Claim, Memory, MemoryUnavailable

pytestmark = [pytest.mark.broker, pytest.mark.anyio]

LEASE_MS = 60_000


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as a gateway runs


@pytest.fixture
async def memory(redis_url: str) -> AsyncIterator[Memory]:
    memory = Memory(redis_url, f"{os.urandom(4).hex()}.")
    yield memory
    await memory.close()


async def claimed(memory: Memory, ticket: str, *, body: str = "f", lease_ms: int = LEASE_MS) -> Claim:
    return await memory.claim("key", fingerprint=body, ticket=ticket, lease_ms=lease_ms)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def line_to(answer: Answer) -> AsyncIterator[Line]:
    """A line to what answers like a Redis; both are closed, else uvloop waits for ever."""
    async with asyncio.timeout(10), await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = Line(f"redis://127.0.0.1:{port}/0?protocol=2", timeout_seconds=2.0)
        try:
            yield line
        finally:
            await line.close()


async def test_one_of_many_has_a_key_and_the_others_learn_who(memory: Memory) -> None:
    claims = await asyncio.gather(*(claimed(memory, f"ticket-{at}") for at in range(8)))
    assert claims == [Claim("claimed", "ticket-0"), *[Claim("leased", "ticket-0")] * 7]
    assert await claimed(memory, "ticket-9", body="g") == Claim("reused", "ticket-0")


async def test_a_claim_sent_twice_finds_itself(memory: Memory) -> None:
    assert await claimed(memory, "ticket-0", lease_ms=1) == await claimed(memory, "ticket-0")
    await asyncio.sleep(0.05)
    taken_over = await claimed(memory, "ticket-1")
    assert taken_over == await claimed(memory, "ticket-1") == Claim("claimed", "ticket-0")
    assert (await claimed(memory, "ticket-0")).state == "leased"


async def test_an_answer_is_there_for_whoever_asks_after_it(memory: Memory) -> None:
    await claimed(memory, "ticket-0")
    memory.keep("ticket-0", b"{}")
    await asyncio.sleep(0)
    assert await claimed(memory, "ticket-1") == Claim("answered", "ticket-0", b"{}")
    assert await memory.answer("ticket-0") == b"{}"


async def test_the_first_answer_stays(memory: Memory) -> None:
    for answer in (b"first", b"second"):
        memory.keep("ticket-0", answer)
        await asyncio.sleep(0)
    assert await memory.answer("ticket-0") == b"first"


async def test_what_redis_holds_need_not_come_from_results(memory: Memory) -> None:
    memory.keep("ticket-0", b"{}")
    assert await memory.answer("ticket-0") is None  # asked first
    assert await memory.answer("ticket-0") == b"{}"
    assert [memory.shown.take(ticket) for ticket in (b"ticket-0", b"ticket-1")] == [True, False]


async def test_what_is_told_last_is_told_before_the_line_is_closed(redis_url: str) -> None:
    prefix = f"{os.urandom(4).hex()}."
    for ticket in ("one", "other"):
        memory = Memory(redis_url, prefix)
        memory.keep(ticket, b"{}")
        await memory.close()
    memory = Memory(redis_url, prefix)
    assert [await memory.answer(ticket) for ticket in ("one", "other")] == [b"{}"] * 2
    await memory.close()


async def test_after_its_lease_the_next_one_goes_on_with_the_same_ticket_for_a_lease_of_its_own(
    memory: Memory,
) -> None:
    await claimed(memory, "ticket-0", lease_ms=100)
    assert (await claimed(memory, "ticket-1")).state == "leased"
    await asyncio.sleep(0.15)
    assert await claimed(memory, "ticket-2") == Claim("claimed", "ticket-0")
    assert await claimed(memory, "ticket-3") == Claim("leased", "ticket-0")


async def test_what_kafka_has_is_taken_over_by_nobody(memory: Memory) -> None:
    await claimed(memory, "ticket-0", lease_ms=1)
    memory.accept("key", "ticket-0")
    await asyncio.sleep(0.05)
    assert await claimed(memory, "ticket-1") == Claim("accepted", "ticket-0")


async def test_what_was_released_is_free_for_any_body(memory: Memory) -> None:
    await claimed(memory, "ticket-0")
    memory.release("key", "ticket-0")
    assert await claimed(memory, "ticket-1", body="g") == Claim("claimed", "ticket-1")


async def test_only_who_holds_a_key_lets_go_of_it(memory: Memory) -> None:
    await claimed(memory, "ticket-0", lease_ms=1)
    await asyncio.sleep(0.05)
    await claimed(memory, "ticket-1")
    memory.release("key", "ticket-0")
    assert await claimed(memory, "ticket-2") == Claim("leased", "ticket-0")
    # The first request may be in Kafka, so its ticket stays.
    memory.release("key", "ticket-1")
    assert await claimed(memory, "ticket-2") == Claim("claimed", "ticket-0")


async def test_what_was_accepted_of_a_claim_that_is_forgotten_says_nothing_of_the_next(
    memory: Memory,
) -> None:
    memory.accept("key", "ticket-0")
    await claimed(memory, "ticket-1")
    assert await claimed(memory, "ticket-2") == Claim("leased", "ticket-1")


async def test_claims_expire_with_the_answers(memory: Memory, redis_url: str) -> None:
    await claimed(memory, "ticket-0", lease_ms=1)
    await asyncio.sleep(0.05)
    await claimed(memory, "ticket-1")
    with redis.Redis.from_url(redis_url) as store:
        left_ms = store.pttl(memory._names.claim("key"))
    assert isinstance(left_ms, int)
    assert 86_390_000 < left_ms <= 86_400_000


async def test_a_line_outlives_its_connection_and_one_command_that_is_refused(redis_url: str) -> None:
    line = Line(redis_url, timeout_seconds=5.0)
    await line.ask("SET", "line", "text")
    refused, taken = line.ask("INCR", "line"), line.ask("GET", "line")
    assert await taken == b"text"
    with pytest.raises(redis.ResponseError, match="not an integer"):
        await refused
    with redis.Redis.from_url(redis_url) as store:
        store.client_kill_filter(skipme=True)
    assert await asyncio.gather(*(line.ask("GET", "line") for _ in range(3))) == [b"text"] * 3
    await line.close()


async def test_a_line_outlives_a_connection_that_was_reset_while_it_was_idle() -> None:
    """As a machine that is gone leaves it, or a proxy."""
    closed = asyncio.Queue[bool]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(b"+OK\r\n" * data.count(b"*"))
            if b"BREAK" in data:
                now = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                await asyncio.sleep(0.05)
                break
        writer.transport.abort()
        closed.put_nowait(True)

    async with line_to(answer) as line:
        assert await line.ask("BREAK") == b"OK"
        await closed.get()
        await asyncio.sleep(0.05)
        assert await line.ask("PING") == b"OK"


async def test_a_redis_that_breaks_off_in_every_answer_is_given_up() -> None:
    tries: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if b"GET" in data:
                tries.append(data)
                writer.write(b"$100\r\npart")
                break
            writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()

    async with line_to(answer) as line:
        with pytest.raises(redis.ConnectionError, match="closed the connection"):
            await line.ask("GET", "long")
    assert len(tries) == 2


async def test_while_redis_reads_its_file_it_is_away_and_is_told_again() -> None:
    asked: list[bytes] = []
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if b"ASK" in data:
                asked.append(data)
            loading = b"ASK" in data and len(asked) < 4
            writer.write((b"-LOADING its file\r\n" if loading else b"+OK\r\n") * data.count(b"*"))
        writer.close()

    async with line_to(answer) as line:
        line.tell("TELL", heard=lambda: heard.append("TELL"))
        with pytest.raises(redis.ConnectionError, match="LOADING"):
            await line.ask("ASK")
        assert not heard
        assert await line.ask("ASK") == b"OK"
        assert heard == ["TELL"]
        assert [b"TELL" in data for data in asked] == [True] * 4


async def test_a_redis_that_is_silent_or_away_is_told_in_time_and_found_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://{redis_runtime.HOST}:{port}/0"
    spec = redis_runtime.server(redis_runtime.find_programs(), folder=tmp_path, port=port)
    loop = asyncio.get_running_loop()
    memory = Memory(url, "")
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(spec)
        assert (await claimed(memory, "ticket-0")).state == "claimed"
        with redis.Redis.from_url(url) as store:
            store.client_pause(1_500)
            began = loop.time()
            asked = [claimed(memory, f"ticket-{at}", body="g") for at in range(1, 4)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(answer) for answer in answers] == [MemoryUnavailable] * 3
            assert loop.time() - began < 1.4
        assert (await claimed(memory, "ticket-4")).state == "leased"
        supervisor.stop("redis")
        memory.keep("ticket-0", b"{}")
        with pytest.raises(MemoryUnavailable):
            await claimed(memory, "ticket-5")
        supervisor.start(spec)
        # What could not be told is told before anything else is asked.
        assert await claimed(memory, "ticket-6") == Claim("answered", "ticket-0", b"{}")
    await memory.close()


async def test_a_claim_that_was_heard_too_late_is_let_go(memory: Memory, redis_url: str) -> None:
    assert await memory.answer("any") is None
    with redis.Redis.from_url(redis_url) as store:
        store.client_pause(1_200)
        with pytest.raises(MemoryUnavailable):
            await claimed(memory, "ticket-0")
    # Redis carries it out now that it wakes; nobody works on it.
    assert await claimed(memory, "ticket-1") == Claim("claimed", "ticket-1")


async def test_without_a_redis_all_is_unavailable() -> None:
    memory = Memory(None, "")
    memory.keep("ticket-0", b"{}")
    memory.release("key", "ticket-0")
    for asked in (memory.check(), memory.answer("ticket-0"), claimed(memory, "ticket-0")):
        with pytest.raises(MemoryUnavailable):
            await asked
    await memory.close()
