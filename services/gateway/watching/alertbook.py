"""The alerts as they stand, and what people recorded of them. Pure, but for the lock that readers share."""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from atalaia.alerts import AlertEvent, Silence, SilenceRecord, show

KEPT_RESOLVED = 2_000
"""Resolved alerts that are still shown; the one that began first is let go first."""


class AlertBook:
    """The last event of each alert, the silences and the acknowledgements.

    Safe between a thread that takes and others that ask.
    """

    def __init__(self, *, kept_resolved: int = KEPT_RESOLVED) -> None:
        self._kept_resolved = kept_resolved
        self._events: dict[str, AlertEvent] = {}
        self._records: dict[str, SilenceRecord] = {}
        self._lock = threading.Lock()

    def take_event(self, value: bytes) -> None:
        """An event, in log order.

        Raises
        ------
        ValueError
            where it is none.
        """
        event = msgspec.json.decode(value, type=AlertEvent)
        with self._lock:
            self._events[event.fingerprint] = event
            if event.status != "resolved":
                return
            resolved = [mark for mark, known in self._events.items() if known.status == "resolved"]
            for mark in resolved[: max(0, len(resolved) - self._kept_resolved)]:
                del self._events[mark]

    def take_record(self, key: str, value: bytes | None) -> None:
        """A silence or an acknowledgement, in log order.

        Raises
        ------
        ValueError
            where it is none.
        """
        record = None if value is None else msgspec.json.decode(value, type=SilenceRecord)
        with self._lock:
            if record is None:
                self._records.pop(key, None)
            else:
                self._records[key] = record

    def event(self, fingerprint: str) -> AlertEvent | None:
        """The last event of an alert."""
        with self._lock:
            return self._events.get(fingerprint)

    def alerts(
        self, now: datetime, *, status: str | None = None, model: str | None = None
    ) -> list[dict[str, Any]]:
        """The alerts as they stand, with who silenced or acknowledged them, by their first event."""
        with self._lock:
            events, silences = list(self._events.values()), list(self._silences())
            acknowledged = [
                record.acknowledgement
                for record in self._records.values()
                if record.acknowledgement is not None
            ]
        wanted = [
            event for event in events if status in (None, event.status) and model in (None, event.model)
        ]
        return [
            msgspec.to_builtins(shown.event)
            | {"silenced_by": list(shown.silenced_by), "acknowledged_by": list(shown.acknowledged_by)}
            for shown in show(wanted, silences, acknowledged, now=now)
        ]

    def silence(self, identity: str, now: datetime) -> Silence | None:
        """A silence that is not over."""
        return next((entry for entry in self.silences(now) if entry.id == identity), None)

    def silences(self, now: datetime) -> list[Silence]:
        """The silences that are not over, by their beginning."""
        with self._lock:
            known = list(self._silences())
        return sorted(
            (entry for entry in known if datetime.fromisoformat(entry.ends_at) > now),
            key=lambda entry: (entry.starts_at, entry.id),
        )

    def _silences(self) -> Iterable[Silence]:
        return (record.silence for record in self._records.values() if record.silence is not None)


def present() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
