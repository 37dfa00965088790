"""The verified windows of each stream together: what has drifted by each, and the alerts they lead to."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from atalaia.alerts import AlertEvent
from atalaia.auditing import alert_folds
from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.drift_windows import drifted_columns
from atalaia.auditing.persistence import JudgedRun, alert_differs, alert_of, disagreeing
from atalaia.auditing.published import Place, Published, Stream, order
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings

Events = Mapping[str, AlertEvent | None]
"""The last event of each alert by fingerprint; None of one that changed while the topics were read."""


class Told(NamedTuple):
    """A result whose figures are right, and the run that its window ends.

    ``final`` says that nothing more is expected of the window, ``right`` that its detections are right too.
    """

    published: Published
    run: JudgedRun | None
    final: bool
    right: bool


@dataclass(slots=True)
class _Stream:
    """What is told of one stream by one monitor."""

    settings: MonitorSettings
    manifest: Manifest
    told: list[Told] = field(default_factory=list)

    @property
    def results(self) -> list[Published]:
        """Of each window."""
        return [one.published for one in self.told]


class Folds:
    """Folds of the latest results of one partition that were found to be right.

    Parameters
    ----------
    reached : by monitor, the positions of observations and labels all before which is told on the topics
    alerts : None where they are not looked at
    """

    def __init__(self, reached: Mapping[str, tuple[int, int]], alerts: Events | None) -> None:
        self._reached, self._alerts = reached, alerts
        self._streams: dict[tuple[str, Stream], _Stream] = {}

    def note(self, told: Told, settings: MonitorSettings, manifest: Manifest) -> None:
        """One more window."""
        place = told.published.place
        stream = self._streams.setdefault((place.monitor, place.stream), _Stream(settings, manifest))
        stream.told.append(told)

    def differing(
        self,
        latest: Mapping[Place, Published],
        *,
        steady: Callable[[str], bool],
        lapsed: Callable[[Stream], bool],
    ) -> Iterator[tuple[Place, Mismatch]]:
        """What does not follow from all windows of a stream, by the window it is told of.

        Parameters
        ----------
        latest : the last revision of each window
        steady : of a model, whether neither settings nor replays began anything anew, and nothing has expired
        lapsed : whether it is not known of a stream's every window what came before it
        """
        count: dict[tuple[str, Stream], int] = defaultdict(int)
        for place in latest:
            count[place.monitor, place.stream] += 1
        for (monitor, stream), told in self._streams.items():
            if not steady(stream.model):
                continue
            if monitor == "drift":
                yield from self._differing_drift(stream, told)
            if count[monitor, stream] == len(told.told) and self._is_known(monitor, told):
                yield from self._differing_alerts(stream, told, coverage=not lapsed(stream))

    def _differing_drift(self, stream: Stream, told: _Stream) -> Iterator[tuple[Place, Mismatch]]:
        """What has drifted by each window against all judged runs, and the alert on it."""
        drifted = {one.place: drifted_columns(one.body) for one in told.results}
        runs = [one.run for one in told.told if one.run is not None]
        yield from self._differing_drift_alert(stream, told, runs)
        for place, folded in disagreeing(runs, drifted):
            yield place, Mismatch("drifted columns", sorted(drifted[place]), sorted(folded))

    def _differing_drift_alert(
        self, stream: Stream, told: _Stream, runs: Sequence[JudgedRun]
    ) -> Iterator[tuple[Place, Mismatch]]:
        """The alert by what had drifted by the last run, once what followed from that is told too."""
        ended = {run.window.end_ms for run in runs}
        results = [one for one in told.results if one.place.window.end_ms in ended]
        mark = alert_of(stream)
        if not results or self._alerts is None or (mark in self._alerts and self._alerts[mark] is None):
            return
        last = max(results, key=lambda one: one.place.window.end_ms)
        if order(last)[1:] <= self._reached.get("drift", (0, 0)):
            event = self._alerts.get(mark)
            status = alert_differs(drifted_columns(last.body), event)
            if status is not None:
                yield last.place, Mismatch("alert", None if event is None else event.status, status)

    def _differing_alerts(
        self, stream: Stream, told: _Stream, *, coverage: bool
    ) -> Iterator[tuple[Place, Mismatch]]:
        """The other alerts."""
        if self._alerts is None:
            return
        final = {one.published.place.window: one.final for one in told.told}
        alerts = alert_folds.folded(told.results, told.settings, told.manifest, final, coverage=coverage)
        last = max((one.place for one in told.results), key=lambda place: place.window.end_ms)
        for mismatch in (
            *alert_folds.disagreeing(stream, alerts, self._alerts),
            *alert_folds.groundless(stream, last.monitor, alerts, self._alerts, coverage=coverage),
        ):
            yield last, mismatch

    def _is_known(self, monitor: str, told: _Stream) -> bool:
        """Whether all results are right, and what follows from them is on the topic too."""
        reached = self._reached.get(monitor)
        if reached is None or not all(one.right for one in told.told):
            return False
        return all(order(one)[1:] <= reached for one in told.results)
