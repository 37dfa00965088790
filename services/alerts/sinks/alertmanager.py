"""Alerts for an Alertmanager, by its API v2."""

from collections.abc import Callable
from typing import Any

import msgspec

from atalaia.alerts import AlertEvent, ShownAlert
from services.alerts.posting import Endpoint
from services.alerts.sinks.base import Show, Taken

PATH = "/api/v2/alerts"


class AlertmanagerSink:
    """Tells an Alertmanager what fires, again and again as it asks of its clients, and what is resolved.

    It knows what fires from all retained events, so that one that was fired before it was first started is
    told too. Pending alerts are none of an Alertmanager's. While an alert is silenced nothing is told of it;
    Alertmanager then lets it expire.

    Parameters
    ----------
    endpoint : of the path `PATH`
    repeat_seconds : how often firing alerts are told again; below Alertmanager's ``resolve_timeout``
    now : a clock that only goes on
    """

    name = "alertmanager"
    recalls_all = True

    def __init__(self, endpoint: Endpoint, *, repeat_seconds: float, now: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._repeat_seconds = repeat_seconds
        self._now = now
        self._due_at = now()
        self._firing: dict[str, AlertEvent] = {}
        self._ending: str | None = None

    def recall(self, event: AlertEvent) -> None:
        """What fires is told again; what was resolved is forgotten."""
        if event.status == "firing":
            self._firing[event.fingerprint] = event
        elif event.status == "resolved":
            self._firing.pop(event.fingerprint, None)

    def take(self, shown: ShownAlert) -> Taken:
        """What fires and what no longer does."""
        event = shown.event
        if event.status == "resolved" and self._firing.pop(event.fingerprint, None) is not None:
            self._ending = event.id
        elif event.status == "firing":
            self._firing[event.fingerprint] = event
        elif self._ending != event.id:  # pending, or the end of what was never told
            return "unneeded"
        if shown.silenced_by:
            return "silenced"
        self._post([shown])
        return "delivered"

    def repeat(self, show: Show) -> None:
        """All that fires and is not silenced, in one post."""
        if self._now() < self._due_at:
            return
        self._due_at = self._now() + self._repeat_seconds
        told = [shown for event in self._firing.values() if not (shown := show(event)).silenced_by]
        if told:
            self._post(told)

    def _post(self, told: list[ShownAlert]) -> None:
        self._endpoint.post(msgspec.json.encode([_posted(shown) for shown in told]), {})


def _posted(shown: ShownAlert) -> dict[str, Any]:
    """An alert in the form of Alertmanager's API."""
    event = shown.event
    annotations = {"summary": _summary(event), "evidence": msgspec.json.encode(event.evidence).decode()}
    if shown.acknowledged_by:
        annotations["acknowledged_by"] = ", ".join(shown.acknowledged_by)
    posted: dict[str, Any] = {
        "labels": {
            "alertname": f"Atalaia{event.monitor.capitalize()}",
            "model": event.model,
            "version": event.version,
            "monitor": event.monitor,
            "subject": event.subject,
            "severity": event.severity,
            "fingerprint": event.fingerprint,
        },
        "annotations": annotations,
        "startsAt": event.since,
    }
    if event.status == "resolved":
        # An end before the beginning is refused; times in records are of one form, and sort as texts.
        posted["endsAt"] = max(event.until or event.since, event.since)
    return posted


def _summary(event: AlertEvent) -> str:
    what = f"{event.monitor} of {event.model} {event.version}: {event.subject}"
    if event.status == "firing":
        return f"{what}, since {event.since}"
    reason = f" ({event.reason})" if event.reason else ""
    return f"{what}, from {event.since} to {event.until}{reason}"
