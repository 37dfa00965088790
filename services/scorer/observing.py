"""What was asked and answered, as the columns the monitors read."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.inference.rows import ObjectArray
from atalaia.records import Array, ModelObservation
from services.scorer.scoring import Scored

_EXACT_IN_FLOAT32 = {"BOOL", "INT8", "INT16", "UINT8", "UINT16", "FP16", "FP32"}


def observe(scored: Iterable[Scored]) -> list[ModelObservation]:
    """One observation for each version and role of what was scored, in the order of scoring."""
    versions: dict[tuple[str, str, str], list[Scored]] = defaultdict(list)
    for entry in scored:
        versions[entry.served.name, entry.served.version, entry.role].append(entry)
    return [_observe_version(entries) for entries in versions.values()]


def _observe_version(scored: list[Scored]) -> ModelObservation:
    served, role = scored[0].served, scored[0].role
    messages = [message for entry in scored for message in entry.messages]
    return ModelObservation(
        model=served.name,
        version=served.version,
        role=role,
        digest=served.digest,
        partition=Array.of(np.array([message.partition() for message in messages], np.int32)),
        offset=Array.of(np.array([message.offset() for message in messages], np.int64)),
        id=[request_id for entry in scored for request_id in entry.ids],
        rows=_join(scored, lambda entry: entry.row_counts),
        expired=_join(scored, lambda entry: entry.expired),
        event_time_ms=_join(scored, lambda entry: entry.event_time_ms),
        features=_features(scored),
        context=_context(scored),
        score=_join(scored, lambda entry: entry.predictions.score),
        applicability=_join(scored, lambda entry: entry.predictions.applicability),
        abstained=_join(scored, lambda entry: entry.predictions.abstained),
        label=_join_where_given(scored, lambda entry: entry.predictions.label),
        probabilities=_join_where_given(scored, lambda entry: entry.predictions.probabilities),
        classes=list(served.manifest.classes) or None,
        waited_ms=Array.of(np.array([entry.waited_ms for entry in scored], np.int64)),
        waited_rows=Array.of(np.array([len(entry.rows) for entry in scored], np.int32)),
    )


def _features(scored: Sequence[Scored]) -> dict[str, Array]:
    manifest = scored[0].served.manifest
    numeric = _concatenate([entry.rows.numeric for entry in scored])
    place = 0
    features: dict[str, Array] = {}
    for feature in manifest.features:
        if feature.numeric:
            dtype = np.float32 if feature.datatype in _EXACT_IN_FLOAT32 else np.float64
            features[feature.name] = Array.of(numeric[:, place].astype(dtype))
            place += 1
        else:
            name = feature.name
            features[name] = _strings(_concatenate([entry.rows.strings[name] for entry in scored]))
    return features


def _context(scored: Sequence[Scored]) -> dict[str, Array]:
    columns = scored[0].served.manifest.context
    joined = {
        column: _concatenate([entry.rows.context[column.name] for entry in scored]) for column in columns
    }
    return {
        column.name: Array.of(values) if column.numeric else _strings(values)
        for column, values in joined.items()
    }


def _strings(values: ObjectArray) -> Array:
    """Strings as places in the list of those that occur, in order of first occurrence; -1 is missing."""
    places: dict[str, int] = {}
    codes = [-1 if value is None else places.setdefault(value, len(places)) for value in values.tolist()]
    return Array.of(np.array(codes, np.int32), categories=list(places))


def _join(scored: Sequence[Scored], column: Callable[[Scored], npt.NDArray[Any]]) -> Array:
    return Array.of(_concatenate([column(entry) for entry in scored]))


def _join_where_given(
    scored: Sequence[Scored], column: Callable[[Scored], npt.NDArray[Any] | None]
) -> Array | None:
    """All of a version's batches have the column or none has: it is the model's task that decides."""
    given = [values for entry in scored if (values := column(entry)) is not None]
    return Array.of(_concatenate(given)) if given else None


def _concatenate(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
