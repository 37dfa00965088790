"""One JSON line for each request, gathered and written together."""

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

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line; the time is put in front."""
        if self._stream is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._lines.append(as_json_line({"ts": now, **entry}))
        if len(self._lines) >= _GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._stream is None or not self._lines:
            return
        lines, self._lines = self._lines, []
        self._stream.write(b"".join(lines))
        self._stream.flush()
