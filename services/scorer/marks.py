"""Marks of time on `requests`: observed as they are, answered by nobody, and believed only when whole."""

import msgspec

from atalaia.errors import NotReadable
from atalaia.records import TimeMark
from atalaia.stream.headers import MARK
from atalaia.topics import REQUESTS

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, which is what a time can be written in."""

MAX_REPLAY_CHARACTERS = 100
FRAME_BYTES = 200
"""What an observation adds around a mark."""

_decoder = msgspec.json.Decoder(TimeMark)


def read_mark(value: bytes) -> TimeMark:
    """The mark a replay wrote. Monitors keep state for what it names, so nothing about it may be open.

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
    if mark.kind == "clock" or mark.model is None or not mark.replay:
        raise NotReadable(
            "a mark of time on requests is a replay's: expected kind begin, at or end, a model and a replay"
        )
    if len(mark.replay) > MAX_REPLAY_CHARACTERS:
        raise NotReadable(
            f"a replay's name has {len(mark.replay)} characters, expected at most {MAX_REPLAY_CHARACTERS}"
        )
    if not EARLIEST_MS <= mark.time_ms <= LATEST_MS:
        raise NotReadable(f"a mark of time says {mark.time_ms} ms, expected a time of the years 1 to 9999")
    if mark.kind == "begin" and not 1 <= mark.partitions <= REQUESTS.partitions:
        raise NotReadable(
            f"a replay that marks {mark.partitions} partitions was announced, "
            f"expected 1 to {REQUESTS.partitions}"
        )
    return mark
