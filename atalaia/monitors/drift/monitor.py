"""The drift monitor: all models of one partition of observations."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec
from river import __version__ as river_version

from atalaia.monitors.clock import TOLERANCE_MS
from atalaia.monitors.counted import PaneChanges
from atalaia.monitors.drift.model import DriftModel, ModelState, Overlay
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.publications import publish_unreadable
from atalaia.monitors.units import Change, Models, Publication, Record, RowReader
from atalaia.records import MonitorChange, Observation
from atalaia.results import Cut
from atalaia.topics import OBSERVATIONS, Topic


class MonitorState(msgspec.Struct, frozen=True):
    """A `DriftMonitor` between two batches, but for its panes.

    ``begun`` is the position it started from, ``begun_ms`` the event time before which rows may lie that it
    has not read; ``changes`` are those of models that have no state yet.
    """

    begun: int
    begun_ms: int | None
    models: dict[str, ModelState]
    changes: dict[str, MonitorChange]
    unreadable: int


_REFERENCE = b"reference/"


class DriftMonitor:
    """Drift of inputs and answers, of every version whose rows lie in one partition of `observations`.

    Publishes a `DriftResult` for each window on `drift`, and alerts of the monitor ``drift``.

    Parameters
    ----------
    models : where bundles are found, and references made from the stream
    """

    topics: ClassVar[tuple[Topic, ...]] = (OBSERVATIONS,)
    state_format: ClassVar[str] = f"drift-1 river-{river_version}"

    def __init__(self, models: Models) -> None:
        self._models = models
        self._decoder = msgspec.json.Decoder(Observation)
        self._states: dict[str, DriftModel] = {}
        self._changes: dict[str, MonitorChange] = {}
        self._references: dict[str, bytes] = {}
        self._stored_references: set[str] = set()
        self._begun = 0
        self._begun_ms: int | None = None
        self._unreadable = 0
        self._out: list[Publication] = []

    def restore(self, metadata: bytes, panes: Mapping[bytes, bytes]) -> None:
        """Go on from stored state."""
        state = msgspec.msgpack.decode(metadata, type=MonitorState)
        self._begun, self._begun_ms, self._unreadable = state.begun, state.begun_ms, state.unreadable
        self._changes = dict(state.changes)
        for name, data in panes.items():
            if name.startswith(_REFERENCE):
                self._references[name[len(_REFERENCE) :].decode()] = data
        self._stored_references = set(self._references)
        for model, entry in state.models.items():
            self._states[model] = DriftModel(model, self._models, self._overlay(entry.change))
            self._states[model].restore(entry, panes)

    def begin(self, positions: Mapping[str, int]) -> None:
        """Start anew from a position; what lies before it is not known."""
        self._begun = positions.get(OBSERVATIONS.name, 0)

    def lose(self, topic: Topic, first: int, end: int) -> None:
        """Positions expired before they were read."""
        del topic, first, end
        for model in self._states.values():
            model.lose()

    def take(self, records: Sequence[Record], cut: Cut, rows: RowReader) -> Change:
        """One batch; ``rows`` of the join have no part in it."""
        del rows
        for record in records:
            self._read(record, cut)
        for model in self._states.values():
            self._out += model.turn(cut)
        changes = PaneChanges()
        states = {name: model.collect(changes) for name, model in self._states.items()}
        self._collect_references(changes)
        state = MonitorState(self._begun, self._begun_ms, states, self._changes, self._unreadable)
        out, self._out = self._out, []
        return Change(msgspec.msgpack.encode(state), changes.writes, sorted(changes.deletes), out)

    def counts(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Rows that are in no window, and messages that could not be read."""
        late: dict[tuple[str, ...], float] = {}
        unfed: dict[tuple[str, ...], float] = {}
        ahead: dict[tuple[str, ...], float] = {}
        unknown: dict[tuple[str, ...], float] = {}
        for name, model in self._states.items():
            ahead[name,] = model.clock.ahead_rows
            unknown |= {(name, version): rows for version, rows in model.unknown_rows.items()}
            late |= {tuple(key): stream.book.late_rows for key, stream in model.streams.items()}
            unfed |= {tuple(key): stream.feed.unfed_rows for key, stream in model.streams.items()}
        return {
            "late_rows": late,
            "ahead_rows": ahead,
            "rows_too_late_for_detectors": unfed,
            "rows_without_bundle": unknown,
            "unreadable_messages": {(): self._unreadable},
        }

    def _read(self, record: Record, cut: Cut) -> None:
        try:
            observation = self._decoder.decode(record.value or b"")
        except msgspec.DecodeError as error:
            self._unreadable += 1
            self._out.append(publish_unreadable(record, str(error)))
            return
        for change in observation.changes:
            self._change(change, record.offset, cut)
        if self._begun and self._begun_ms is None and observation.ranges:
            # Rows that were not read may lie as far ahead of their record time as is believed.
            self._begun_ms = max(entry.time_ms for entry in observation.ranges) + TOLERANCE_MS
        for name in _appearing(observation):
            if name not in self._states:
                self._states[name] = DriftModel(name, self._models, self._overlay(self._change_of(name)))
                self._states[name].frozen_ms = self._begun_ms
        for model in self._states.values():
            model.take(observation, record.offset, cut)

    def _change(self, change: MonitorChange, offset: int, cut: Cut) -> None:
        model = self._states.get(change.model)
        if model is None:
            self._changes[change.model] = change
        else:
            model.change(self._overlay(change), offset, cut)

    def _change_of(self, model: str) -> MonitorChange | None:
        """The last change before a model's first message: read, or from before this state began."""
        if model in self._changes:
            return self._changes.pop(model)
        before = [
            change
            for change in self._models.changes(model)
            if change.offset is not None and change.offset < self._begun
        ]
        return before[-1] if before else None

    def _overlay(self, change: MonitorChange | None) -> Overlay:
        """A change with its reference; one that is missing or no such file leaves the bundle's."""
        if change is None or change.reference is None:
            return Overlay(change)
        digest = change.reference.digest
        content = self._references.get(digest)
        if content is None:
            content = self._models.reference(change)
        if content is None:
            return Overlay(change)
        try:
            reference = StreamReference.from_bytes(content)
        except ValueError:
            return Overlay(change)
        self._references[digest] = content
        return Overlay(change, reference)

    def _collect_references(self, changes: PaneChanges) -> None:
        """References are state: a file that is gone after a restart must not change what is counted."""
        used = {digest for model in self._states.values() for digest in model.reference_digests()}
        for digest in sorted(used - self._stored_references):
            changes.write(_REFERENCE + digest.encode(), self._references[digest])
        for digest in sorted(self._stored_references - used):
            changes.delete(_REFERENCE + digest.encode())
        self._stored_references = used
        self._references = {digest: self._references[digest] for digest in used}


def _appearing(observation: Observation) -> list[str]:
    """Models with rows in a message, or a replay that begins."""
    begun = [entry.mark.model for entry in observation.marks if entry.mark.kind == "begin"]
    named = [section.model for section in observation.models] + [name for name in begun if name is not None]
    return list(dict.fromkeys(named))
