"""What people recorded about alerts, applied when those are read."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from atalaia.alerts.events import AlertEvent, Monitor


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Alerts that are nobody's call for a while; what is not given matches all."""

    id: str
    starts_at: str
    ends_at: str
    by: str
    comment: str = ""
    fingerprint: str | None = None
    model: str | None = None
    version: str | None = None
    monitor: Monitor | None = None
    subject: str | None = None

    def covers(self, event: AlertEvent, now: datetime) -> bool:
        """Whether it silences an alert at a time."""
        if not datetime.fromisoformat(self.starts_at) <= now < datetime.fromisoformat(self.ends_at):
            return False
        wanted = {name: getattr(self, name) for name in _MATCHED}
        return all(value is None or value == getattr(event, name) for name, value in wanted.items())


_MATCHED = ("fingerprint", "model", "version", "monitor", "subject")


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody has seen an alert, as it stands since then; the next one asks anew."""

    id: str
    fingerprint: str
    since: str
    by: str
    at: str
    comment: str = ""


class SilenceRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the two, as it goes to the topic `silences`; its key is the id within."""

    silence: Silence | None = None
    acknowledgement: Acknowledgement | None = None


class ShownAlert(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert as it is read: its last event, and who silenced or acknowledged it."""

    event: AlertEvent
    silenced_by: tuple[str, ...] = ()
    acknowledged_by: tuple[str, ...] = ()


def show(
    events: Iterable[AlertEvent],
    silences: Sequence[Silence],
    acknowledgements: Sequence[Acknowledgement],
    *,
    now: datetime,
) -> list[ShownAlert]:
    """The alerts as they stand after ``events``, by their first event, under what people recorded."""
    latest: dict[str, AlertEvent] = {}
    for event in events:
        latest[event.fingerprint] = event
    return [
        ShownAlert(
            event,
            tuple(silence.id for silence in silences if silence.covers(event, now)),
            tuple(
                entry.by
                for entry in acknowledgements
                if (entry.fingerprint, entry.since) == (event.fingerprint, event.since)
            ),
        )
        for event in latest.values()
    ]
