"""Where the rows of a new reference come from, and where its file goes: `atalaia monitors rebaseline`."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from atalaia.alerts import rfc3339
from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.bundles.reference_csv import ReferenceTable
from atalaia.errors import AtalaiaError
from atalaia.inference.rows import Rows
from atalaia.monitors.baselines import Baseline
from atalaia.monitors.drift.reference import StreamReference
from atalaia.records import Array, ModelObservation, Observation, ReferenceFile
from atalaia.results import DriftResult
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.logs import LogReader
from atalaia.stream.partitioner import partition_of
from atalaia.topics import DRIFT, OBSERVATIONS
from atalaia.windows import Window


class NoRows(AtalaiaError):
    """There are too few rows to make a reference of."""


def read_window(text: str) -> Window:
    """``START/END``, each RFC 3339.

    Raises
    ------
    ValueError
        where it is not of that form.

    >>> read_window("1970-01-01T00:00:00Z/1970-01-01T00:01:00Z")
    Window(start_ms=0, end_ms=60000)
    """
    start, slash, end = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r}: expected START/END")
    window = Window(_milliseconds(start), _milliseconds(end))
    if window.start_ms >= window.end_ms:
        raise ValueError(f"{text!r} ends before it starts")
    return window


def last_windows(results: Iterable[DriftResult], bundle: Bundle, *, rows: int) -> Window:
    """The last closed windows of a version as primary that together hold so many rows.

    Raises
    ------
    NoRows
        where there are not that many.
    """
    latest: dict[tuple[str, str], DriftResult] = {}
    for result in results:
        if (result.model, result.version, result.role) == (bundle.name, bundle.version, "primary"):
            latest[result.window.start, result.window.end] = result
    closed = [result for result in latest.values() if not result.provisional]
    found, start = 0, None
    for result in sorted(closed, key=lambda result: result.window.end, reverse=True):
        if start is None or result.window.end <= start:  # of sliding windows, those that do not overlap
            found, start = found + result.n, result.window.start
        if found >= rows:
            end = max(result.window.end for result in closed)
            return Window(_milliseconds(start), _milliseconds(end))
    raise NoRows(
        f"the closed drift windows of {bundle.name} {bundle.version} hold {found:,} rows, a reference needs "
        f"{rows:,}; wait, or give --window START/END or --csv FILE"
    )


def of_stream(kafka: KafkaSettings, bundle: Bundle, window: Window) -> StreamReference:
    """The reference of a version's rows on `observations` in a window of event time.

    Raises
    ------
    NoRows
        where there is none.
    """
    baseline = Baseline(bundle.manifest, window)
    with LogReader(kafka, (OBSERVATIONS,), only={partition_of(bundle.name, OBSERVATIONS.partitions)}) as log:
        for message in log.read_to_end():
            for section in msgspec.json.decode(message.value() or b"", type=Observation).models:
                baseline.add(section)
    if not baseline.rows:
        raise NoRows(
            f"{bundle.name} {bundle.version} has no row as primary between {rfc3339(window.start_ms)} and "
            f"{rfc3339(window.end_ms)} on {OBSERVATIONS.name}"
        )
    return baseline.reference()


def of_csv(bundle: Bundle, path: Path) -> StreamReference:
    """The reference of the rows of a CSV file, scored by the bundle's own model.

    Raises
    ------
    BundleError
        where a feature is not there, or a cell is not of its type.
    """
    table, manifest = ReferenceTable.read(path), bundle.manifest
    numbers = [table.numbers(entry.name, entry.datatype) for entry in manifest.features if entry.numeric]
    strings = {entry.name: table.strings(entry.name) for entry in manifest.features if not entry.numeric}
    numeric = np.stack(numbers, axis=1) if numbers else np.zeros((len(table), 0))
    rows = Rows(numeric=numeric, strings=strings)
    said = Predictor(bundle).predict(rows)
    features = dict(zip((entry.name for entry in manifest.features if entry.numeric), numbers, strict=True))
    section = ModelObservation(
        model=bundle.name,
        version=bundle.version,
        role="primary",
        digest=bundle.digest,
        partition=Array.of(np.zeros(1, np.int32)),
        offset=Array.of(np.zeros(1, np.int64)),
        id=[str(path)],
        rows=Array.of(np.array([len(table)], np.int32)),
        expired=Array.of(np.zeros(1, np.bool_)),
        event_time_ms=Array.of(np.zeros(len(table), np.int64)),
        features={
            entry.name: _served(features[entry.name], entry.datatype)
            if entry.numeric
            else _coded(strings[entry.name])
            for entry in manifest.features
        },
        context={
            column.name: Array.of(table.numbers(column.name, "FP64"))
            if column.numeric
            else _coded(table.strings(column.name))
            for column in manifest.context
            if column.name in table.columns
        },
        score=Array.of(said.score),
        applicability=Array.of(said.applicability),
        abstained=Array.of(said.abstained),
        label=None if said.label is None else Array.of(said.label.astype(np.int32)),
        classes=list(manifest.classes) or None,
    )
    baseline = Baseline(manifest, Window(0, 1))
    baseline.add(section)
    return baseline.reference()


def store(reference: StreamReference, bundle: Bundle, settings: Settings, out: Path | None) -> ReferenceFile:
    """Write the file where monitors will read it, and say what it hashes to."""
    content = reference.to_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if out is not None:
        folder = out.resolve()
    elif settings.bundles.store is not None:
        folder = settings.bundles.store.resolve() / bundle.name / "references"
    else:
        folder = bundle.folder.resolve().parent / f"{bundle.name}-references"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{digest[:16]}.npz"
        path.write_bytes(content)
    except OSError as error:
        raise AtalaiaError(
            f"the reference cannot be written to {folder} ({error.strerror}); give --out FOLDER, or set "
            "ATALAIA_BUNDLES__STORE"
        ) from error
    return ReferenceFile(str(path), f"sha256:{digest}")


def read_results(kafka: KafkaSettings) -> list[DriftResult]:
    """Everything on `drift`."""
    with LogReader(kafka, (DRIFT,)) as log:
        return [
            msgspec.json.decode(value, type=DriftResult)
            for message in log.read_to_end()
            if (value := message.value()) is not None
        ]


def _served(values: np.ndarray[tuple[int], np.dtype[np.float64]], datatype: str) -> Array:
    """As the scorer writes features: numbers in few types, all of which hold the served ones exactly."""
    return Array.of(values.astype(np.float32 if datatype in ("FP16", "FP32") else np.float64))


def _coded(values: np.ndarray[tuple[int], np.dtype[np.object_]]) -> Array:
    places: dict[str, int] = {}
    codes = [-1 if value is None else places.setdefault(value, len(places)) for value in values.tolist()]
    return Array.of(np.array(codes, np.int32), categories=list(places))


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone; expected one, as 2026-01-01T00:00:00Z")
    return round(moment.timestamp() * 1000)
