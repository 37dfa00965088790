"""One JSON line for each request, gathered and written together."""

import time
from datetime import UTC, datetime
from typing import Any, BinaryIO

from atalaia.telemetry.logs import as_json_line

_GATHERED = 500


class RequestLog:
    """Lines wait in memory for `flush`, which the gateway calls every half second and at its end.

    Parameters
    ----------
    stream : where lines go; None keeps no log
    """

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._now_ms, self._text = -1, ""

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line; the time is put in front."""
        if self._stream is None:
            return
        self._lines.append(as_json_line({"ts": self._now(), **entry}))
        if len(self._lines) >= _GATHERED:
            self.flush()

    def _now(self) -> str:
        """The time as text, made once a millisecond."""
        now_ms = time.time_ns() // 1_000_000
        if now_ms != self._now_ms:
            self._now_ms = now_ms
            self._text = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return self._text

    def flush(self) -> None:
        """Write what is waiting."""
        if self._stream is None or not self._lines:
            return
        lines, self._lines = self._lines, []
        self._stream.write(b"".join(lines))
        self._stream.flush()
