"""The monitor of traffic: all models of one partition of `observations`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from atalaia.alerts import AlertEvent
from atalaia.errors import SettingsError
from atalaia.monitors.configuration import MonitorSettings, monitor_settings
from atalaia.monitors.traffic.model import ModelState, ModelTraffic
from atalaia.monitors.traffic.reading import Passing, read
from atalaia.monitors.units import Change, Models, Publication, Record, RowReader
from atalaia.records import MonitorChange
from atalaia.results import Cut
from atalaia.topics import ALERTS, OBSERVATIONS, REQUESTS, Topic
from atalaia.windows import Watermark, WatermarkState

Counts = dict[str, dict[tuple[str, ...], int]]


class TrafficState(msgspec.Struct, frozen=True):
    """A `TrafficMonitor` between two messages.

    ``recorded_ms`` is the latest record time of any message, ``seen`` how far the source partitions have
    been seen to their ends, ``begun`` the position at which this state was begun.
    """

    recorded_ms: int
    seen: WatermarkState
    begun: int
    models: dict[str, ModelState]
    unreadable: int


class TrafficMonitor:
    """Abstention and latency of each version, silence of each model: alerts, and nothing else.

    Record time is the scorers' word in the ranges of observations. Requests that waited count in the window
    of record time at which they were scored; a model is silent from its last rows on by the least time at
    which every source partition had been read to its end, so that the backlog behind a scorer that is away
    is not silence. A replay's rows count for abstention, in their own time, and for nothing else.

    Parameters
    ----------
    models : where the settings of each version are found; a version whose bundle is missing is watched by
        the defaults
    """

    topics: ClassVar[tuple[Topic, ...]] = (OBSERVATIONS,)
    state_format: ClassVar[str] = "traffic-1"

    def __init__(self, models: Models) -> None:
        self._bundles = models
        self._models: dict[str, ModelTraffic] = {}
        self._recorded_ms = 0
        self._seen = Watermark(tolerance_ms=0, expected=range(REQUESTS.partitions))
        self._begun = 0
        self._unreadable = 0

    def restore(self, metadata: bytes, panes: Mapping[bytes, bytes]) -> None:
        """Go on from stored state."""
        del panes
        state = msgspec.msgpack.decode(metadata, type=TrafficState)
        self._recorded_ms, self._begun = state.recorded_ms, state.begun
        self._unreadable = state.unreadable
        self._seen.restore(state.seen)
        self._models = {}
        for name, entry in state.models.items():
            self._models[name] = ModelTraffic(name, entry.overlay, self._settings_of)
            self._models[name].restore(entry)

    def begin(self, positions: Mapping[str, int]) -> None:
        """Start anew; what was set before the position is in the models' records."""
        self._begun = positions.get(OBSERVATIONS.name, 0)

    def lose(self, topic: Topic, first: int, end: int) -> None:
        """Rows may have been among them: silence is counted from the next ones on."""
        del topic, first, end
        for model in self._models.values():
            model.lose()

    def take(self, records: Sequence[Record], cut: Cut, rows: RowReader) -> Change:
        """One batch; alerts are told as the messages change them."""
        del cut, rows
        events: list[AlertEvent] = []
        for record in records:
            passing = read(record.value)
            if passing is None:
                self._unreadable += 1
            else:
                events += self._take(passing)
        return Change(self._encoded(), publications=[_publication(event) for event in events])

    def counts(self) -> Counts:
        """What was left out, by model and version where it belongs to one."""
        late: dict[tuple[str, ...], int] = {
            (name, version): entry.late_rows
            for name, model in self._models.items()
            for version, entry in model.versions.items()
        }
        ahead: dict[tuple[str, ...], int] = {
            (name,): model.clock.ahead_rows for name, model in self._models.items()
        }
        return {
            "late_rows": late,
            "ahead_rows": ahead,
            "unreadable_messages": {(): self._unreadable},
        }

    def _take(self, passing: Passing) -> list[AlertEvent]:
        self._recorded_ms = max(self._recorded_ms, passing.recorded_ms or 0)
        for entry in passing.ranges:
            if entry.at_end:
                self._seen.advance(entry.partition, entry.time_ms)
        for name in _named(passing):
            if name not in self._models:
                self._models[name] = ModelTraffic(name, self._set_before(name), self._settings_of)
        events: list[AlertEvent] = []
        for name in sorted(self._models):
            events += self._models[name].take(
                passing, recorded_ms=self._recorded_ms, seen_ms=self._seen.time_ms
            )
            self._models[name].forget(self._recorded_ms)
        for change in passing.changes:
            events += self._change(change)
        return events

    def _change(self, change: MonitorChange) -> list[AlertEvent]:
        model = self._models.get(change.model)
        if model is None:
            model = self._models[change.model] = ModelTraffic(change.model, {}, self._settings_of)
        return model.change(change.monitors)

    def _set_before(self, model: str) -> dict[str, Any]:
        """What was set last, of what was set before this state begins."""
        before = [
            change.monitors
            for change in self._bundles.changes(model)
            if change.offset is not None and change.offset < self._begun
        ]
        return before[-1] if before else {}

    def _settings_of(self, model: str, version: str, digest: str, overlay: dict[str, Any]) -> MonitorSettings:
        """Settings that cannot be read are not in force: those of the bundle are, or the defaults."""
        watched = self._bundles.watched(model, version, digest)
        bundle: Mapping[str, Any] = {} if watched is None else watched.manifest.monitors
        for changes in ([overlay], []):
            try:
                return monitor_settings(bundle, changes)
            except SettingsError:
                continue
        return MonitorSettings()

    def _encoded(self) -> bytes:
        models = {name: model.snapshot() for name, model in self._models.items()}
        state = TrafficState(self._recorded_ms, self._seen.snapshot(), self._begun, models, self._unreadable)
        return msgspec.msgpack.encode(state)


def _named(passing: Passing) -> set[str]:
    """Models with rows, and those a replay of which begins."""
    begun = {
        place.mark.model
        for place in passing.marks
        if place.mark.kind == "begin" and place.mark.model is not None
    }
    return {entry.model for entry in passing.models} | begun


def _publication(event: AlertEvent) -> Publication:
    return Publication(
        topic=ALERTS,
        key=event.fingerprint,
        subject=event.fingerprint,
        value=msgspec.json.encode(event),
        content=event.id,
        once=True,
    )
