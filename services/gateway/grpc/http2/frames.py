"""Frames of HTTP/2 (RFC 9113, section 4), and what ends a connection or a stream. Pure."""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
MAX_FRAME_BYTES = 16_384
MAX_WINDOW_BYTES = 2**31 - 1
DEFAULT_WINDOW_BYTES = 65_535

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 2, 3, 4, 5, 6

_HEAD = struct.Struct("!IBI")
_SETTING = struct.Struct("!HI")


class Code(IntEnum):
    """Why a stream or a connection ends (section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionEnd(Exception):
    """The other side broke the protocol so that nothing after it can be understood."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class FrameReader:
    """Cuts what is received into frames, however it comes."""

    def __init__(self) -> None:
        self._rest = PREFACE[:0]
        self._greeted = False

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now.

        Raises
        ------
        ConnectionEnd
            where there is no preface, or a frame is larger than allowed.
        """
        received = self._rest + data if self._rest else data
        place, end = 0, len(received)
        if not self._greeted:
            start = received[: len(PREFACE)]
            if start != PREFACE[: len(start)]:
                raise ConnectionEnd(Code.PROTOCOL_ERROR, "no HTTP/2 preface")
            if len(start) < len(PREFACE):
                self._rest = received
                return
            self._greeted, place = True, len(PREFACE)
        unpack = _HEAD.unpack_from
        while end - place >= HEAD_BYTES:
            sized, flags, stream = unpack(received, place)
            length = sized >> 8
            if length > MAX_FRAME_BYTES:
                raise ConnectionEnd(Code.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            after = place + HEAD_BYTES + length
            if after > end:
                break
            yield Frame(sized & 0xFF, flags, stream & 0x7FFFFFFF, received[place + HEAD_BYTES : after])
            place = after
        self._rest = received[place:]


def write_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as bytes.

    >>> write_frame(PING, ACK, 0, b"12345678")
    b'\\x00\\x00\\x08\\x06\\x01\\x00\\x00\\x00\\x0012345678'
    """
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def write_settings(settings: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return write_frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*entry) for entry in settings.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The settings of a SETTINGS frame, in order.

    Raises
    ------
    ConnectionEnd
    """
    if len(payload) % _SETTING.size:
        raise ConnectionEnd(Code.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    return list(_SETTING.iter_unpack(payload))


def write_number(number: int) -> bytes:
    """A payload of four bytes."""
    return number.to_bytes(4, "big")


def content_of(frame: Frame) -> bytes:
    """The payload of DATA or HEADERS without padding and priority.

    Raises
    ------
    ConnectionEnd
    """
    start, end = 0, len(frame.payload)
    if frame.flags & PADDED:
        start += 1
        end -= frame.payload[0] if frame.payload else 0
    if frame.kind == HEADERS and frame.flags & HAS_PRIORITY:
        start += 5
    if start > end:
        raise ConnectionEnd(Code.PROTOCOL_ERROR, "padding longer than its frame")
    return frame.payload[start:end]
