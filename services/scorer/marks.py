"""Marks on `requests`, of replays and deployments: observed, answered by nobody, believed only when whole."""

import msgspec

from atalaia.errors import NotReadable
from atalaia.records import TimeMark
from atalaia.stream.headers import MARK
from atalaia.topics import REQUESTS

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, which is what a time can be written in."""

MAX_NAME_CHARACTERS = 100
FRAME_BYTES = 200
"""What an observation adds around a mark."""

_decoder = msgspec.json.Decoder(TimeMark)


def is_mark(headers: list[tuple[str, bytes | None]]) -> bool:
    """Whether a message says of itself that it is one."""
    return any(name == MARK for name, _ in headers)


def read_mark(value: bytes) -> TimeMark:
    """The mark of a replay or a deployment. Monitors keep state for what it names, so nothing may be open.

    Raises
    ------
    NotReadable
        saying what is wrong with it.
    """
    try:
        mark = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadable(
            f"the header {MARK!r} announces a mark of time, which this is not: {error}"
        ) from error
    name = mark.deployed_at if mark.kind == "deployment" else mark.replay
    if mark.kind == "clock" or mark.model is None or not name:
        raise NotReadable(
            "a mark on requests is a replay's, of kind begin, at or end with a model and a replay, "
            "or a deployment's, with its model and deployed_at"
        )
    if len(name) > MAX_NAME_CHARACTERS:
        raise NotReadable(
            f"the name in a mark has {len(name)} characters, expected at most {MAX_NAME_CHARACTERS}"
        )
    if not EARLIEST_MS <= mark.time_ms <= LATEST_MS:
        raise NotReadable(f"a mark of time says {mark.time_ms} ms, expected a time of the years 1 to 9999")
    if mark.kind == "begin" and not 1 <= mark.partitions <= REQUESTS.partitions:
        raise NotReadable(
            f"a replay that marks {mark.partitions} partitions was announced, "
            f"expected 1 to {REQUESTS.partitions}"
        )
    return mark
