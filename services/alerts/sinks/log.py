"""Alerts as JSON lines on stdout."""

import sys
from typing import BinaryIO

import msgspec

from atalaia.alerts import AlertEvent, ShownAlert
from atalaia.telemetry.logs import as_json_line
from services.alerts.sinks.base import Show, Taken


class LogSink:
    """Every event, silenced ones too: the line says so."""

    name = "log"
    recalls_all = False

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = sys.stdout.buffer if stream is None else stream

    def recall(self, event: AlertEvent) -> None:
        """Nothing is remembered."""

    def take(self, shown: ShownAlert) -> Taken:
        """One line."""
        line = {
            "alert": msgspec.to_builtins(shown.event),
            "silenced": bool(shown.silenced_by),
            "acknowledged_by": list(shown.acknowledged_by),
        }
        self._stream.write(as_json_line(line))
        self._stream.flush()
        return "delivered"

    def repeat(self, show: Show) -> None:
        """Nothing is said twice."""
