"""The latest results of the monitors, by window, bounded. Pure, but for the lock that readers share."""

import threading
import zlib
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from atalaia.alerts import rfc3339
from atalaia.errors import FieldProblem, InvalidInput
from atalaia.inference.columns import parse_time
from atalaia.results import Cut, ResultWindow

KEPT_WINDOWS = 1_000
"""Of each version, role and monitor."""

KEPT_BYTES = 67_108_864
"""Of all results together, compressed."""

Place = tuple[int, int]
"""Start and end of a window."""
Order = tuple[int, int, int]
"""What orders the revisions of a window: generation, observations, labels."""


class _Head(msgspec.Struct):
    """What a result is filed under."""

    model: str
    version: str
    role: str
    window: ResultWindow
    cut: Cut


class Wanted(NamedTuple):
    """Which windows are asked for: the latest of each version and role, or all within [start_ms, end_ms]."""

    kind: Literal["latest", "within"]
    start_ms: float = float("-inf")
    end_ms: float = float("inf")


class Unkept(NamedTuple):
    """Windows that were published but are no longer held, the last of which ends at ``until``."""

    version: str
    role: str
    windows: int
    until: str


class Found(NamedTuple):
    """Results as they were published, by the ends of their windows, and what is missing before them."""

    packed: list[bytes]
    unkept: list[Unkept]

    def results(self) -> list[bytes]:
        """Each as JSON."""
        return [zlib.decompress(entry) for entry in self.packed]


@dataclass(slots=True)
class _Stream:
    """The windows of one version in one role."""

    windows: dict[Place, tuple[Order, bytes]] = field(default_factory=dict)
    bytes: int = 0
    dropped: int = 0
    dropped_ms: int = 0

    def misses(self, wanted: Wanted) -> bool:
        """Whether windows that are asked for may have been let go."""
        if not self.dropped:
            return False
        return not self.windows if wanted.kind == "latest" else wanted.start_ms < self.dropped_ms

    def drop_earliest(self) -> int:
        """Let go of the window that ended first; the bytes that frees."""
        place = min(self.windows, key=lambda place: (place[1], place[0]))
        freed = len(self.windows.pop(place)[1])
        self.bytes -= freed
        self.dropped += 1
        self.dropped_ms = max(self.dropped_ms, place[1])
        return freed


def read_window(text: str) -> Wanted:
    """``latest``, ``all``, or ``START/END`` as RFC 3339 times.

    Raises
    ------
    InvalidInput

    >>> read_window("1970-01-01T00:00:01Z/1970-01-01T00:00:02Z")
    Wanted(kind='within', start_ms=1000, end_ms=2000)
    """
    if text == "latest":
        return Wanted("latest")
    if text == "all":
        return Wanted("within")
    start, _, end = text.partition("/")
    expected = "latest, all, or START/END such as 2026-01-31T12:00:00Z/2026-01-31T13:00:00Z"
    try:
        # A plus sign that was not escaped arrives as a space.
        wanted = Wanted("within", parse_time(start.replace(" ", "+")), parse_time(end.replace(" ", "+")))
    except ValueError:
        raise InvalidInput([FieldProblem("window", repr(text[:80]), expected)]) from None
    if wanted.end_ms <= wanted.start_ms:
        raise InvalidInput([FieldProblem("window", "ends before it starts", expected)])
    return wanted


class WindowIndex:
    """Holds the latest revision of each window, as bytes, compressed.

    Beyond its bounds the windows that ended first are let go, and counted, so that an answer can say so.
    Safe between a thread that takes and others that ask.
    """

    def __init__(self, *, kept_windows: int = KEPT_WINDOWS, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_windows = kept_windows
        self._kept_bytes = kept_bytes
        self._streams: dict[tuple[str, str], dict[tuple[str, str], _Stream]] = {}
        self._lock = threading.Lock()
        self.bytes = 0
        self.windows = 0

    def take(self, monitor: str, value: bytes) -> None:
        """A result, in whichever order revisions come.

        Raises
        ------
        ValueError
            where it is none.
        """
        head = msgspec.json.decode(value, type=_Head)
        place = parse_time(head.window.start), parse_time(head.window.end)
        order = head.cut.generation, head.cut.observations, head.cut.labels or 0
        packed = zlib.compress(value, 1)
        with self._lock:
            streams = self._streams.setdefault((monitor, head.model), {})
            stream = streams.setdefault((head.version, head.role), _Stream())
            known = stream.windows.get(place)
            if known is not None and known[0] > order:
                return
            if known is None and stream.dropped and place[1] <= stream.dropped_ms:
                return  # a late revision of a window let go of, counted already
            stream.windows[place] = order, packed
            more = len(packed) - (0 if known is None else len(known[1]))
            stream.bytes += more
            self.bytes += more
            self.windows += known is None
            self._shrink(stream)

    def find(
        self, monitor: str, model: str, wanted: Wanted, *, version: str | None = None, role: str | None = None
    ) -> Found:
        """The latest revisions of the windows asked for."""
        with self._lock:
            streams = {
                key: stream
                for key, stream in sorted(self._streams.get((monitor, model), {}).items())
                if version in (None, key[0]) and role in (None, key[1])
            }
            chosen = [
                (place, key, stream.windows[place][1])
                for key, stream in streams.items()
                for place in _choose(stream, wanted)
            ]
            unkept = [
                Unkept(*key, stream.dropped, rfc3339(stream.dropped_ms))
                for key, stream in streams.items()
                if stream.misses(wanted)
            ]
        chosen.sort(key=lambda entry: (entry[0][1], entry[0][0], entry[1]))
        return Found([packed for _, _, packed in chosen], unkept)

    def _shrink(self, stream: _Stream) -> None:
        while len(stream.windows) > self._kept_windows:
            self._drop(stream)
        while self.bytes > self._kept_bytes and self.windows > 1:
            everyone = (entry for streams in self._streams.values() for entry in streams.values())
            self._drop(max(everyone, key=lambda entry: entry.bytes))

    def _drop(self, stream: _Stream) -> None:
        self.bytes -= stream.drop_earliest()
        self.windows -= 1


def _choose(stream: _Stream, wanted: Wanted) -> list[Place]:
    if wanted.kind == "latest":
        end_ms = max((end for _, end in stream.windows), default=0)
        return [place for place in stream.windows if place[1] == end_ms]
    return [place for place in stream.windows if wanted.start_ms <= place[0] and place[1] <= wanted.end_ms]
