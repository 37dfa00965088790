"""The monitor of truth: labels joined with predictions, and what follows for performance and fairness."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from atalaia.join.rows import RowWrites
from atalaia.monitors.clock import LabelClockState
from atalaia.monitors.truth.intake import LabelIntake, LabelReplay
from atalaia.monitors.truth.letters import settings_letter, unreadable_letter
from atalaia.monitors.truth.model import ModelState, WatchedModel
from atalaia.monitors.truth.overlay import Overlay
from atalaia.monitors.units import Change, Models, Publication, Record, RowReader
from atalaia.records import MonitorChange, Observation
from atalaia.results import Cut
from atalaia.topics import LABELS, OBSERVATIONS, Topic

Counts = dict[str, dict[tuple[str, ...], float]]

_WAITING = b"waiting"
_FIRST_MS = 60_000
"""Models seen so soon after a start within the log may have had rows before it."""
_decode_observation = msgspec.json.Decoder(Observation).decode


class UnitState(msgspec.Struct, frozen=True):
    """A `TruthMonitor` between two batches, its panes aside."""

    labels: LabelClockState
    replays: dict[str, LabelReplay]
    models: dict[str, ModelState]
    overlays: dict[str, Overlay]
    started: int
    first_ms: int
    counted: dict[str, int]


class TruthMonitor:
    """Performance and fairness of the models of one partition, from its observations and labels.

    A model's windows close by the time of its observations. Labels come late and revise them, until the
    horizon after each row; a window is judged once it is mature (`timeline.Timeline`).

    Labels of a version's answers that are read before its first answer count all the same, those of a model
    not seen yet for an hour and up to 10,000; but of a shadow version, and of one whose classes, attributes
    or horizon are others than before, only those read after its first answer was.

    Parameters
    ----------
    models : where bundles are
    partition, partition_of : its own, and that of a model; labels that lie on a foreign one are sent on
    """

    topics: ClassVar[tuple[Topic, ...]] = (OBSERVATIONS, LABELS)
    state_format: ClassVar[str] = "truth-1"

    def __init__(
        self,
        models: Models,
        *,
        partition: int | None = None,
        partition_of: Callable[[str], int] | None = None,
    ) -> None:
        self._models = models

        def foreign(model: str) -> bool:
            return partition is not None and partition_of is not None and partition_of(model) != partition

        self._intake = LabelIntake(foreign)
        self._watched: dict[str, WatchedModel] = {}
        self._overlays: dict[str, Overlay] = {}
        self._started = 0
        self._first_ms = 0
        self._unreadable = 0
        self._wrong_settings = 0

    def restore(self, metadata: bytes, panes: Mapping[bytes, bytes]) -> None:
        """Go on from stored state."""
        state = msgspec.msgpack.decode(metadata, type=UnitState)
        self._intake.clock.restore(state.labels)
        self._intake.replays = dict(state.replays)
        self._intake.unknown_model = state.counted["unknown_model"]
        self._intake.unreadable = state.counted["unreadable_labels"]
        self._intake.moved = state.counted["moved"]
        self._unreadable = state.counted["unreadable_observations"]
        self._wrong_settings = state.counted["wrong_settings"]
        self._intake.restore(panes.get(_WAITING))
        self._overlays = dict(state.overlays)
        self._started, self._first_ms = state.started, state.first_ms
        stored = dict(panes)
        for name, model_state in state.models.items():
            model = WatchedModel(name, self._models, slot=model_state.slot)
            own = f"{model_state.slot}/".encode()
            mine = {key: value for key, value in stored.items() if key.startswith(own)}
            model.restore(model_state, mine, self._overlays.get(name, Overlay()))
            self._watched[name] = model

    def begin(self, positions: Mapping[str, int]) -> None:
        """Start anew, from these positions by topic."""
        self._started = positions.get(OBSERVATIONS.name, 0)

    def lose(self, topic: Topic, first: int, end: int) -> None:  # noqa: ARG002 -- where it lay tells no time
        """Positions expired before they were read."""
        for model in self._watched.values():
            model.lose(self._intake.clock.time_ms(model.name))

    def take(self, records: Sequence[Record], cut: Cut, rows: RowReader) -> Change:
        """One batch, in log order within each topic."""
        publications: list[Publication] = []
        for record in records:
            if record.topic is LABELS:
                publications += self._intake.take(record)
        for record in records:
            if record.topic is OBSERVATIONS:
                publications += self._observe(record)
        joined = RowWrites()
        for name, model in sorted(self._watched.items()):
            label_ms = self._intake.time_ms(name, model.awaited)
            # Where no rows have come of late, labels wait until some do.
            labels = self._intake.labels(name) if model.join is not None and model.join.spaces else None
            told = model.tell(labels, rows, cut=cut, label_ms=label_ms)
            joined = joined.merge(told.rows)
            publications += told.publications
        self._intake.wait()
        writes, deletes = self._stored()
        return Change(self._metadata(), writes, deletes, publications, joined)

    def counts(self) -> Counts:
        """What was counted, by name and labels: what became of rows and labels, late rows, what was wrong."""
        answer: Counts = {name: {(): value} for name, value in self._counted().items()}
        for model in self._watched.values():
            joined = {f"join_{name}": value for name, value in msgspec.structs.asdict(model.counts()).items()}
            joined["label_retired"] = model.retired_labels
            joined["label_invalid"] = 0 if model.join is None else model.join.invalid
            joined["ahead_rows"] = model.clock.ahead_rows
            joined |= {f"{monitor}_late_rows": value for monitor, value in model.too_late().items()}
            for name, value in joined.items():
                answer.setdefault(name, {})[model.name,] = value
        return answer

    def _observe(self, record: Record) -> list[Publication]:
        try:
            observation = _decode_observation(record.value or b"")
        except msgspec.DecodeError as error:
            self._unreadable += 1
            return [unreadable_letter(record, f"no observation ({error})")]
        if observation.changes:
            return self._change(observation.changes, record.offset)
        publications: list[Publication] = []
        recorded_ms = max((entry.time_ms for entry in observation.ranges), default=0)
        self._first_ms = self._first_ms or recorded_ms
        for section in observation.models:
            self._model(section.model, recorded_ms)
        for entry in observation.marks:
            if entry.mark.kind == "begin" and entry.mark.model is not None:
                self._model(entry.mark.model, recorded_ms)
        for name, model in self._watched.items():
            watermark_ms = model.begin(observation, offset=record.offset)
            for section in observation.models:
                if section.model == name:
                    publications += model.take(
                        observation, section, watermark_ms=watermark_ms, offset=record.offset
                    )
            model.finish(
                observation, offset=record.offset, label_ms=self._intake.time_ms(name, model.awaited)
            )
        return publications

    def _change(self, changes: Sequence[MonitorChange], offset: int) -> list[Publication]:
        publications = []
        for change in changes:
            before = self._overlay(change.model)
            after = before.over(change)
            if after is before:
                self._wrong_settings += 1
                publications.append(settings_letter(change.model, offset, "expected tables, as [drift]"))
                continue
            self._overlays[change.model] = after
            if change.model in self._watched:
                self._watched[change.model].reconfigure(after, offset=offset)
        return publications

    def _overlay(self, model: str) -> Overlay:
        """What was set of a model so far, before what was read too, where that has not been read."""
        overlay = self._overlays.get(model)
        if overlay is None:
            overlay = Overlay()
            for change in self._models.changes(model) if self._started else ():
                if change.offset is not None and change.offset < self._started:
                    overlay = overlay.over(change)
        return overlay

    def _model(self, name: str, recorded_ms: int) -> WatchedModel:
        model = self._watched.get(name)
        if model is None:
            taken = {other.slot for other in self._watched.values()}
            slot = next(place for place in range(len(taken) + 1) if place not in taken)
            model = self._watched[name] = WatchedModel(name, self._models, slot=slot)
            model.overlay = self._overlays[name] = self._overlay(name)
            if self._started and recorded_ms <= self._first_ms + _FIRST_MS:
                model.lose(None)
        return model

    def _stored(self) -> tuple[dict[bytes, bytes], list[bytes]]:
        writes: dict[bytes, bytes] = {}
        deletes: list[bytes] = []
        for name, model in list(self._watched.items()):
            writes |= model.writes()
            deletes += model.deletes()
            if model.idle:
                del self._watched[name]
        if self._intake.changed:
            writes[_WAITING] = self._intake.snapshot()
        return writes, deletes

    def _metadata(self) -> bytes:
        return msgspec.msgpack.encode(
            UnitState(
                self._intake.clock.snapshot(),
                self._intake.replays,
                {name: model.snapshot() for name, model in self._watched.items()},
                self._overlays,
                self._started,
                self._first_ms,
                self._counted(),
            )
        )

    def _counted(self) -> dict[str, int]:
        return {
            "unknown_model": self._intake.unknown_model,
            "unreadable_labels": self._intake.unreadable,
            "moved": self._intake.moved,
            "unreadable_observations": self._unreadable,
            "wrong_settings": self._wrong_settings,
        }
