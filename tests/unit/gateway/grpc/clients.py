"""A client of HTTP/2 for tests: it writes frames with the library hpack and reads what comes back."""

from hpack import Decoder, Encoder

from services.gateway.grpc.http2 import frames
from services.gateway.grpc.http2.connection import Connection
from services.gateway.grpc.http2.frames import Frame, FrameReader, write_frame

CALL = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/inference.GRPCInferenceService/ModelInfer"),
    (":authority", "here"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]
HEAD, TRAILERS = b"\x88", b"\x00\x0bgrpc-status\x010"


class Client:
    """What a client would send, and the frames that it gets."""

    def __init__(self, *, max_body_bytes: int = 100_000, max_streams: int = 10) -> None:
        self.connection = Connection(max_body_bytes=max_body_bytes, max_streams=max_streams)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.connection.receive(frames.PREFACE + frames.write_settings({}))
        self.greeting = self.got()

    def block(self, *more: tuple[str, str]) -> bytes:
        return bytes(self.encoder.encode([*CALL, *more]))

    def call(self, stream: int, body: bytes, *more: tuple[str, str]) -> bytes:
        """Headers and the body, in frames no longer than allowed."""
        parts = [write_frame(frames.HEADERS, frames.END_HEADERS, stream, self.block(*more))]
        size = frames.MAX_FRAME_BYTES
        pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        for place, piece in enumerate(pieces):
            flags = frames.END_STREAM if place == len(pieces) - 1 else 0
            parts.append(write_frame(frames.DATA, flags, stream, piece))
        return b"".join(parts)

    def got(self) -> list[Frame]:
        """The frames of the server since the last time."""
        reader = FrameReader()
        list(reader.read(frames.PREFACE))
        return list(reader.read(self.connection.take()))

    def widen(self, stream: int, increment: int) -> None:
        self.connection.receive(write_frame(frames.WINDOW_UPDATE, 0, stream, frames.write_number(increment)))
