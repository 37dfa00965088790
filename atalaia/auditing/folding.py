"""The verified windows of each stream together: what has drifted by each, and the alerts they lead to."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from atalaia.alerts import AlertEvent
from atalaia.auditing import alert_folds
from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.drift_windows import drifted_columns
from atalaia.auditing.persistence import JudgedRun, alert_differs, alert_of, disagreeing
from atalaia.auditing.published import Place, Published, Stream, order
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.windows import Window

Events = Mapping[str, AlertEvent | None]
"""The last event of each alert by fingerprint; None of one that changed while the topics were read."""


@dataclass(slots=True)
class _Told:
    settings: MonitorSettings
    manifest: Manifest
    results: list[Published] = field(default_factory=list)
    final: dict[Window, bool] = field(default_factory=dict)


class Folds:
    """Folds of the latest results of one partition that were found to be right.

    Parameters
    ----------
    reached : by monitor, the positions of observations and labels all before which is told on the topics
    alerts : None where they are not looked at
    """

    def __init__(self, reached: Mapping[str, tuple[int, int]], alerts: Events | None) -> None:
        self._reached, self._alerts = reached, alerts
        self._told: dict[tuple[str, Stream], _Told] = {}
        self._runs: dict[Stream, list[JudgedRun]] = defaultdict(list)

    def note(
        self,
        published: Published,
        run: JudgedRun | None,
        settings: MonitorSettings,
        manifest: Manifest,
        *,
        final: bool,
    ) -> None:
        """A result that is right, the run its window ends, and whether nothing more is expected of it."""
        place = published.place
        told = self._told.setdefault((place.monitor, place.stream), _Told(settings, manifest))
        told.results.append(published)
        told.final[place.window] = final
        if run is not None:
            self._runs[place.stream].append(run)

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
        for (monitor, stream), told in self._told.items():
            if not steady(stream.model):
                continue
            if monitor == "drift":
                yield from self._differing_drift(stream, told)
            if count[monitor, stream] == len(told.results) and self._is_told(monitor, told):
                yield from self._differing_alerts(stream, told, coverage=not lapsed(stream))

    def _differing_drift(self, stream: Stream, told: _Told) -> Iterator[tuple[Place, Mismatch]]:
        """What has drifted by each window against all judged runs, and the alert on it."""
        drifted = {one.place: drifted_columns(one.body) for one in told.results}
        ended = {run.window.end_ms for run in self._runs[stream]}
        places = [place for place in drifted if place.window.end_ms in ended]
        mark = alert_of(stream)
        known = self._alerts is not None and not (mark in self._alerts and self._alerts[mark] is None)
        if self._alerts is not None and places and known:
            last = max(places, key=lambda place: place.window.end_ms)
            cuts = [order(one)[1:] for one in told.results if one.place == last]
            if max(cuts) <= self._reached.get("drift", (0, 0)):
                event = self._alerts.get(mark)
                status = alert_differs(drifted[last], event)
                if status is not None:
                    yield last, Mismatch("alert", None if event is None else event.status, status)
        for place, folded in disagreeing(self._runs[stream], drifted):
            yield place, Mismatch("drifted columns", sorted(drifted[place]), sorted(folded))

    def _differing_alerts(
        self, stream: Stream, told: _Told, *, coverage: bool
    ) -> Iterator[tuple[Place, Mismatch]]:
        """The other alerts, once what followed from the last window is told too."""
        if self._alerts is None:
            return
        alerts = alert_folds.folded(told.results, told.settings, told.manifest, told.final, coverage=coverage)
        last = max((one.place for one in told.results), key=lambda place: place.window.end_ms)
        for mismatch in alert_folds.disagreeing(stream, alerts, self._alerts):
            yield last, mismatch

    def _is_told(self, monitor: str, told: _Told) -> bool:
        """Whether the events of every result are on the topic too."""
        reached = self._reached.get(monitor)
        return reached is not None and all(order(one)[1:] <= reached for one in told.results)
