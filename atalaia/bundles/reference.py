"""``reference.npz``: what a model was made on, as far as watching it needs."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import Manifest
from atalaia.inference.columns import numpy_dtype
from atalaia.inference.rows import BoolArray, FloatArray, IntArray, Rows
from atalaia.statistics.applicability import Applicability

Arrays = dict[str, npt.NDArray[Any]]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A column as its distinct values in rising order, how often each is there, and how many are missing.

    Numbers are in the served datatype with -0 = 0, since comparing float64 to float32 finds drift in nothing.

    >>> Distribution.of_numbers(np.array([-0.0, 0.0, 0.5, np.nan]), "FP32")
    Distribution(values=array([0. , 0.5], dtype=float32), counts=array([2, 1]), missing=1)
    """

    values: npt.NDArray[Any]
    counts: IntArray
    missing: int = 0

    @classmethod
    def of_numbers(cls, column: FloatArray, datatype: str) -> Self:
        """Of floats (n,), NaN where missing."""
        present = column[~np.isnan(column)] + 0.0
        values, counts = np.unique(present.astype(numpy_dtype(datatype)), return_counts=True)
        return cls(values, counts.astype(np.int64), len(column) - len(present))

    @classmethod
    def of_strings(cls, column: npt.NDArray[np.object_]) -> Self:
        """Of strings (n,), None where missing."""
        present = [value for value in column.tolist() if value is not None]
        values, counts = np.unique(np.array(present, np.str_), return_counts=True)
        return cls(values, counts.astype(np.int64), len(column) - len(present))


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of rows, and the truth where it is known.

    ``predicted`` and ``labels`` of a classifier are indices into the manifest's classes, -1 for a label that
    is unknown; of a regressor, ``predicted`` is None and ``labels`` are values, NaN for unknown.
    """

    scores: Float32Array
    predicted: IntArray | None = None
    labels: IntArray | FloatArray | None = None
    probabilities: Float32Array | None = None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Rows and what the model must say of them: it is the same model, on this machine too."""

    rows: Rows
    scores: Float32Array
    distances: Float32Array
    predicted: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference rows of a bundle, condensed.

    ``columns`` holds each feature's distribution by name; ``answers``, ``distances`` and ``abstained`` are of
    the same held-out rows (m,), in no order of time unless the card says so. ``background`` are rows to
    explain against. ``performance`` are the figures on the held-out rows, None where undefined.
    """

    columns: Mapping[str, Distribution]
    answers: Answers
    distances: FloatArray
    applicability: Applicability
    background: Rows
    self_test: SelfTest
    performance: Mapping[str, float | None] = field(default_factory=dict)
    attributions: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def abstained(self) -> BoolArray:
        """Which of the reference rows lie beyond the cutoff."""
        return self.applicability.refused(self.distances)

    def to_bytes(self, manifest: Manifest) -> bytes:
        """As the content of ``reference.npz``; the same reference gives the same bytes."""
        arrays: Arrays = {}
        for index, feature in enumerate(manifest.features):
            column = self.columns[feature.name]
            arrays[f"features.{index}.values"] = column.values
            arrays[f"features.{index}.counts"] = column.counts
            arrays[f"features.{index}.missing"] = np.array(column.missing)
        arrays |= _present(
            scores=self.answers.scores,
            predicted=self.answers.predicted,
            labels=self.answers.labels,
            probabilities=self.answers.probabilities,
            distances=self.distances,
            abstained=self.abstained,
            attributions=self.attributions,
        )
        arrays |= {
            "applicability.mean": self.applicability.mean,
            "applicability.scale": self.applicability.scale,
            "applicability.correlation": self.applicability.correlation,
            "applicability.cutoff": np.array(self.applicability.cutoff),
            "performance.names": np.array(list(self.performance), np.str_),
            "performance.values": np.array(
                [np.nan if value is None else value for value in self.performance.values()], np.float64
            ),
        }
        arrays |= _rows_to_arrays("background", self.background, manifest)
        arrays |= _rows_to_arrays("self_test", self.self_test.rows, manifest)
        arrays |= {
            f"self_test.{name}": array
            for name, array in _present(
                scores=self.self_test.scores,
                distances=self.self_test.distances,
                predicted=self.self_test.predicted,
            ).items()
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, manifest: Manifest) -> Self:
        """From the content of ``reference.npz``.

        Raises
        ------
        ValueError
            for anything that is missing, of another shape, or needs a pickle.
        """
        arrays = _load(content)
        columns = {
            feature.name: Distribution(
                arrays[f"features.{index}.values"],
                arrays[f"features.{index}.counts"],
                int(arrays[f"features.{index}.missing"]),
            )
            for index, feature in enumerate(manifest.features)
        }
        reference = cls(
            columns=columns,
            answers=Answers(
                scores=arrays["scores"],
                predicted=arrays.get("predicted"),
                labels=arrays.get("labels"),
                probabilities=arrays.get("probabilities"),
            ),
            distances=arrays["distances"],
            applicability=Applicability(
                features=[feature.name for feature in manifest.features if feature.numeric],
                mean=arrays["applicability.mean"],
                scale=arrays["applicability.scale"],
                correlation=arrays["applicability.correlation"],
                cutoff=float(arrays["applicability.cutoff"]),
            ),
            background=_rows_from_arrays("background", arrays, manifest),
            self_test=SelfTest(
                rows=_rows_from_arrays("self_test", arrays, manifest),
                scores=arrays["self_test.scores"],
                distances=arrays["self_test.distances"],
                predicted=arrays.get("self_test.predicted"),
            ),
            performance={
                name: None if np.isnan(value) else value
                for name, value in zip(
                    arrays["performance.names"].tolist(), arrays["performance.values"].tolist(), strict=True
                )
            },
            attributions=arrays.get("attributions"),
        )
        _check(reference, manifest)
        return reference


class _Named(dict[str, npt.NDArray[Any]]):
    """Arrays that say which of them is missing."""

    def __missing__(self, name: str) -> npt.NDArray[Any]:
        raise ValueError(f"array {name!r} is missing")


def _load(content: bytes) -> _Named:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return _Named({name: archive[name] for name in archive.files})
    except Exception as error:
        raise ValueError(f"not an archive of plain arrays ({error})") from error


def _check(reference: Reference, manifest: Manifest) -> None:
    rows = len(reference)
    for name, array in _present(
        scores=reference.answers.scores,
        predicted=reference.answers.predicted,
        labels=reference.answers.labels,
        probabilities=reference.answers.probabilities,
    ).items():
        if len(array) != rows:
            raise ValueError(f"array {name!r} has {len(array)} rows, expected {rows} as 'distances'")
    width = len(reference.applicability.features)
    if reference.applicability.mean.shape != (width,):
        raise ValueError(
            f"applicability is of {reference.applicability.mean.shape} features, expected {width}"
        )
    for name, column in reference.columns.items():
        if len(column.values) != len(column.counts):
            raise ValueError(
                f"feature {name!r} has {len(column.values)} values but {len(column.counts)} counts"
            )
    if manifest.task == "classification" and reference.answers.predicted is None:
        raise ValueError("array 'predicted' is missing, the task is classification")


def _present(**arrays: npt.NDArray[Any] | None) -> Arrays:
    return {name: array for name, array in arrays.items() if array is not None}


def _rows_to_arrays(prefix: str, rows: Rows, manifest: Manifest) -> Arrays:
    arrays: Arrays = {f"{prefix}.numeric": rows.numeric}
    for index, feature in enumerate(manifest.features):
        if not feature.numeric:
            column = rows.strings[feature.name]
            missing = np.array([value is None for value in column], np.bool_)
            arrays[f"{prefix}.strings.{index}"] = np.where(missing, "", column).astype(np.str_)
            arrays[f"{prefix}.strings.{index}.missing"] = missing
    return arrays


def _rows_from_arrays(prefix: str, arrays: Mapping[str, npt.NDArray[Any]], manifest: Manifest) -> Rows:
    strings = {}
    for index, feature in enumerate(manifest.features):
        if not feature.numeric:
            column = arrays[f"{prefix}.strings.{index}"].astype(np.object_)
            column[arrays[f"{prefix}.strings.{index}.missing"]] = None
            strings[feature.name] = column
    return Rows(numeric=arrays[f"{prefix}.numeric"], strings=strings)
