"""Load over HTTP: each connection is kept alive and sends its next request when the last is answered.

``python -m bench.http_load URL BODIES``, with BODIES a file of request bodies, one a line.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench import load
from bench.load import Connection, Load

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Caller(Connection):
    """One request at a time.

    Parameters
    ----------
    requests : whole requests, sent in turn
    first : place in them of the first to be sent
    """

    def __init__(self, requests: Sequence[bytes], first: int) -> None:
        super().__init__()
        self._requests = requests
        self._next = first
        self._received = b""
        self._sent_at = 0.0

    def begin(self) -> None:
        """Send the first request."""
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole, and send the next request."""
        self._received = received = self._received + data if self._received else data
        head_end = received.find(_HEAD_END)
        try:
            whole = head_end >= 0 and len(received) >= head_end + 4 + content_length(received[:head_end])
        except ValueError as error:
            self.fail(error)
            return
        if not whole:
            return
        self.seconds.append(time.perf_counter() - self._sent_at)
        self.statuses[received[9:12].decode()] += 1
        self._received = b""
        if self.last:
            self.ended.set_result(None)
            self.transport.close()
        else:
            self._send()

    def _send(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent_at = time.perf_counter()
        self.transport.write(request)


def content_length(head: bytes) -> int:
    """Length of the body that follows the head of a response.

    Raises
    ------
    ValueError
        where the head does not say, as none of the servers measured here does.

    >>> content_length(b"HTTP/1.1 200 OK\\r\\nContent-Length: 17")
    17
    """
    lowered = head.lower()
    place = lowered.find(_LENGTH)
    if place < 0:
        raise ValueError(f"expected a response with a Content-Length, got {head!r}")
    return int(lowered[place + len(_LENGTH) :].split(b"\r\n", 1)[0])


def http_request(url: str, body: bytes, headers: Sequence[str] = (), place: int = 0) -> bytes:
    """A POST of JSON, as bytes; ``{place}`` in a header is the request's own number.

    >>> http_request("http://localhost:1/predict", b"{}", ["Idempotency-Key: {place}"], 7).splitlines()[4]
    b'Idempotency-Key: 7'
    """
    parts = urlsplit(url)
    further = "".join(f"{header.replace('{place}', str(place))}\r\n" for header in headers)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{further}\r\n"
    )
    return head.encode() + body


async def drive(
    url: str,
    bodies: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    requests: int | None = None,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
    headers: Sequence[str] = (),
) -> Load:
    """Load a server for ``seconds``, or until so many ``requests`` are answered if that is sooner."""
    parts = urlsplit(url)
    prepared = [http_request(url, body, headers, place) for place, body in enumerate(bodies)]
    firsts = [place * len(prepared) // connections for place in range(connections)]
    return await load.drive(
        parts.hostname or "",
        parts.port or 80,
        [partial(Caller, prepared, first) for first in firsts],
        seconds=seconds,
        requests=requests,
        warm_up_seconds=warm_up_seconds,
        pids=pids,
    )


def run(
    url: str,
    bodies: Path,
    *,
    connections: int,
    seconds: float,
    requests: int | None = None,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
    headers: Sequence[str] = (),
) -> Load:
    """`drive` in a process of its own.

    Raises
    ------
    RuntimeError
        with what the generator said where it failed.
    """
    arguments = [url, str(bodies), f"--connections={connections}"]
    arguments += [f"--header={header}" for header in headers]
    if requests is not None:
        arguments.append(f"--requests={requests}")
    return load.run("bench.http_load", arguments, seconds=seconds, warm_up_seconds=warm_up_seconds, pids=pids)


def main(arguments: Sequence[str] | None = None) -> None:
    """Drive as the command line says."""
    parser = load.command_line("bench.http_load")
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    given = parser.parse_args(arguments)
    driving = drive(
        given.url,
        given.bodies.read_bytes().splitlines(),
        connections=given.connections,
        seconds=given.seconds,
        requests=given.requests,
        warm_up_seconds=given.warm_up,
        pids=dict(given.pid),
        headers=given.header,
    )
    load.tell(driving)


if __name__ == "__main__":
    main()
