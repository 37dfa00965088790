"""One model: its time, and the streams of its versions."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from atalaia.errors import SettingsError
from atalaia.monitors.checks import check_settings
from atalaia.monitors.clock import TOLERANCE_MS, ClockState, ObservationClock
from atalaia.monitors.configuration import MonitorSettings, monitor_settings
from atalaia.monitors.counted import PaneChanges
from atalaia.monitors.drift.plan import Plan, StreamKey
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.drift.stream import DriftStream, Span
from atalaia.monitors.publications import publish_missing_bundle
from atalaia.monitors.rows import ObservedRows
from atalaia.monitors.units import Models, Publication, Watched
from atalaia.records import ModelObservation, MonitorChange, Observation, Role
from atalaia.results import Cut

_MOST_SPANS = 100


class StreamHead(msgspec.Struct, frozen=True, array_like=True):
    """Which stream there is, and of which bundle."""

    version: str
    role: Role
    digest: str


class ModelState(msgspec.Struct, frozen=True):
    """A `DriftModel` between two batches, but for its streams."""

    clock: ClockState
    streams: list[StreamHead]
    primary: StreamHead | None = None
    change: MonitorChange | None = None
    lost: list[Span] = []
    losing: bool = False
    frozen_ms: int | None = None
    unknown_rows: dict[str, int] = {}


class Overlay(NamedTuple):
    """What was set of a model's monitors last, and the reference that goes with it."""

    change: MonitorChange | None = None
    reference: StreamReference | None = None


