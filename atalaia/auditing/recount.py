"""One partition, recounted: its messages in log order, and each window as the log was at its result's cut."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from atalaia.auditing import fairness_windows
from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.detected import Detections
from atalaia.auditing.drift_detections import unused_ms
from atalaia.auditing.drift_windows import run_of
from atalaia.auditing.folding import Events, Folds, Told
from atalaia.auditing.joined import Ids
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.observed import Chunk, Lateness, ModelLog
from atalaia.auditing.promised import Promises
from atalaia.auditing.published import Place, Published, Stream, order
from atalaia.auditing.ripeness import Ripe
from atalaia.auditing.settings_log import SettingsLog
from atalaia.auditing.windows import BY_NOW, Evidence, Unverifiable, verify
from atalaia.monitors.clock import TOLERANCE_MS
from atalaia.monitors.units import Models, Watched
from atalaia.records import MonitorChange, Observation
from atalaia.windows.watermark import BoolArray

_TRUTH = ("performance", "fairness")


@dataclass(frozen=True, slots=True)
class Checked:
    """A window and how its result compares: nothing differs, something does, or why that cannot be told.

    ``published`` is None of a window that should have a result and has none.
    """

    place: Place
    published: Published | None
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
    labels_begin_ms : when the first retained label was written, where earlier ones have expired
    reached : by monitor, the positions of observations and labels all before which is told on the topics
    alerts : the last event of each alert by fingerprint, None of one that changed while the topics were read;
        None where they are not looked at
    forget_every : after how many messages rows are let go that nothing needs any more
    """

    def __init__(
        self,
        published: Iterable[Published],
        *,
        models: Models,
        labels: LabelLog,
        begins: int = 0,
        labels_begin_ms: int | None = None,
        reached: Mapping[str, tuple[int, int]] | None = None,
        alerts: Events | None = None,
        forget_every: int = 256,
    ) -> None:
        self.checked: list[Checked] = []
        self._models, self._labels = models, labels
        self._begins, self._labels_begin_ms = begins, labels_begin_ms
        self._rows_begin_ms: int | None = None
        self._pending: list[tuple[int, Place, Published]] = []
        for one in published:
            insort(self._pending, (one.result.cut.observations, one.place, one), key=lambda entry: entry[0])
        self._latest = {place: one for _, place, one in self._pending}
        self._reached = dict(reached or {})
        self._folds = Folds(self._reached, alerts)
        self._right: set[Place] = set()
        self._wanted: dict[tuple[str, Stream], set[str]] = defaultdict(set)
        for place, one in self._latest.items():
            self._wanted[place.monitor, place.stream].add(one.result.configuration)
        self._detections: dict[str, Detections] = {}
        self._told_ms: dict[str, int | None] = {}
        self._promises: dict[str, Promises] = {}
        self._logs: dict[str, ModelLog] = {}
        self._settings = SettingsLog(models, begins)
        self._lateness: dict[str, dict[Stream, dict[str, Lateness]]] = defaultdict(dict)
        self._digests: dict[Stream, str] = {}
        self._laps: dict[str, list[int]] = defaultdict(lambda: [begins])
        self._ids: dict[tuple[Any, ...], Ids] = {}
        self._stored: dict[Stream, dict[int, BoolArray]] = defaultdict(dict)
        self._taken, self._forget_every = 0, forget_every

    def take(self, offset: int, observation: Observation) -> None:
        """A message, in log order."""
        self._verify_until(offset)
        if not self._pending and offset >= max((at for at, _ in self._reached.values()), default=0):
            return
        if self._begins and self._rows_begin_ms is None and observation.ranges:
            self._rows_begin_ms = max(entry.time_ms for entry in observation.ranges) + TOLERANCE_MS
        if observation.changes:
            self._change(offset, observation.changes)
            return
        self._meet(observation)
        for log in self._logs.values():
            self._take(log, offset, observation)
        self._taken += 1
        if self._taken % self._forget_every == 0:
            self._forget()

    def _take(self, log: ModelLog, offset: int, observation: Observation) -> None:
        was, time_ms = log.clock.replay, log.time_ms
        detections = self._detections[log.model]
        detections.begin(observation, log.model, was)
        ended = log.take(offset, observation, self._lateness[log.model])
        self._feed(log, observation)
        detections.pass_time(log.time_ms, ended=ended)
        if offset < self._reached.get("performance", (0, 0))[0]:
            self._told_ms[log.model] = log.time_ms
        if not ended and log.clock.replaying and log.clock.replay != was:
            self._laps[log.model].append(offset)
            if log.model in self._promises:
                self._promises[log.model].begin_anew(time_ms, offset)
        self._promise(log, offset, ended=ended)
        if ended:
            self._begin_anew(log.model, offset + 1)

    def _feed(self, log: ModelLog, observation: Observation) -> None:
        """Note which rows of a message wait for labels, and feed detectors with them."""
        detections = self._detections[log.model]
        for section in observation.models:
            stream = Stream(section.model, section.version, section.role)
            watched = self._models.watched(section.model, section.version, section.digest)
            if section.model != log.model or watched is None:
                continue
            settings = self._settings.now(section.model, watched)
            detections.meet(stream, watched, settings)
            for other, chunk in log.fresh:
                if other == stream and chunk.section is section:
                    waits = self._note_waiting(stream, chunk, watched)
                    detections.add(stream, chunk, waits, watched, settings)
        for stream, chunk in log.fresh:
            if chunk.inputs_only:
                watched = self._models.watched(stream.model, stream.version, self._digests[stream])
                if watched is not None:
                    detections.add_inputs(stream, chunk, watched, self._settings.now(stream.model, watched))

    def finish(self, end: int) -> list[Checked]:
        """The log ends at a position: what was found of every window."""
        self._verify_until(end)
        for cut, _, published in self._pending:
            reason = f"its cut, {cut}, lies beyond the end of observations, {end}"
            self.checked.append(Checked(published.place, published, reason=reason))
        self._pending = []
        self.checked = [self._without_what_a_replay_ended(one) for one in self.checked]
        self._fold()
        since_ms = self._rows_begin_ms if self._begins else None
        for promises in self._promises.values():
            for place, position in promises.untold(self._latest, since_ms=since_ms):
                told_at = self._latest[place].result.cut.observations if place in self._latest else None
                self._differ(place, Mismatch("cut", told_at, f"beyond {position}"))
        return self.checked

    def _without_what_a_replay_ended(self, one: Checked) -> Checked:
        """Of rows whose place a replay has taken since, no label is told any more."""
        if len(self._laps[one.place.stream.model]) == 1:
            return one
        return replace(one, mismatches=tuple(m for m in one.mismatches if not m.path.endswith(BY_NOW)))

    def _fold(self) -> None:
        """What does not follow from the windows together; detections that should be told by now, too."""
        told = self._reached.get("performance", (0, 0))
        for place, published in self._latest.items():
            model = place.stream.model
            stale = place.monitor == "performance" and order(published)[1:] < told
            if stale and place in self._right and model in self._told_ms:
                ripe = Ripe.at(self._told_ms[model], self._labels, told[1])
                for one in self._detections[model].errors.differences(published, ripe):
                    self._differ(place, one._replace(path=f"{one.path}{BY_NOW}"))
        differing = self._folds.differing(
            self._latest,
            steady=self._is_steady,
            lapsed=lambda stream: self._detections[stream.model].errors.lapsed(stream),
        )
        for place, mismatch in differing:
            self._differ(place, mismatch)

    def _is_steady(self, model: str) -> bool:
        """Whether nothing of a model began anew, and nothing has expired.

        Rows of a replay take the place of others, so that what led to an alert may be told no more.
        """
        replayed = len(self._laps[model]) > 1 or self._labels.is_replayed(model)
        return not (replayed or self._begins or self._models.changes(model))

    def _begin_anew(self, model: str, offset: int) -> None:
        self._laps[model].append(offset)
        if model in self._promises:
            self._promises[model].restart()

    def _promise(self, log: ModelLog, offset: int, *, ended: bool) -> None:
        """Note which windows a message must have made the monitors tell."""
        promises = self._promises.get(log.model)
        if promises is None:
            positions = {monitor: at for monitor, (at, _) in self._reached.items()}
            promises = self._promises[log.model] = Promises(positions)
        for stream, chunk in log.fresh:
            promises.add(stream, chunk, self._lateness[log.model].get(stream, {}))
        promises.pass_time(log.time_ms, offset, ended=ended)

    def _differ(self, place: Place, mismatch: Mismatch) -> None:
        """One more thing that differs of a window, unless it cannot be verified anyhow."""
        for at, one in enumerate(self.checked):
            if one.place == place:
                if one.reason is None:
                    self.checked[at] = replace(one, mismatches=(*one.mismatches, mismatch))
                return
        self.checked.append(Checked(place, self._latest.get(place), (mismatch,)))

    def _meet(self, observation: Observation) -> None:
        """Begin the time of models with rows, or of which a replay begins."""
        met = {section.model for section in observation.models}
        met |= {entry.mark.model for entry in observation.marks if entry.mark.kind == "begin"} - {None}  # type: ignore[arg-type]
        for model in met - self._logs.keys():
            self._logs[model] = ModelLog(model)
            self._detections[model] = Detections(self._wanted, self._labels)
            if self._begins or self._settings.changed(model):
                self._detections[model].lose()
            if self._labels_begin_ms is not None:
                self._detections[model].errors.lose()
        for section in observation.models:
            stream = Stream(section.model, section.version, section.role)
            if self._digests.get(stream) != section.digest:
                self._digests[stream] = section.digest
                self._set_lateness(stream, section.digest)

    def _change(self, offset: int, changes: Iterable[MonitorChange]) -> None:
        for change in changes:
            self._settings.add(offset, change)
            self._begin_anew(change.model, offset)
            if change.model in self._detections:
                self._detections[change.model].lose()
            for stream, digest in self._digests.items():
                if stream.model == change.model:
                    self._set_lateness(stream, digest)

    def _set_lateness(self, stream: Stream, digest: str) -> None:
        watched = self._models.watched(stream.model, stream.version, digest)
        if watched is None:
            return
        settings = self._settings.now(stream.model, watched)
        self._lateness[stream.model][stream] = {
            name: Lateness(
                table.definition,
                table.lateness_ms,
                unused_ms(settings.drift) if name == "drift" else None,
            )
            for name in ("drift", *_TRUTH)
            if (table := getattr(settings, name)).enabled
            and (name != "fairness" or fairness_windows.protected(watched.manifest, settings))
        }

    def _note_waiting(self, stream: Stream, chunk: Chunk, watched: Watched) -> BoolArray:
        """Which rows of a message wait for labels."""
        waiting = could_wait(chunk)
        if waiting is None or not len(self._labels):
            return np.zeros(len(chunk.times_ms), np.bool_)
        key, horizon_ms = self._settings.join_key(chunk.section, watched)
        ids = self._ids.setdefault(key, Ids(horizon_ms))
        stored = ids.first(chunk.section, chunk.times_ms, waiting, chunk.watermark_ms)
        self._stored[stream][chunk.offset] = stored
        return stored

    def _verify_until(self, offset: int) -> None:
        while self._pending and self._pending[0][0] <= offset:
            _, _, published = self._pending.pop(0)
            self.checked.append(self._verify(published))

    def _verify(self, published: Published) -> Checked:
        stream = published.place.stream
        watched = self._models.watched(stream.model, stream.version, published.result.bundle)
        expired = self._expired(published, watched)
        if expired is not None:
            return Checked(published.place, published, reason=expired)
        if watched is None:
            return Checked(
                published.place, published, reason=f"its bundle, {published.result.bundle}, is missing"
            )
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
            labels_told=self._labels_told(published),
            begins_ms=self._rows_begin_ms if self._begins else None,
        )
        try:
            verified = verify(published, evidence)
        except Unverifiable as why:
            return Checked(published.place, published, reason=str(why))
        ripe = Ripe.at(None if log is None else log.time_ms, self._labels, published.labels_cut)
        found = verified.mismatches
        if not found and log is not None:
            found = self._detections[stream.model].differences(published, ripe, verified.positions)
            if self._latest[published.place] is published:
                settings = self._settings.now(stream.model, watched)
                final = ripe.is_final(published.place.window, settings)
                told = Told(published, verified.run, final=final, right=not found)
                self._folds.note(told, settings, watched.manifest)
        if not found:
            self._right.add(published.place)
        return Checked(published.place, published, tuple(found))

    def _labels_told(self, published: Published) -> int | None:
        """The labels that must have been told by now, where no change of settings begins counts anew."""
        told = self._reached.get(published.place.monitor)
        if told is None or self._models.changes(published.place.stream.model):
            return None
        return told[1] if told[0] >= published.result.cut.observations else None

    def _expired(self, published: Published, watched: Watched | None) -> str | None:
        """Why the evidence of a window is not all there."""
        result, start_ms = published.result, published.place.window.start_ms
        if result.incomplete:
            return "part of what it is made of had expired when it was counted"
        if self._begins and (self._rows_begin_ms is None or start_ms < self._rows_begin_ms):
            return f"observations before position {self._begins} have expired"
        if published.place.monitor in _TRUTH:
            if published.labels_cut > self._labels.end:
                return f"its cut in labels, {published.labels_cut}, lies beyond their end, {self._labels.end}"
            if self._labels_begin_ms is not None and watched is not None:
                horizon_ms = self._settings.now(published.place.stream.model, watched).labels.horizon_ms
                if start_ms >= self._labels_begin_ms + horizon_ms:
                    return None
                return "labels that may have been of its rows have expired"
        return None

    def _forget(self) -> None:
        """Let go of rows that no window to come is made of, or is compared with."""
        earliest: dict[str, int] = {}
        for _, place, published in self._pending:
            start_ms = place.window.start_ms
            if place.monitor == "drift":
                span = run_of(published.body) or place.window
                start_ms = min(start_ms, span.start_ms) - self._settings.reach_ms(place.stream.model)
            model = place.stream.model
            earliest[model] = min(start_ms, earliest.get(model, start_ms))
        for model, log in self._logs.items():
            for stream, rows in log.rows.items():
                rows.forget(earliest.get(model, 1 << 62))
                kept = {chunk.offset for chunk in rows.chunks}
                stored = self._stored[stream]
                self._stored[stream] = {at: value for at, value in stored.items() if at in kept}


def could_wait(chunk: Chunk) -> BoolArray | None:
    """Which rows could wait for a label: answered, and in time for a window of truth."""
    kept = [chunk.kept[name] for name in _TRUTH if name in chunk.kept]
    if not kept:
        return None
    within = kept[0] if len(kept) == 1 else kept[0] | kept[1]
    answer: BoolArray = within & ~chunk.section.abstained.numpy()
    return answer
