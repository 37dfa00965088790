"""The load generator against a server that says how it was asked."""

import asyncio
from collections.abc import Sequence

import pytest

from bench.http_load import drive, http_request
from bench.load import Load

BODIES = (b'{"row":0}', b'{"row":1}', b'{"row":2}')


class Server(asyncio.Protocol):
    """Answers each request with its own body, in two pieces; keeps what each connection asked.

    Parameters
    ----------
    headers : further lines of the response's head; without a length the generator cannot know its end
    closes_after : requests of a connection after which it is closed
    """

    def __init__(self, log: list[list[bytes]], *, status: bytes, sized: bool, closes_after: int) -> None:
        self.asked: list[bytes] = []
        log.append(self.asked)
        self.status, self.sized, self.left = status, sized, closes_after

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        self.asked.append(data)
        if not self.left:
            self.transport.close()
            return
        self.left -= 1
        length = b"content-length: %d\r\n" % len(body) if self.sized else b""
        answer = b"HTTP/1.1 " + self.status + b" Said\r\n" + length + b"\r\n" + body
        self.transport.write(answer[:25])
        self.transport.write(answer[25:])
        assert head.startswith(b"POST /predict ")


async def load(
    *, connections: int, requests: int, status: bytes = b"200", sized: bool = True, closes_after: int = 10**9
) -> tuple[Load, Sequence[Sequence[bytes]]]:
    log: list[list[bytes]] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: Server(log, status=status, sized=sized, closes_after=closes_after), "127.0.0.1", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/predict"
        measured = await drive(url, BODIES, connections=connections, seconds=20.0, requests=requests)
    return measured, [[request.replace(b":%d" % port, b":PORT") for request in asked] for asked in log]


def test_every_answer_is_counted_once_by_its_status() -> None:
    measured, asked = asyncio.run(load(connections=4, requests=50))
    assert measured.statuses == {"200": measured.requests}
    assert 50 <= measured.requests <= sum(map(len, asked))
    assert 0 < measured.p50_ms <= measured.p99_ms < 20_000
    assert measured.requests_per_second == pytest.approx(measured.requests / measured.seconds)


def test_connections_send_whole_requests_in_turn_beginning_at_different_ones() -> None:
    _, asked = asyncio.run(load(connections=3, requests=30))
    whole = [http_request("http://127.0.0.1:PORT/predict", body) for body in BODIES]
    assert [requests[0] for requests in asked] == whole
    assert [requests[:6] for requests in asked] == [(whole * 3)[place : place + 6] for place in range(3)]


def test_refusals_are_told_apart() -> None:
    measured, _ = asyncio.run(load(connections=1, requests=5, status=b"503"))
    assert measured.statuses.keys() == {"503"}


def test_a_connection_closed_in_use_ends_the_measurement() -> None:
    with pytest.raises(ConnectionError, match="closed a connection in use"):
        asyncio.run(load(connections=2, requests=1_000, closes_after=3))


def test_an_answer_whose_end_cannot_be_known_ends_the_measurement() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        asyncio.run(load(connections=1, requests=5, sized=False))
