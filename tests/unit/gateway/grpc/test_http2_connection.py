"""A connection without a socket: requests however they come, answers as far as the client takes them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.grpc.http2 import frames
from services.gateway.grpc.http2.connection import Connection
from services.gateway.grpc.http2.frames import Code, ConnectionEnd, Frame, write_frame, write_number
from services.gateway.grpc.http2.headers import HeaderReader, write_headers
from tests.unit.gateway.grpc.clients import CALL, HEAD, TRAILERS, Client


def plain(headers: list[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in headers)


def body_of(got: list[Frame], stream: int) -> bytes:
    return b"".join(frame.payload for frame in got if (frame.kind, frame.stream) == (frames.DATA, stream))


@given(
    bodies=st.lists(st.binary(max_size=40_000), min_size=1, max_size=6),
    timeouts=st.lists(st.sampled_from(["1S", "2S", "3S"]), min_size=6, max_size=6),
    cuts=st.lists(st.integers(0, 300_000), max_size=12),
)
def test_requests_are_the_same_however_the_bytes_are_cut(
    bodies: list[bytes], timeouts: list[str], cuts: list[int]
) -> None:
    client = Client()
    sent = b"".join(
        client.call(1 + 2 * place, body, ("grpc-timeout", timeouts[place]))
        for place, body in enumerate(bodies)
    )
    places = sorted({0, len(sent), *(cut % (len(sent) + 1) for cut in cuts)})
    parts = [sent[start:end] for start, end in pairwise(places)]
    requests = [request for part in parts for request in client.connection.receive(part)]
    assert [request.stream for request in requests] == [1 + 2 * place for place in range(len(bodies))]
    assert [request.body for request in requests] == bodies
    for request, timeout in zip(requests, timeouts, strict=False):
        assert request.headers == plain([*CALL, ("grpc-timeout", timeout)])


@given(
    blocks=st.lists(
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "c-bin"]), st.sampled_from(["1", "2", "x" * 200])),
            max_size=5,
        ),
        min_size=1,
        max_size=30,
    ),
    sizes=st.lists(st.sampled_from([0, 100, 4096]), max_size=3),
)
def test_remembered_headers_are_those_that_would_be_read(
    blocks: list[list[tuple[str, str]]], sizes: list[int]
) -> None:
    client, reader = Client(), HeaderReader()
    for place, headers in enumerate(blocks):
        if place < len(sizes):
            client.encoder.header_table_size = sizes[place]
        assert reader.read(bytes(client.encoder.encode(headers))) == plain(headers)


def test_headers_may_come_in_pieces_padded_and_with_a_priority() -> None:
    client = Client()
    block = client.block()
    padded = b"\x03" + b"\0\0\0\0\x10" + block[:10] + b"\0\0\0"
    flags = frames.PADDED | frames.HAS_PRIORITY
    sent = [
        write_frame(frames.HEADERS, flags, 1, padded),
        write_frame(frames.CONTINUATION, 0, 1, block[10:20]),
        write_frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[20:]),
        write_frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x02hello\0\0"),
    ]
    [request] = client.connection.receive(b"".join(sent))
    assert (request.headers, request.body) == (plain(CALL), b"hello")


def test_a_request_may_end_with_trailers() -> None:
    client = Client()
    client.connection.receive(write_frame(frames.HEADERS, frames.END_HEADERS, 1, client.block()))
    client.connection.receive(write_frame(frames.DATA, 0, 1, b"hello"))
    flags = frames.END_HEADERS | frames.END_STREAM
    [request] = client.connection.receive(write_frame(frames.HEADERS, flags, 1, client.block()))
    assert request.body == b"hello"


def test_the_greeting_says_what_is_taken() -> None:
    settings, window, ack = Client(max_streams=7, max_body_bytes=1_000_000).greeting
    given_settings = dict(frames.read_settings(settings.payload))
    assert given_settings[frames.MAX_CONCURRENT_STREAMS] == 7
    assert given_settings[frames.INITIAL_WINDOW_SIZE] >= 1_000_000
    assert (window.kind, window.stream) == (frames.WINDOW_UPDATE, 0)
    assert (ack.kind, ack.flags) == (frames.SETTINGS, frames.ACK)


def test_a_ping_is_answered() -> None:
    client = Client()
    client.connection.receive(write_frame(frames.PING, 0, 0, b"12345678"))
    assert client.got() == [Frame(frames.PING, frames.ACK, 0, b"12345678")]


def test_frames_of_other_kinds_are_passed_over() -> None:
    client = Client()
    client.connection.receive(write_frame(0xFA, 0, 0, b"?") + write_frame(frames.PRIORITY, 0, 1, bytes(5)))
    assert client.got() == []


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=100_000), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60_000)), max_size=40),
    initial=st.sampled_from([0, 1, 65_535, 2**31 - 1]),
)
def test_answers_arrive_whole_and_never_beyond_what_the_client_takes(
    bodies: list[bytes], steps: list[tuple[int, int]], initial: int
) -> None:
    client = Client()
    client.connection.receive(frames.write_settings({frames.INITIAL_WINDOW_SIZE: initial}))
    streams = [1 + 2 * place for place in range(len(bodies))]
    for stream in streams:
        client.connection.receive(client.call(stream, b""))
    windows = {0: 65_535, **dict.fromkeys(streams, initial)}
    client.got()
    for stream, body in zip(streams, bodies, strict=True):
        client.connection.answer(stream, HEAD, body, TRAILERS)
    got = client.got()
    for which, increment in [*steps, *((place, 500_000) for place in range(5))]:
        place = 0 if which == 0 or which > len(streams) else streams[which - 1]
        if windows[place] + increment < 2**31:
            client.widen(place, increment)
            windows[place] += increment
        got += client.got()
    for stream, body in zip(streams, bodies, strict=True):
        assert body_of(got, stream) == body
        own = [frame for frame in got if frame.stream == stream]
        assert (own[0].kind, own[0].payload) == (frames.HEADERS, HEAD)
        assert (own[-1].kind, own[-1].payload) == (frames.HEADERS, TRAILERS)
        assert [bool(frame.flags & frames.END_STREAM) for frame in own].index(True) == len(own) - 1
    assert client.connection.streams == 0


def test_an_answer_waits_for_the_client() -> None:
    client = Client()
    client.connection.receive(frames.write_settings({frames.INITIAL_WINDOW_SIZE: 10}))
    client.connection.receive(client.call(1, b""))
    client.got()
    client.connection.answer(1, HEAD, b"x" * 25, TRAILERS)
    assert body_of(client.got(), 1) == b"x" * 10
    client.widen(1, 10)
    assert body_of(client.got(), 1) == b"x" * 10
    client.connection.receive(frames.write_settings({frames.INITIAL_WINDOW_SIZE: 15}))
    got = client.got()
    assert body_of(got, 1) == b"x" * 5
    assert got[-1].flags & (frames.END_STREAM | frames.ACK)


def test_a_request_longer_than_allowed_is_told_of_and_the_rest_is_passed_over() -> None:
    client = Client(max_body_bytes=20_000)
    [request] = client.connection.receive(client.call(1, b"x" * 60_000))
    assert (request.stream, request.body) == (1, None)
    client.got()
    client.connection.answer(1, TRAILERS, b"", b"")
    client.connection.cut(1)
    head, reset = client.got()
    assert head.flags & frames.END_STREAM
    assert reset == Frame(frames.RST_STREAM, 0, 1, write_number(Code.NO_ERROR))
    [request] = client.connection.receive(client.call(3, b"short"))
    assert request.body == b"short"


def test_what_is_received_is_made_room_for() -> None:
    client = Client(max_body_bytes=20_000_000)
    room = 8_388_608
    for place in range(10):
        sent = client.call(1 + 2 * place, b"x" * 2_000_000)
        [request] = client.connection.receive(sent)
        assert len(request.body or b"") == 2_000_000
        room -= 2_000_000
        room += sum(
            int.from_bytes(frame.payload, "big")
            for frame in client.got()
            if (frame.kind, frame.stream) == (frames.WINDOW_UPDATE, 0)
        )
        client.connection.answer(request.stream, HEAD, b"y", TRAILERS)
        client.widen(0, 1)
        assert room >= 2_000_000


def test_beyond_so_many_streams_more_are_refused_until_one_is_answered() -> None:
    client = Client(max_streams=2)
    events = client.connection.receive(b"".join(client.call(stream, b"") for stream in (1, 3, 5)))
    assert [event.stream for event in events] == [1, 3]
    assert client.got() == [Frame(frames.RST_STREAM, 0, 5, write_number(Code.REFUSED_STREAM))]
    client.connection.answer(1, HEAD, b"y", TRAILERS)
    assert [event.stream for event in client.connection.receive(client.call(7, b""))] == [7]


def test_a_stream_that_was_reset_is_not_answered() -> None:
    client = Client()
    client.connection.receive(client.call(1, b""))
    client.got()
    client.connection.receive(write_frame(frames.RST_STREAM, 0, 1, write_number(Code.CANCEL)))
    client.connection.answer(1, HEAD, b"y", TRAILERS)
    assert client.got() == []
    assert client.connection.streams == 0


def test_who_leaves_answers_what_is_open_and_takes_nothing_new() -> None:
    client = Client()
    client.connection.receive(client.call(1, b""))
    client.got()
    client.connection.leave()
    [goaway] = client.got()
    assert (goaway.kind, goaway.payload) == (frames.GOAWAY, write_number(1) + write_number(Code.NO_ERROR))
    assert client.connection.receive(client.call(3, b"late")) == []
    assert client.got() == [Frame(frames.RST_STREAM, 0, 3, write_number(Code.REFUSED_STREAM))]
    client.connection.answer(1, HEAD, b"y", TRAILERS)
    assert body_of(client.got(), 1) == b"y"


def test_streams_that_are_opened_to_be_reset_end_the_connection() -> None:
    client = Client()

    def open_and_reset(stream: int) -> bytes:
        return client.call(stream, b"") + write_frame(frames.RST_STREAM, 0, stream, write_number(Code.CANCEL))

    with pytest.raises(ConnectionEnd) as end:
        client.connection.receive(b"".join(map(open_and_reset, range(1, 1_001, 2))))
    assert end.value.code is Code.ENHANCE_YOUR_CALM
    assert client.got()[-1].kind == frames.GOAWAY


_END = frames.END_HEADERS | frames.END_STREAM


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (write_frame(frames.DATA, 0, 1, b"x"), Code.PROTOCOL_ERROR),
        (write_frame(frames.DATA, 0, 0, b"x"), Code.PROTOCOL_ERROR),
        (write_frame(frames.HEADERS, _END, 2, b"\x82"), Code.PROTOCOL_ERROR),
        (write_frame(frames.HEADERS, _END, 0, b"\x82"), Code.PROTOCOL_ERROR),
        (write_frame(frames.HEADERS, _END, 3, b"\x82") * 2, Code.STREAM_CLOSED),
        (write_frame(frames.HEADERS, _END, 1, b"\xff\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR),
        (write_frame(frames.HEADERS, _END | frames.PADDED, 1, b"\x09\x82"), Code.PROTOCOL_ERROR),
        (
            write_frame(frames.HEADERS, 0, 1, b"\x82") + write_frame(frames.PING, 0, 0, bytes(8)),
            Code.PROTOCOL_ERROR,
        ),
        (write_frame(frames.CONTINUATION, 0, 1, b"\x82"), Code.PROTOCOL_ERROR),
        (
            write_frame(frames.HEADERS, 0, 1) + write_frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 3,
            Code.ENHANCE_YOUR_CALM,
        ),
        (write_frame(frames.HEADERS, 0, 1) + write_frame(frames.CONTINUATION, 0, 1), Code.ENHANCE_YOUR_CALM),
        (write_frame(frames.RST_STREAM, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
        (write_frame(frames.RST_STREAM, 0, 1, bytes(3)), Code.FRAME_SIZE_ERROR),
        (write_frame(frames.PING, 0, 0, b"short"), Code.FRAME_SIZE_ERROR),
        (write_frame(frames.SETTINGS, 0, 0, b"short"), Code.FRAME_SIZE_ERROR),
        (write_frame(frames.SETTINGS, 0, 1), Code.PROTOCOL_ERROR),
        (frames.write_settings({frames.INITIAL_WINDOW_SIZE: 2**31}), Code.FLOW_CONTROL_ERROR),
        (frames.write_settings({frames.MAX_FRAME_SIZE: 1}), Code.PROTOCOL_ERROR),
        (write_frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)), Code.FLOW_CONTROL_ERROR),
        (write_frame(frames.WINDOW_UPDATE, 0, 0, write_number(2**31 - 1)), Code.FLOW_CONTROL_ERROR),
        (write_frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
        (write_frame(frames.DATA, 0, 1, bytes(16_385)), Code.FRAME_SIZE_ERROR),
    ],
)
def test_who_breaks_the_protocol_is_told_and_left(sent: bytes, code: Code) -> None:
    client = Client()
    with pytest.raises(ConnectionEnd) as end:
        client.connection.receive(sent)
    assert end.value.code is code
    last = client.got()[-1]
    assert (last.kind, int.from_bytes(last.payload[4:8], "big")) == (frames.GOAWAY, code)


def test_what_is_not_http2_is_left_at_once() -> None:
    with pytest.raises(ConnectionEnd, match="preface"):
        Connection(max_body_bytes=10, max_streams=1).receive(b"GET / HTTP/1.1\r\n")


@given(st.binary(max_size=400))
def test_any_bytes_end_the_connection_or_mean_something(data: bytes) -> None:
    client = Client()
    ended = None
    try:
        client.connection.receive(data)
    except ConnectionEnd as end:
        ended = end
    assert ended is None or client.got()[-1].kind == frames.GOAWAY


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=20_000))))
def test_any_decoder_reads_the_headers_written(headers: list[tuple[bytes, bytes]]) -> None:
    client = Client()
    client.decoder.max_header_list_size = 10**9
    read = client.decoder.decode(write_headers(headers), raw=True)
    assert [(bytes(name), bytes(value)) for name, value in read] == headers
