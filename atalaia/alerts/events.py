"""What goes to the topic of alerts, and what an alert is called by."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Status = Literal["pending", "firing", "resolved"]
Severity = Literal["info", "warning", "critical"]
Monitor = Literal[
    "drift", "performance", "fairness", "coverage", "abstention", "latency", "silence", "attribution"
]


class AlertEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of an alert, as it goes to the topic.

    ``since`` is the start of the first deciding window. An alert ends because its subject was ``clear``, a
    pending one also because nothing followed (``lapsed``), or because a revision took away what it stood
    on (``withdrawn``). The same change has the same ``id`` whoever comes to it.
    """

    id: str
    fingerprint: str
    status: Status
    severity: Severity
    model: str
    version: str
    monitor: Monitor
    subject: str
    since: str
    until: str | None
    evidence: dict[str, Any]
    reason: Literal["clear", "lapsed", "withdrawn"] | None = None


def fingerprint(model: str, version: str, monitor: str, subject: str) -> str:
    """What tells one alert from another, for good.

    >>> fingerprint("m", "1", "drift", "sodium") == fingerprint("m", "1", "drift", "potassium")
    False
    """
    return digest(model, version, monitor, subject)


def rfc3339(time_ms: int) -> str:
    """A time as records carry it.

    >>> rfc3339(0)
    '1970-01-01T00:00:00.000Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def digest(*parts: str) -> str:
    """A short name of texts, the same everywhere."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
