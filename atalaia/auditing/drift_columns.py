"""The columns of a window of `drift`: their values in its rows, and what they are held against."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np

from atalaia.auditing import drift_figures
from atalaia.auditing.drift_figures import Sample
from atalaia.auditing.gathered import AnyArray, Selection, values
from atalaia.auditing.observed import Chunk
from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Distribution
from atalaia.monitors.configuration import DriftSettings
from atalaia.monitors.drift.watching import ABSTAINED, ANSWERS, APPLICABILITY, CLASS, SCORE
from atalaia.monitors.units import Watched
from atalaia.windows.watermark import BoolArray

_BUCKETS = 256


class StreamColumns(NamedTuple):
    """A reference made from the stream: distributions by column, answers being of one version."""

    version: str
    columns: Mapping[str, Distribution]

    @property
    def rows(self) -> int:
        """Of its smallest column."""
        return min((int(column.counts.sum()) + column.missing for column in self.columns.values()), default=0)


class Columns:
    """What the columns of a version are, by their names in results.

    Parameters
    ----------
    stream : a reference in place of the bundle's, where it has a column and fits it
    """

    def __init__(self, watched: Watched, stream: StreamColumns | None) -> None:
        self._watched, self._stream = watched, stream
        manifest = watched.manifest
        self._features = {entry.name: entry for entry in manifest.features}
        self._context = {entry.name: entry for entry in manifest.context}
        self._answers = {answer_name(manifest, name): name for name in ANSWERS}
        self._held: dict[str, Sample | None] = {}

    def is_answer(self, name: str) -> bool:
        """Whether a column is of the version's answers, not of its inputs."""
        return name in self._answers

    def tests(self, role: str, drift: DriftSettings) -> Iterator[tuple[str, str, bool]]:
        """Every test of every column that is held against a reference, and whether it decides."""
        for name in self._watched_names(role, drift):
            reference = self.reference(name)
            if reference is not None:
                known = self._known_to_the_model(name)
                for test, decides in _chosen(drift_figures.tests_of(reference), drift).items():
                    yield name, test, decides and not known

    def earlier_tests(self, role: str, drift: DriftSettings) -> Iterator[tuple[str, str]]:
        """Every test of every column that is held against an earlier window."""
        for name in self._watched_names(role, drift):
            for test in _chosen(drift_figures.tests_of(self.places(name)), drift):
                yield name, test

    def sample(self, name: str, selection: Selection) -> Sample:
        """A column of some rows."""
        parts = [part for chunk, inside in selection if (part := self._read(name, chunk, inside)) is not None]
        return Sample.of(np.concatenate(parts)) if parts else Sample(np.zeros(0), np.zeros(0, np.int64), 0)

    def reference(self, name: str) -> Sample | None:
        """What a column is held against; None where it is compared with earlier windows alone."""
        if name not in self._held:
            self._held[name] = self._replaced(name) or self._own(name)
        return self._held[name]

    def places(self, name: str) -> Sample:
        """What a column's earlier windows are compared at."""
        reference = self.reference(name)
        if reference is not None:
            return reference
        column = self._context[name]
        if column.numeric:
            mantissas = np.arange(64, 128) / 64
            positive = np.outer(2.0 ** np.arange(-10, 25), mantissas).reshape(-1)
            return Sample.of(np.concatenate([-positive, [0.0], positive]).astype(np.float32))
        if column.categories is not None:
            return Sample.of(np.array(column.categories, np.object_))
        return Sample.of(np.arange(_BUCKETS, dtype=np.float32))

    def rows_held_against(self, names: list[str]) -> int:
        """Rows of the smallest reference among those of some columns."""
        own = len(self._watched.reference)
        if self._stream is None:
            return own
        replacing = [
            name
            for name in self._stream.columns
            if name in names
            and (not self.is_answer(name) or self._stream.version == self._watched.manifest.version)
        ]
        if not replacing:
            return own
        held = [name for name in names if self.reference(name) is not None]
        return self._stream.rows if len(replacing) == len(held) else min(self._stream.rows, own)

    def _watched_names(self, role: str, drift: DriftSettings) -> list[str]:
        """Inputs and context of a primary, answers of all; but for those that are left out."""
        names = [*self._features, *self._context] if role == "primary" else []
        classified = self._watched.reference.answers.predicted is not None
        names += [name for name, kind in self._answers.items() if kind != CLASS or classified]
        chosen = names if drift.columns is None else [name for name in names if name in drift.columns]
        return [name for name in chosen if name not in drift.without]

    def _known_to_the_model(self, name: str) -> bool:
        """Whether a column's reference are answers to rows that the model was trained on."""
        trained_on = self._watched.manifest.reference_is_training
        answer = self.is_answer(name) and self._answers[name] != ABSTAINED
        return trained_on and answer and self._replaced(name) is None

    def _replaced(self, name: str) -> Sample | None:
        stream = self._stream
        column = None if stream is None else stream.columns.get(name)
        if stream is None or column is None:
            return None
        if self.is_answer(name) and stream.version != self._watched.manifest.version:
            return None
        if (column.values.dtype.kind in "fiub") != self._numeric(name):
            return None
        return Sample(column.values, column.counts, column.missing)

    def _own(self, name: str) -> Sample | None:
        if name in self._features:
            column = self._watched.reference.columns[name]
            return Sample(column.values, column.counts, column.missing)
        if name in self._context:
            return None
        reference, answers = self._watched.reference, self._watched.reference.answers
        answered = ~np.asarray(reference.abstained, np.bool_)
        kind = self._answers[name]
        if kind == SCORE:
            return Sample.of(answers.scores[answered])
        if kind == CLASS:
            names = np.array([str(label) for label in self._watched.manifest.classes], np.object_)
            return None if answers.predicted is None else Sample.of(names[answers.predicted[answered]])
        if kind == APPLICABILITY:
            return Sample.of(reference.distances.astype(np.float32))
        return Sample.of((~answered).astype(np.float32))

    def _numeric(self, name: str) -> bool:
        if name in self._features:
            return self._features[name].numeric
        if name in self._context:
            return self._context[name].numeric
        return self._answers[name] != CLASS

    def _read(self, name: str, chunk: Chunk, inside: BoolArray) -> AnyArray | None:
        section = chunk.section
        if name in self._answers:
            return None if chunk.inputs_only else self._answer(self._answers[name], chunk, inside)
        column = (section.features if name in self._features else section.context).get(name)
        if column is None or (column.categories is None) != self._numeric(name):
            return None
        found = values(column)[inside]
        return _hashed(found) if self._is_open(name) else found

    def _is_open(self, name: str) -> bool:
        """Whether nothing says which strings a column has."""
        context = self._context.get(name)
        open_ = context is not None and not context.numeric and context.categories is None
        return open_ and self.reference(name) is None

    def _answer(self, kind: str, chunk: Chunk, inside: BoolArray) -> AnyArray | None:
        section, abstained = chunk.section, chunk.section.abstained.numpy()
        if kind == ABSTAINED:
            return abstained[inside].astype(np.float32)
        if kind == APPLICABILITY:
            return section.applicability.numpy()[inside]
        answered = inside & ~abstained
        if kind == SCORE:
            scores: AnyArray = section.score.numpy()[answered]
            return scores
        if section.label is None or section.classes is None:
            return None
        names = np.array([str(label) for label in section.classes], np.object_)
        predicted: AnyArray = names[section.label.numpy()[answered]]
        return predicted


def _chosen(tests: Mapping[str, bool], drift: DriftSettings) -> dict[str, bool]:
    """Those that are set, in that order."""
    names = tests if drift.tests is None else drift.tests
    return {test: tests[test] for test in names if test in tests}


def _hashed(strings: AnyArray) -> AnyArray:
    """Strings as one of 256 numbers each."""
    hashes = [np.nan if one is None else crc32(one.encode()) % _BUCKETS for one in strings.tolist()]
    return np.array(hashes, np.float32)


def answer_name(manifest: Manifest, name: str) -> str:
    """What an answer's column is called where a feature or context column may be called so too."""
    taken = {entry.name for entry in manifest.features} | {entry.name for entry in manifest.context}
    return f"answers.{name}" if name in taken else name
