"""Alert events for sinks."""

from typing import Any

import msgspec

from atalaia.alerts import AlertEvent, ShownAlert

FIRING = AlertEvent(
    id="e1",
    fingerprint="f1",
    status="firing",
    severity="warning",
    model="bmp",
    version="2",
    monitor="drift",
    subject="sodium",
    since="2026-01-31T12:00:00.000Z",
    until=None,
    evidence={"windows": [{"p": 0.001}]},
)


def event(**changes: Any) -> AlertEvent:
    return msgspec.structs.replace(FIRING, **changes)


def resolved(**changes: Any) -> AlertEvent:
    given = {"id": "e2", "status": "resolved", "until": "2026-01-31T15:00:00.000Z", "reason": "clear"}
    return event(**(given | changes))


def shown(alert: AlertEvent, *, silenced: bool = False, by: tuple[str, ...] = ()) -> ShownAlert:
    return ShownAlert(alert, ("s1",) if silenced else (), by)
