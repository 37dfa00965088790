"""From a model and reference rows to a bundle."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.card import Section, write_card
from atalaia.bundles.consistency import problems
from atalaia.bundles.figures import performance
from atalaia.bundles.folder import Bundle, write_bundle
from atalaia.bundles.manifest import Manifest
from atalaia.bundles.onnx_model import OnnxModel
from atalaia.bundles.predictor import Predictor
from atalaia.bundles.reference import Answers, Distribution, Reference, SelfTest
from atalaia.errors import BundleError
from atalaia.inference.columns import numpy_dtype
from atalaia.inference.rows import FloatArray, IntArray, Rows
from atalaia.statistics import applicability

BACKGROUND_ROWS = 200
SELF_TEST_ROWS = 64
_FAR_ROWS = 16


def build_bundle(
    folder: Path | str,
    *,
    manifest: Manifest,
    model: bytes,
    rows: Rows,
    labels: IntArray | FloatArray | None = None,
    answers: Answers | None = None,
    sections: Sequence[Section] = (),
    notes: Sequence[str] = (),
    replace: bool = False,
    seed: int = 0,
) -> Bundle:
    """Condense the reference rows, write the card and the folder, and test the bundle before it is in place.

    Parameters
    ----------
    rows : reference rows, cast to the served datatypes
    labels : the truth of these rows, as `Answers.labels`
    answers : what held-out models said of the rows, where the model has seen them; else the model is asked
    sections, notes : what a recipe adds to the card

    Raises
    ------
    BundleError
        when model, manifest and rows do not fit each other, or the model fails its self-test.
    """
    if wrong := problems(manifest):
        raise BundleError(f"the manifest of {manifest.name} is wrong: {'; '.join(wrong)}")
    manifest = _with_ranges(manifest, rows)
    asked = OnnxModel(manifest, model, f"the model of {manifest.name}")
    if answers is None:
        said = asked.answer(rows)
        answers = Answers(said.score, said.label, labels, said.probabilities)
    reference, found = _condense(manifest, asked, rows, answers, seed)
    return write_bundle(
        folder,
        manifest=manifest,
        model=model,
        reference=reference,
        card=write_card(manifest, reference, notes=[*found, *notes], sections=sections),
        replace=replace,
        verify=lambda bundle: Predictor(bundle).self_test(),
    )


def take(rows: Rows, which: IntArray) -> Rows:
    """Some rows, features alone."""
    return Rows(
        numeric=rows.numeric[which], strings={name: column[which] for name, column in rows.strings.items()}
    )


def _condense(
    manifest: Manifest, model: OnnxModel, rows: Rows, answers: Answers, seed: int
) -> tuple[Reference, tuple[str, ...]]:
    numeric = [feature.name for feature in manifest.features if feature.numeric]
    try:
        fitted = applicability.fit(numeric, rows.numeric, quantile=manifest.applicability_quantile, seed=seed)
    except ValueError as error:
        raise BundleError(f"the reference of {manifest.name}: {error}") from error
    distances = fitted.applicability.squared_distance(rows.numeric)
    reference = Reference(
        columns=_columns(manifest, rows),
        answers=answers,
        distances=fitted.distances,
        applicability=fitted.applicability,
        background=take(rows, _sample(len(rows), BACKGROUND_ROWS, seed)),
        self_test=_self_test(model, fitted.applicability, rows, distances, seed),
        performance=performance(manifest, answers, fitted.applicability.refused(fitted.distances)),
    )
    return reference, fitted.notes


def _columns(manifest: Manifest, rows: Rows) -> dict[str, Distribution]:
    columns = {}
    position = 0
    for feature in manifest.features:
        if feature.numeric:
            columns[feature.name] = Distribution.of_numbers(rows.numeric[:, position], feature.datatype)
            position += 1
        else:
            columns[feature.name] = Distribution.of_strings(rows.strings[feature.name])
    return columns


def _self_test(
    model: OnnxModel,
    distance: applicability.Applicability,
    rows: Rows,
    distances: FloatArray,
    seed: int,
) -> SelfTest:
    """Some rows at random and those farthest out, where a model's paths are least worn."""
    far = np.argsort(distances, kind="stable")[-_FAR_ROWS:]
    chosen = np.union1d(far, _sample(len(rows), SELF_TEST_ROWS - _FAR_ROWS, seed))
    tested = take(rows, chosen)
    said = model.answer(tested)
    return SelfTest(
        rows=tested,
        scores=said.score,
        distances=distance.squared_distance(tested.numeric).astype(np.float32),
        predicted=said.label,
    )


def _sample(rows: int, size: int, seed: int) -> IntArray:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:size]).astype(np.int64)


def _as_served(present: FloatArray, datatype: str) -> npt.NDArray[Any]:
    ends = np.array([present.min(), present.max()])
    return ends if datatype == "BOOL" else ends.astype(numpy_dtype(datatype))


def _with_ranges(manifest: Manifest, rows: Rows) -> Manifest:
    """The range of each number in the reference, where the manifest does not tell one."""
    features = []
    position = 0
    for feature in manifest.features:
        told = feature.low is not None or feature.high is not None
        column = np.zeros(0)
        if feature.numeric:
            column = rows.numeric[:, position]
            position += 1
        present = column[~np.isnan(column)]
        if told or not len(present):
            features.append(feature)
            continue
        # through text, so that 0.18 served as float32 reads 0.18 in bundle.toml
        low, high = (float(str(end)) for end in _as_served(present, feature.datatype))
        features.append(msgspec.structs.replace(feature, low=low, high=high))
    return msgspec.structs.replace(manifest, features=tuple(features))
