"""The alerts of a monitor, under windows that may be revised."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from atalaia.alerts.events import AlertEvent, Monitor, digest, fingerprint, rfc3339
from atalaia.alerts.phases import Finding, Judged, Phase, Rule, Transition, advance
from atalaia.windows import Window
from atalaia.windows.definitions import in_time


class TrackState(msgspec.Struct, frozen=True, array_like=True):
    """An alert of one subject: the phase before the windows that may yet be revised, and those windows.

    ``opened`` is the change that led to ``base``, where that is not quiet. ``told`` counts the events of
    each change that was seen; ``believed`` is what the readers of the topic believe.
    """

    base: Phase = Phase()
    judged: tuple[Judged, ...] = ()
    opened: Transition | None = None
    told: dict[str, int] = {}
    believed: Transition | None = None


class AlertFold:
    """The alerts of one monitor of a model's version.

    Each `judge` brings the latest revision of a window; the events it returns bring readers from what they
    believe to what the windows now say. A revision that moves history is told by what stands now: an alert
    that lost its ground is resolved as ``withdrawn``, one that gained it fires.

    >>> fold = AlertFold(model="m", version="1", monitor="drift", rule=Rule(hits=2, of=3, clear=3))
    >>> hit = [Finding("sodium", hit=True)]
    >>> [event.status for event in fold.judge(Window(0, 10), hit) + fold.judge(Window(10, 20), hit)]
    ['pending', 'firing']
    >>> [event.reason for event in fold.judge(Window(0, 10), [Finding("sodium", hit=False)])]
    ['withdrawn', None]
    """

    def __init__(self, *, model: str, version: str, monitor: Monitor, rule: Rule) -> None:
        self.model, self.version, self.monitor, self.rule = model, version, monitor, rule
        self._tracks: dict[str, TrackState] = {}

    def judge(self, window: Window, findings: Sequence[Finding]) -> list[AlertEvent]:
        """The latest revision of a window says ``findings``; subjects it leaves out have no verdict in it."""
        return self.judge_all({window: findings})

    def judge_all(self, told: Mapping[Window, Sequence[Finding]]) -> list[AlertEvent]:
        """As `judge`, of several windows at once: readers hear where it leads, not every turn on the way."""
        found = {
            (finding.subject, window): finding for window, findings in told.items() for finding in findings
        }
        known = {
            subject
            for subject, track in self._tracks.items()
            if any(entry.window in told for entry in track.judged)
        }
        events = []
        for subject in sorted(known.union(subject for subject, _ in found)):
            track = self._tracks.get(subject, TrackState())
            others = [entry for entry in track.judged if entry.window not in told]
            others += [
                Judged(*window, found[subject, window]) for window in told if (subject, window) in found
            ]
            judged = tuple(sorted(others, key=lambda entry: in_time(entry.window)))
            events += self._tell(subject, track, judged)
        return events

    def restart(self) -> None:
        """Begin anew at any window; what readers believe stands until the next one that is judged."""
        self._tracks = {
            subject: TrackState(told=dict(track.told), believed=track.believed)
            for subject, track in self._tracks.items()
            if track.believed is not None
        }

    def lapse(self) -> list[AlertEvent]:
        """Begin anew at any window, and say that what stood until now is over."""
        events = []
        for subject, track in sorted(self._tracks.items()):
            told, believed = dict(track.told), track.believed
            if believed is not None and believed.status != "resolved":
                believed = Transition("resolved", believed.since_ms, believed.windows, "lapsed")
                turn = told.get(believed.key, 0)
                told[believed.key] = turn + 1
                events.append(self._event(subject, believed, turn))
            self._tracks[subject] = TrackState(told=told, believed=believed)
        return events

    def end(self) -> list[AlertEvent]:
        """No window will come any more: whatever is pending or firing has lapsed."""
        events = []
        for subject, track in sorted(self._tracks.items()):
            believed = track.believed
            if believed is not None and believed.status != "resolved":
                lapsed = Transition("resolved", believed.since_ms, believed.windows, "lapsed")
                events.append(self._event(subject, lapsed, track.told.get(lapsed.key, 0)))
        self._tracks = {}
        return events

    def settle(self, before_ms: int) -> None:
        """Windows that end by then cannot be revised any more: fold them for good, forget their evidence."""
        for subject, track in self._tracks.items():
            base, opened, judged = track.base, track.opened, track.judged
            while judged and judged[0].end_ms <= before_ms:
                base, transition = advance(self.rule, base, judged[0])
                opened = transition or opened
                judged = judged[1:]
            kept = {entry.key for entry in (opened, track.believed) if entry is not None}
            told = {
                key: count
                for key, count in track.told.items()
                if key in kept or int(key.rsplit(" ", 1)[1]) > before_ms
            }
            self._tracks[subject] = TrackState(base, judged, opened, told, track.believed)

    def current(self) -> list[AlertEvent]:
        """The last event of each alert that is pending or firing, as readers believe it."""
        return [
            self._event(subject, track.believed, track.told[track.believed.key] - 1)
            for subject, track in sorted(self._tracks.items())
            if track.believed is not None and track.believed.status != "resolved"
        ]

    def snapshot(self) -> dict[str, TrackState]:
        """What `restore` takes."""
        return dict(self._tracks)

    def restore(self, tracks: Mapping[str, TrackState]) -> None:
        """Go on from where a snapshot was taken."""
        self._tracks = dict(tracks)

    def _tell(self, subject: str, track: TrackState, judged: tuple[Judged, ...]) -> list[AlertEvent]:
        phase, transitions = _fold(self.rule, track.base, judged)
        told, believed = dict(track.told), track.believed
        events = []
        for transition in _news(phase, transitions, track):
            turn = told.get(transition.key, 0)
            told[transition.key] = turn + 1
            events.append(self._event(subject, transition, turn))
            believed = transition
        for transition in transitions:
            told.setdefault(transition.key, 0)
        self._tracks[subject] = TrackState(track.base, judged, track.opened, told, believed)
        return events

    def _event(self, subject: str, transition: Transition, turn: int) -> AlertEvent:
        mark = fingerprint(self.model, self.version, self.monitor, subject)
        last = transition.windows[-1]
        return AlertEvent(
            id=digest(mark, transition.key, str(turn)),
            fingerprint=mark,
            status=transition.status,
            severity=last.finding.severity or self.rule.severity,
            model=self.model,
            version=self.version,
            monitor=self.monitor,
            subject=subject,
            since=rfc3339(transition.since_ms),
            until=rfc3339(last.end_ms) if transition.status == "resolved" else None,
            evidence={"windows": [_evidence(entry) for entry in transition.windows]},
            reason=transition.reason,
        )


def _fold(rule: Rule, phase: Phase, judged: Sequence[Judged]) -> tuple[Phase, list[Transition]]:
    transitions = []
    for entry in judged:
        phase, transition = advance(rule, phase, entry)
        if transition is not None:
            transitions.append(transition)
    return phase, transitions


def _news(phase: Phase, transitions: Sequence[Transition], track: TrackState) -> list[Transition]:
    """What to tell readers who believe ``track.believed`` so that they believe what stands now."""
    believed = track.believed
    news: list[Transition] = []
    if believed is not None and _lost(believed, phase, transitions):
        news.append(Transition("resolved", believed.since_ms, believed.windows, "withdrawn"))
    goes_on = believed is not None and believed.status == phase.status == "firing"
    for transition in transitions:
        last = news[-1] if news else believed
        restated = last is not None and _standing(last) == _standing(transition)
        if transition.key in track.told or restated or (goes_on and transition.status == "pending"):
            continue
        news.append(transition)
    last = news[-1] if news else believed
    stands = ("quiet", 0) if phase.status == "quiet" else (phase.status, phase.since_ms)
    if stands != (("quiet", 0) if last is None else _standing(last)):
        # What stands was told before, and something else since.
        told = [*([] if track.opened is None else [track.opened]), *transitions]
        news.append([entry for entry in told if _standing(entry) == stands][-1])
    return news


def _lost(believed: Transition, phase: Phase, transitions: Sequence[Transition]) -> bool:
    """Whether an alert readers believe in has lost its ground, and none like it has taken its place."""
    if believed.status == "resolved" or phase.status in (believed.status, "firing"):
        return False
    return not any(
        entry.since_ms == believed.since_ms and entry.status in (believed.status, "resolved")
        for entry in transitions
    )


def _standing(transition: Transition) -> tuple[str, int]:
    """The phase a change leads to."""
    return ("quiet", 0) if transition.status == "resolved" else (transition.status, transition.since_ms)


def _evidence(entry: Judged) -> dict[str, Any]:
    return {"start": rfc3339(entry.start_ms), "end": rfc3339(entry.end_ms), **entry.finding.evidence}
