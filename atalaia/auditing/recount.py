"""One partition, recounted: its messages in log order, and each window as the log was at its result's cut."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.joined import Ids
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.observed import Chunk, Lateness, ModelLog, Rows
from atalaia.auditing.published import Place, Published, Stream
from atalaia.auditing.windows import Evidence, Unverifiable, verify
from atalaia.errors import SettingsError
from atalaia.monitors.clock import TOLERANCE_MS
from atalaia.monitors.configuration import MonitorSettings, milliseconds, monitor_settings
from atalaia.monitors.units import Models, Watched
from atalaia.records import ModelObservation, MonitorChange, Observation
from atalaia.windows.watermark import BoolArray

_FORGET_EVERY = 256
_TRUTH = ("performance", "fairness")


@dataclass(frozen=True, slots=True)
class Checked:
    """A window and how its result compares: nothing differs, something does, or why that cannot be told."""

    published: Published
    mismatches: tuple[Mismatch, ...] = ()
    reason: str | None = None


class Recount:
    """Recounts the windows of one partition.

    Parameters
    ----------
    published : the last revisions to be verified, of models of this partition
    models : where bundles and references are
    labels : the labels of the same partition, read to their end
    begins : the first retained position of `observations`
    labels_begin_ms : windows reaching back before it may have lost labels; None where none have expired
    """

    def __init__(
        self,
        published: Iterable[Published],
        *,
        models: Models,
        labels: LabelLog,
        begins: int = 0,
        labels_begin_ms: int | None = None,
    ) -> None:
        self.checked: list[Checked] = []
        self._models, self._labels = models, labels
        self._begins, self._labels_begin_ms = begins, labels_begin_ms
        self._rows_begin_ms: int | None = None
        self._pending: list[tuple[int, Place, Published]] = []
        for one in published:
            insort(self._pending, (one.result.cut.observations, one.place, one), key=lambda entry: entry[0])
        self._wanted = {one.place.stream.model for _, _, one in self._pending}
        self._logs: dict[str, ModelLog] = {}
        self._settings = _SettingsLog(models, begins)
        self._lateness: dict[str, dict[Stream, dict[str, Lateness]]] = defaultdict(dict)
        self._digests: dict[Stream, str] = {}
        self._laps: dict[str, list[int]] = defaultdict(lambda: [begins])
        self._ids: dict[tuple[Any, ...], Ids] = {}
        self._stored: dict[Stream, dict[int, BoolArray]] = defaultdict(dict)
        self._taken = 0

    def take(self, offset: int, observation: Observation) -> None:
        """A message, in log order."""
        self._verify_until(offset)
        if not self._pending:
            return
        if self._begins and self._rows_begin_ms is None and observation.ranges:
            self._rows_begin_ms = max(entry.time_ms for entry in observation.ranges) + TOLERANCE_MS
        if observation.changes:
            self._change(offset, observation.changes)
            return
        self._meet(observation)
        for model, log in self._logs.items():
            was = log.clock.snapshot().replay
            ended = log.take(offset, observation, self._lateness[model])
            if ended or log.clock.snapshot().replay != was:
                self._laps[model].append(offset + 1 if ended else offset)
            for section in observation.models:
                if section.model == model:
                    self._note_waiting(log, section)
        self._taken += 1
        if self._taken % _FORGET_EVERY == 0:
            self._forget()

    def finish(self, end: int) -> list[Checked]:
        """The log ends at a position: what was found of every window."""
        self._verify_until(end)
        for cut, _, published in self._pending:
            reason = f"its cut, {cut}, lies beyond the end of observations, {end}"
            self.checked.append(Checked(published, reason=reason))
        self._pending = []
        return self.checked

    def _meet(self, observation: Observation) -> None:
        """Begin the time of models with rows, or of which a replay begins."""
        met = {section.model for section in observation.models}
        met |= {entry.mark.model for entry in observation.marks if entry.mark.kind == "begin"} - {None}  # type: ignore[arg-type]
        for model in met & self._wanted:
            self._logs.setdefault(model, ModelLog(model))
        for section in observation.models:
            stream = Stream(section.model, section.version, section.role)
            if section.model in self._wanted and self._digests.get(stream) != section.digest:
                self._digests[stream] = section.digest
                self._set_lateness(stream, section.digest)

    def _change(self, offset: int, changes: Iterable[MonitorChange]) -> None:
        for change in changes:
            self._settings.add(offset, change)
            self._laps[change.model].append(offset)
            for stream, digest in self._digests.items():
                if stream.model == change.model:
                    self._set_lateness(stream, digest)

    def _set_lateness(self, stream: Stream, digest: str) -> None:
        watched = self._models.watched(stream.model, stream.version, digest)
        if watched is None:
            return
        settings = self._settings.now(stream.model, watched)
        self._lateness[stream.model][stream] = {
            name: Lateness(table.definition, table.lateness_ms)
            for name in ("drift", *_TRUTH)
            if (table := getattr(settings, name)).enabled
        }

    def _note_waiting(self, log: ModelLog, section: ModelObservation) -> None:
        """Which rows of a message wait for labels."""
        stream = Stream(section.model, section.version, section.role)
        last = log.rows.get(stream, Rows()).chunks[-2:]
        chunk = next((chunk for chunk in last if chunk.section is section), None)
        watched = self._models.watched(section.model, section.version, section.digest)
        waiting = None if chunk is None or not len(self._labels) else waits(chunk)
        if chunk is None or waiting is None or watched is None:
            return
        key, horizon_ms = self._settings.join_key(section, watched)
        ids = self._ids.setdefault(key, Ids(horizon_ms))
        self._stored[stream][chunk.offset] = ids.first(section, chunk.times_ms, waiting, chunk.watermark_ms)

    def _verify_until(self, offset: int) -> None:
        while self._pending and self._pending[0][0] <= offset:
            _, _, published = self._pending.pop(0)
            self.checked.append(self._verify(published))

    def _verify(self, published: Published) -> Checked:
        expired = self._expired(published)
        if expired is not None:
            return Checked(published, reason=expired)
        stream = published.place.stream
        watched = self._models.watched(stream.model, stream.version, published.result.bundle)
        if watched is None:
            return Checked(published, reason=f"its bundle, {published.result.bundle}, is missing")
        log = self._logs.get(stream.model)
        evidence = Evidence(
            rows=log.rows if log is not None else {},
            laps=self._laps[stream.model],
            settings=self._settings.candidates(stream.model, watched),
            references=self._settings.references(stream.model),
            watched=watched,
            models=self._models,
            labels=self._labels,
            stored=self._stored,
        )
        try:
            return Checked(published, tuple(verify(published, evidence)))
        except Unverifiable as why:
            return Checked(published, reason=str(why))

    def _expired(self, published: Published) -> str | None:
        """Why the evidence of a window is not all there."""
        result, start_ms = published.result, published.place.window.start_ms
        if result.incomplete:
            return "part of what it is made of had expired when it was counted"
        if self._begins and (self._rows_begin_ms is None or start_ms < self._rows_begin_ms):
            return f"observations before position {self._begins} have expired"
        if published.place.monitor in _TRUTH:
            if self._labels_begin_ms is not None and start_ms < self._labels_begin_ms:
                return "labels that may have been of its rows have expired"
            if published.labels_cut > self._labels.end:
                return f"its cut in labels, {published.labels_cut}, lies beyond their end, {self._labels.end}"
        return None

    def _forget(self) -> None:
        """Let go of rows that no window to come is made of, or is compared with."""
        earliest: dict[str, int] = {}
        for _, place, _ in self._pending:
            back_ms = self._settings.reach_ms(place.stream.model) if place.monitor == "drift" else 0
            start_ms = place.window.start_ms - back_ms
            model = place.stream.model
            earliest[model] = min(start_ms, earliest.get(model, start_ms))
        for model, log in self._logs.items():
            for stream, rows in log.rows.items():
                rows.forget(earliest.get(model, 1 << 62))
                kept = {chunk.offset for chunk in rows.chunks}
                stored = self._stored[stream]
                self._stored[stream] = {at: value for at, value in stored.items() if at in kept}


def waits(chunk: Chunk) -> BoolArray | None:
    """Which rows could wait for a label: answered, and in time for a window of truth."""
    kept = [chunk.kept[name] for name in _TRUTH if name in chunk.kept]
    if not kept:
        return None
    within = kept[0] if len(kept) == 1 else kept[0] | kept[1]
    answer: BoolArray = within & ~chunk.section.abstained.numpy()
    return answer


class _SettingsLog:
    """What was set of each model's monitors, by position."""

    def __init__(self, models: Models, begins: int) -> None:
        self._models, self._begins = models, begins
        self._changes: dict[str, list[tuple[int, MonitorChange]]] = {}
        self._reach_ms: dict[str, int] = {}

    def add(self, offset: int, change: MonitorChange) -> None:
        """A change, in band."""
        self._of(change.model).append((offset, change))

    def now(self, model: str, watched: Watched) -> MonitorSettings:
        """The settings of a version in force."""
        changes = self._of(model)
        settings = _settings(watched, changes[-1][1] if changes else None)
        back = [milliseconds(earlier) for earlier in settings.drift.earlier]
        reach_ms = max(back, default=0) + settings.drift.window_ms * settings.drift.most_merged
        self._reach_ms[model] = max(reach_ms, self._reach_ms.get(model, 0))
        return settings

    def reach_ms(self, model: str) -> int:
        """How far before a window rows may lie that it is compared, or judged, with."""
        return self._reach_ms.get(model, 0)

    def candidates(self, model: str, watched: Watched) -> dict[str, MonitorSettings]:
        """The settings a version has had so far, by digest."""
        changes: list[MonitorChange | None] = [None, *(change for _, change in self._of(model))]
        return {settings.digest: settings for settings in (_settings(watched, change) for change in changes)}

    def references(self, model: str) -> list[tuple[int, MonitorChange | None]]:
        """References made from the stream, each from its position on; None is the bundle's own."""
        answer: list[tuple[int, MonitorChange | None]] = [(-1, None)]
        for offset, change in self._of(model):
            known = answer[-1][1]
            if (None if known is None else known.reference) != change.reference:
                answer.append((offset, change if change.reference is not None else None))
        return answer

    def join_key(self, section: ModelObservation, watched: Watched) -> tuple[tuple[Any, ...], int]:
        """What rows that share a space of ids have in common, and how long an id is held."""
        settings, manifest = self.now(section.model, watched), watched.manifest
        width = 0 if section.probabilities is None else section.probabilities.width
        attributes = [
            (entry.name, entry.bands)
            for entry in manifest.context
            if (
                entry.protected
                if settings.fairness.attributes is None
                else entry.name in settings.fairness.attributes
            )
        ]
        windows = (settings.performance, settings.fairness)
        key = (
            section.model,
            section.version if section.role == "shadow" else "",
            manifest.classes,
            width if len(manifest.classes) > 2 else 0,
            tuple(attributes),
            settings.fairness.most_groups,
            settings.labels.horizon_ms,
            max((table.window_ms + table.lateness_ms for table in windows if table.enabled), default=0),
        )
        return key, settings.labels.horizon_ms

    def _of(self, model: str) -> list[tuple[int, MonitorChange]]:
        if model not in self._changes:
            before = [
                (change.offset, change)
                for change in (self._models.changes(model) if self._begins else ())
                if change.offset is not None and change.offset < self._begins
            ]
            self._changes[model] = before
        return self._changes[model]


def _settings(watched: Watched, change: MonitorChange | None) -> MonitorSettings:
    """As set, else the bundle's own, else the defaults: as the monitors do where something does not fit."""
    for changes in ([] if change is None else [[change.monitors]]) + [[]]:
        try:
            return monitor_settings(watched.manifest.monitors, changes)
        except SettingsError:
            continue
    return MonitorSettings()
