"""Alerts posted to a webhook."""

import msgspec

from atalaia.alerts import AlertEvent, ShownAlert
from services.alerts.posting import Endpoint
from services.alerts.sinks.base import Show, Taken


class WebhookSink:
    """Posts every event as it is on the topic, with ``acknowledged_by`` where somebody has acknowledged it.

    An event that comes while it is silenced is never sent. Another attempt, and one after a crash between
    an answer and its record, carries the same ``Idempotency-Key``: the id of the event, in quotes.
    """

    name = "webhook"
    recalls_all = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def recall(self, event: AlertEvent) -> None:
        """Nothing is remembered."""

    def take(self, shown: ShownAlert) -> Taken:
        """One post."""
        if shown.silenced_by:
            return "silenced"
        body = msgspec.to_builtins(shown.event)
        if shown.acknowledged_by:
            body["acknowledged_by"] = list(shown.acknowledged_by)
        self._endpoint.post(msgspec.json.encode(body), {"Idempotency-Key": f'"{shown.event.id}"'})
        return "delivered"

    def repeat(self, show: Show) -> None:
        """Nothing is said twice."""