class DriftModel:
    """The versions of a model in one partition.

    Rows of canaries count among the inputs of the primary that stands beside them; shadows' do not.

    Parameters
    ----------
    name : the model's
    models : where bundles are found
    overlay : what was set of its monitors
    """

    def __init__(self, name: str, models: Models, overlay: Overlay) -> None:
        self.name = name
        self.clock = ObservationClock(name)
        self.streams: dict[StreamKey, DriftStream] = {}
        self.frozen_ms: int | None = None
        self.unknown_rows: dict[str, int] = {}
        self._models, self._overlay = models, overlay
        self._primary: StreamHead | None = None
        self._lost: list[Span] = []
        self._losing = False
        self._gone: list[DriftStream] = []
        self._orphans: list[bytes] = []
        self._out: list[Publication] = []

    def take(self, observation: Observation, offset: int, cut: Cut) -> None:
        """A message, in log order."""
        if self._replay_begins(observation):
            self._begin_anew(offset, cut)
            self.frozen_ms = None
        self.clock.begin(observation)
        latest: dict[int, int] = {}
        sections = [section for section in observation.models if section.model == self.name]
        for section in sorted(sections, key=lambda section: section.role != "primary"):
            for partition, time_ms in self._add(observation, section, cut).items():
                latest[partition] = max(time_ms, latest.get(partition, time_ms))
        ended = self.clock.finish(observation, latest)
        self._find(observation)
        for stream in self.streams.values():
            self._pass_time(stream, offset, flush=ended)
        if ended:
            self._turn(cut, restart=True)
            self.clock.resume()

    def turn(self, cut: Cut) -> list[Publication]:
        """The end of a batch; what to publish."""
        self._turn(cut)
        for key, stream in list(self.streams.items()):
            if stream.unused:
                self._drop(key)
        out, self._out = self._out, []
        return out

    def change(self, overlay: Overlay, offset: int, cut: Cut) -> None:
        """Settings change: streams of another shape begin anew, others go on by other thresholds."""
        self._turn(cut)
        self._overlay = overlay
        for key, stream in list(self.streams.items()):
            plan = self._plan(key, stream.plan.watched)
            if plan is not None and plan.shape == stream.plan.shape:
                stream.replan(plan)
            else:
                self._replace(key, plan, offset, cut)

    def lose(self) -> None:
        """Messages have expired before they were read."""
        self._lost.append(Span(self.clock.time_ms, None))
        self._losing = True

    def collect(self, changes: PaneChanges) -> ModelState:
        """Say what changed since the last time, and the rest whole."""
        for stream in self._gone:
            stream.delete(changes)
        for name in self._orphans:
            changes.delete(name)
        self._gone.clear()
        self._orphans.clear()
        for stream in self.streams.values():
            stream.collect(changes, self.clock.time_ms)
        heads = [
            StreamHead(key.version, key.role, stream.plan.watched.digest)
            for key, stream in self.streams.items()
        ]
        return ModelState(
            self.clock.snapshot(),
            heads,
            self._primary,
            self._overlay.change,
            list(self._lost),
            self._losing,
            self.frozen_ms,
            dict(self.unknown_rows),
        )

    def restore(self, state: ModelState, panes: Mapping[bytes, bytes]) -> None:
        """Go on from where a snapshot was taken; streams whose bundle is gone are not found again."""
        self.clock.restore(state.clock)
        self._primary, self.frozen_ms = state.primary, state.frozen_ms
        self._lost, self._losing = list(state.lost), state.losing
        self.unknown_rows = dict(state.unknown_rows)
        for head in state.streams:
            key = StreamKey(self.name, head.version, head.role)
            stream = self._make(key, head.digest)
            if stream is None:
                self._orphans += [name for name in panes if name.startswith(key.prefix)]
            else:
                stream.restore(panes)
                self.streams[key] = stream

    def reference_digests(self) -> list[str]:
        """The digest of the reference in force, where it is the stream's own."""
        change, reference = self._overlay
        named = None if change is None else change.reference
        return [] if named is None or reference is None else [named.digest]

    def _pass_time(self, stream: DriftStream, offset: int, *, flush: bool) -> None:
        stream.pass_time(
            self.clock.time_ms,
            cut=offset,
            flush=flush,
            ahead_rows=self.clock.ahead_rows,
            lost=tuple(self._lost),
            frozen_ms=self.frozen_ms,
        )

    def _begin_anew(self, offset: int, cut: Cut) -> None:
        """A replay's rows are in windows of their own, also where others of those hours were counted."""
        self._turn(cut)
        for key, stream in list(self.streams.items()):
            self._replace(key, stream.plan, offset, cut)
            self._out += self.streams[key].telling.lapse()

    def _replace(self, key: StreamKey, plan: Plan | None, offset: int, cut: Cut) -> None:
        """Close a stream as it is; one without rows takes its place where it is still to be watched."""
        stream = self.streams.pop(key)
        self._pass_time(stream, offset, flush=True)
        self._out += stream.turn(cut, self.clock.time_ms, restart=True)
        self._gone.append(stream)
        if plan is None:
            self._out += stream.telling.end()
        else:
            self.streams[key] = DriftStream(plan)
            self.streams[key].follow(stream)

    def _replay_begins(self, observation: Observation) -> bool:
        return any(
            entry.mark.kind == "begin"
            and entry.mark.model == self.name
            and entry.mark.replay != self.clock.snapshot().replay
            for entry in observation.marks
        )

    def _add(self, observation: Observation, section: ModelObservation, cut: Cut) -> dict[int, int]:
        """Rows of one version; the latest believed event time by source partition."""
        rows = ObservedRows(section)
        believed = self.clock.plausible(observation, rows.times_ms, rows.partitions)
        head = StreamHead(section.version, section.role, section.digest)
        if section.role == "primary":
            self._primary = head
        stream = self._stream(head, cut)
        if stream is not None:
            stream.add(rows, believed, self.clock.time_ms)
        elif self._models.watched(self.name, section.version, section.digest) is None:
            self.unknown_rows[head.version] = self.unknown_rows.get(head.version, 0) + len(rows)
            self._out += publish_missing_bundle(observation, section)
        if section.role == "canary" and self._primary is not None:
            primary = self._stream(self._primary, cut)
            if primary is not None:
                primary.add(rows, believed, self.clock.time_ms, inputs_only=True)
        return rows.latest_ms(believed)

    def _find(self, observation: Observation) -> None:
        """What a message says of rows that were lost before it, and of those before the state began."""
        recorded = max((entry.time_ms for entry in observation.ranges), default=None)
        if recorded is None or not self._losing:
            return
        reached = recorded + TOLERANCE_MS if self.clock.time_ms is None else self.clock.time_ms
        if not self.clock.replaying:
            reached = max(reached, recorded + TOLERANCE_MS)
        self._lost = [Span(span.from_ms, reached) if span.to_ms is None else span for span in self._lost][
            -_MOST_SPANS:
        ]
        self._losing = False

    def _stream(self, head: StreamHead, cut: Cut) -> DriftStream | None:
        """The stream of a version in a role, made anew where it is of another bundle or was long unused."""
        key = StreamKey(self.name, head.version, head.role)
        stream = self.streams.get(key)
        if stream is not None and (stream.unused or stream.plan.watched.digest != head.digest):
            self._out += stream.turn(cut, self.clock.time_ms)
            self._drop(key)
            stream = None
        if stream is None:
            stream = self._make(key, head.digest)
            if stream is not None:
                self.streams[key] = stream
        return stream

    def _make(self, key: StreamKey, digest: str) -> DriftStream | None:
        watched = self._models.watched(key.model, key.version, digest)
        plan = None if watched is None else self._plan(key, watched)
        return None if plan is None else DriftStream(plan)

    def _plan(self, key: StreamKey, watched: Watched) -> Plan | None:
        """How a stream is watched now; None where it is not."""
        settings = settings_of(watched, self._overlay.change)
        if not settings.drift.enabled:
            return None
        return Plan(key, watched, settings, self._overlay.reference, "".join(self.reference_digests()))

    def _drop(self, key: StreamKey) -> None:
        stream = self.streams.pop(key)
        self._out += stream.telling.end()
        self._gone.append(stream)

    def _turn(self, cut: Cut, *, restart: bool = False) -> None:
        for stream in self.streams.values():
            self._out += stream.turn(cut, self.clock.time_ms, restart=restart)


def settings_of(watched: Watched, change: MonitorChange | None) -> MonitorSettings:
    """The settings in force for a version; what cannot be is left out: the change, else the bundle's own."""
    overlays = [] if change is None else [change.monitors]
    for bundle, changes in ((watched.manifest.monitors, overlays), (watched.manifest.monitors, []), ({}, [])):
        try:
            settings = monitor_settings(bundle, changes)
            check_settings(settings, watched.manifest)
        except SettingsError:
            continue
        return settings
    return MonitorSettings()
