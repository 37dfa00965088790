"""Alerts: pending, firing, resolved; a fold over the latest revisions of windows, in event time.

A monitor tells of each window which subjects (a column, a pair of groups, a metric) were hit and which were
clear; a `Rule` says how many of the last disjoint windows make an alert and how many end it. No clock takes
part: whoever folds the same windows comes to the same alerts. Silences and acknowledgements are records of
their own, applied when alerts are read, so that they change no alert.
"""

from atalaia.alerts.events import AlertEvent, Monitor, Severity, Status, fingerprint, rfc3339
from atalaia.alerts.fold import AlertFold, TrackState
from atalaia.alerts.phases import Finding, Judged, Phase, Rule, Transition, advance
from atalaia.alerts.silences import Acknowledgement, ShownAlert, Silence, SilenceRecord, show

__all__ = [
    "Acknowledgement",
    "AlertEvent",
    "AlertFold",
    "Finding",
    "Judged",
    "Monitor",
    "Phase",
    "Rule",
    "Severity",
    "ShownAlert",
    "Silence",
    "SilenceRecord",
    "Status",
    "TrackState",
    "Transition",
    "advance",
    "fingerprint",
    "rfc3339",
    "show",
]
