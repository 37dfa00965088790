"""Messages on `requests` that are no requests: marks of replays and of deployments."""

import msgspec

from atalaia.errors import NotReadable
from atalaia.records import ObservedMark, TimeMark
from atalaia.stream.headers import MARK

_decoder = msgspec.json.Decoder(TimeMark)


def is_mark(headers: list[tuple[str, bytes | None]]) -> bool:
    """Whether a message says of itself that it is one."""
    return any(name == MARK for name, _ in headers)


def read_mark(partition: int, offset: int, value: bytes | None) -> ObservedMark:
    """The mark; it is observed, and answers nobody.

    Raises
    ------
    NotReadable
        where it is none, or lacks what it speaks of.
    """
    try:
        mark = _decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotReadable(f"the header {MARK!r} announces a mark; this is none: {error}") from error
    told = mark.deployed_at if mark.kind == "deployment" else mark.replay
    if mark.model is None or told is None:
        raise NotReadable("a mark on requests needs its model, and its replay or deployed_at")
    return ObservedMark(partition, offset, mark)
