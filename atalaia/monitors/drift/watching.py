"""What is watched of a version: its columns, their references, and how they are read from rows."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple
from zlib import crc32

import numpy as np

from atalaia.bundles.manifest import ContextColumn
from atalaia.bundles.reference import Distribution
from atalaia.monitors.columns import Coded, Reader, Values, WatchedColumn, WatchedColumns
from atalaia.monitors.configuration import DriftSettings
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.rows import ObservedRows, PlaceArray
from atalaia.monitors.units import Watched
from atalaia.records import Array, Role
from atalaia.statistics.bins import AnyArray, BoolArray, ReferenceColumn, reference_of
from atalaia.statistics.drift import TESTS, ColumnTests

SCORE, CLASS, APPLICABILITY, ABSTAINED = "score", "class", "applicability", "abstained"
ANSWERS = (SCORE, CLASS, APPLICABILITY, ABSTAINED)

_BUCKETS = 256
_TRAINED_ON = "the reference is the training set, which the model knows"


class _Candidate(NamedTuple):
    """A column that could be watched, and the reference its bundle has for it."""

    name: str
    own: ReferenceColumn | None
    read: Reader
    numeric: bool
    answers: bool
    context: ContextColumn | None = None


def watch(
    watched: Watched, role: Role, settings: DriftSettings, stream: StreamReference | None = None
) -> WatchedColumns:
    """The columns of a version in a role: inputs and context of a primary, answers of all.

    ``stream`` is a reference that takes the place of the bundle's. A feature or context column that is named
    like an answer keeps its name, the answer is then ``answers.NAME``.
    """
    columns = []
    for candidate in _candidates(watched, role):
        if settings.columns is not None and candidate.name not in settings.columns:
            continue
        if candidate.name not in settings.without:
            columns.append(_watch(candidate, watched, settings, stream))
    return WatchedColumns(columns)


def reference_rows(watched: Watched, columns: WatchedColumns, stream: StreamReference | None) -> int:
    """Rows of the smallest reference that the columns are held against."""
    if stream is None:
        return len(watched.reference)
    replaced = [
        name for name in stream.columns if name in columns.parts and _replaces(stream, watched, columns, name)
    ]
    if not replaced:
        return len(watched.reference)
    all_replaced = len(replaced) == sum(column.reference for column in columns.columns)
    return stream.rows if all_replaced else min(stream.rows, len(watched.reference))


def answer_name(watched: Watched, name: str) -> str:
    """What an answer's column is called, where a feature or context column may be called so too.

    Truth's label is such an answer as well.
    """
    manifest = watched.manifest
    taken = {feature.name for feature in manifest.features} | {column.name for column in manifest.context}
    return f"answers.{name}" if name in taken else name


def _candidates(watched: Watched, role: Role) -> Iterator[_Candidate]:
    manifest, reference = watched.manifest, watched.reference
    if role == "primary":
        for feature in manifest.features:
            read = _reader("features", feature.name, numeric=feature.numeric)
            yield _Candidate(feature.name, reference.columns[feature.name], read, feature.numeric, False)
        for context in manifest.context:
            read = _reader("context", context.name, numeric=context.numeric)
            yield _Candidate(context.name, None, read, context.numeric, False, context)
    answers, answered = reference.answers, ~np.asarray(reference.abstained, np.bool_)
    scores = reference_of(answers.scores[answered])
    yield _Candidate(answer_name(watched, SCORE), scores, _read_score, True, True)
    if answers.predicted is not None:
        names = np.array([str(name) for name in manifest.classes], np.object_)
        predicted = reference_of(names[answers.predicted[answered]])
        yield _Candidate(answer_name(watched, CLASS), predicted, _read_predicted, False, True)
    distances = reference_of(reference.distances.astype(np.float32))
    yield _Candidate(answer_name(watched, APPLICABILITY), distances, _read_applicability, True, True)
    abstained = reference_of((~answered).astype(np.float32))
    yield _Candidate(answer_name(watched, ABSTAINED), abstained, _read_abstained, True, True)


def _watch(
    candidate: _Candidate, watched: Watched, settings: DriftSettings, stream: StreamReference | None
) -> WatchedColumn:
    own, undecided = candidate.own, None
    trained_on = candidate.answers and not candidate.name.endswith(ABSTAINED)
    if stream is not None and _fits(stream, watched, candidate):
        own = stream.columns[candidate.name]
    elif trained_on and watched.manifest.reference_is_training:
        undecided = _TRAINED_ON
    names = TESTS if settings.tests is None else settings.tests
    tests = ColumnTests(
        candidate.name,
        _without_reference(candidate) if own is None else own,
        tests=[name for name in names if name in TESTS],
        dependence=settings.dependence.get(candidate.name, 1.0),
    )
    read = candidate.read
    if own is None and not candidate.numeric and not _closed(candidate):
        read = _hashed(read)
    return WatchedColumn(candidate.name, tests, read, candidate.answers, own is not None, undecided)


def _fits(stream: StreamReference, watched: Watched, candidate: _Candidate) -> bool:
    column = stream.columns.get(candidate.name)
    if column is None or (candidate.answers and stream.version != watched.manifest.version):
        return False
    return (column.values.dtype.kind in "fiub") == candidate.numeric


def _replaces(stream: StreamReference, watched: Watched, columns: WatchedColumns, name: str) -> bool:
    return not columns.column(name).answers or stream.version == watched.manifest.version


def _reader(part: str, name: str, *, numeric: bool) -> Reader:
    def read(rows: ObservedRows, chosen: PlaceArray | None) -> Values | None:
        columns: dict[str, Array] = getattr(rows.section, part)
        column = columns.get(name)
        if column is None or (column.categories is None) != numeric:
            return None  # another version's rows, that lack the column or have another of that name
        values = _chosen(column.numpy(), chosen)
        return values if column.categories is None else Coded(values, column.categories)

    return read


def _read_score(rows: ObservedRows, chosen: PlaceArray | None) -> Values:
    return _answered(rows, rows.section.score.numpy(), chosen)


def _read_predicted(rows: ObservedRows, chosen: PlaceArray | None) -> Values | None:
    section = rows.section
    if section.label is None or section.classes is None:
        return None
    labels = _answered(rows, section.label.numpy(), chosen)
    return Coded(labels.astype(np.int64), [str(name) for name in section.classes])


def _read_applicability(rows: ObservedRows, chosen: PlaceArray | None) -> Values:
    return _chosen(rows.section.applicability.numpy(), chosen)


def _read_abstained(rows: ObservedRows, chosen: PlaceArray | None) -> Values:
    return _chosen(rows.abstained, chosen).astype(np.float32)


def _answered(rows: ObservedRows, values: AnyArray, chosen: PlaceArray | None) -> AnyArray:
    abstained: BoolArray = rows.abstained
    if not abstained.any():
        return _chosen(values, chosen)
    return _chosen(values, chosen)[~_chosen(abstained, chosen)]


def _chosen(values: AnyArray, chosen: PlaceArray | None) -> AnyArray:
    return values if chosen is None else values[chosen]


def _closed(candidate: _Candidate) -> bool:
    return candidate.context is not None and candidate.context.categories is not None


def _without_reference(candidate: _Candidate) -> ReferenceColumn:
    """Bins for a column that is only compared with earlier windows of its own."""
    if candidate.numeric:
        return _any_number()
    if candidate.context is not None and candidate.context.categories is not None:
        return reference_of(np.array(candidate.context.categories, np.object_))
    return reference_of(np.arange(_BUCKETS, dtype=np.float32))


@cache
def _any_number() -> Distribution:
    """Numbers a 64th apart in relation to their size, from a 1,000th to 16 million, of both signs, and 0."""
    mantissas = np.arange(64, 128) / 64
    positive = np.outer(2.0 ** np.arange(-10, 25), mantissas).reshape(-1)
    values = np.concatenate([-positive[::-1], [0.0], positive]).astype(np.float32)
    return Distribution(values, np.ones(len(values), np.int64))


def _hashed(read: Reader) -> Reader:
    """Strings of which no list is known, by one of 256 numbers each."""

    def read_hashed(rows: ObservedRows, chosen: PlaceArray | None) -> Values | None:
        values = read(rows, chosen)
        if not isinstance(values, Coded):
            return values
        numbers = [float(crc32(name.encode()) % _BUCKETS) for name in values.categories]
        return np.array([*numbers, np.nan], np.float32)[values.places]

    return read_hashed
