"""Basic metabolic panels: was the sample contaminated with intravenous fluid?

Everything is simulated from published figures (`recipes.bmp_panels`), so this needs no download. The truth
is known by construction; the rule of thumb of the thesis this follows stands beside the model as a baseline.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from atalaia.bundles.build import build_bundle
from atalaia.bundles.card import table
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import BundleError
from recipes import Progress, unseen
from recipes.bmp_figures import AGE_BANDS, ANALYTES, UNITS
from recipes.bmp_panels import CLEAN, CONTAMINATED, DELTAS, FEATURES, TARGET, Panels, simulate
from recipes.gradient_boosting import to_onnx

__all__ = ["CLEAN", "CONTAMINATED", "FEATURES", "TARGET", "Panels", "rule_of_thumb", "simulate", "train"]

TRAINING_PANELS, HELD_OUT_PANELS, REFERENCE_PANELS = 60_000, 60_000, 10_000
TRAINING_SEED, HELD_OUT_SEED, REFERENCE_SEED = 2016, 2017, 2018
THRESHOLD = 0.5
SIZES = ((30, 8), (50, 15), (100, 15))
"""Trees and leaves of the models compared; `CHOSEN` is the one packed."""
CHOSEN = (50, 15)

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]


def train(
    out: Path, *, data_dir: Path | None = None, progress: Progress = unseen, replace: bool = False
) -> Bundle:
    """Make the bundle ``bmp`` 1; ``data_dir`` is not needed.

    Raises
    ------
    BundleError
        when the ONNX file does not answer as scikit-learn does.
    """
    del data_dir
    training = simulate(TRAINING_PANELS, TRAINING_SEED)
    held_out = simulate(HELD_OUT_PANELS, HELD_OUT_SEED)
    reference = simulate(REFERENCE_PANELS, REFERENCE_SEED)
    progress("simulating panels", 1, 1)
    models = {}
    # threads that wait for each other take ten times as long where cores are shared
    with threadpool_limits(1):
        for done, (trees, leaves) in enumerate(SIZES, start=1):
            models[trees, leaves] = HistGradientBoostingClassifier(
                max_iter=trees, max_leaf_nodes=leaves, early_stopping=False, random_state=0
            ).fit(_inputs(training), training.contaminated)
            progress("training", done, len(SIZES))
    converted = to_onnx(models[CHOSEN], len(FEATURES), [CLEAN, CONTAMINATED])
    _check_conversion(converted, models[CHOSEN], held_out)
    scores = {size: model.predict_proba(_inputs(held_out))[:, 1] for size, model in models.items()}
    return build_bundle(
        out,
        manifest=_manifest(),
        model=converted,
        rows=reference.rows(),
        labels=reference.contaminated.astype(np.int64),
        sections=_sections(held_out, scores),
        notes=(
            "Simulated people are healthier than inpatients, tails are lighter: a ward gives worse figures.",
            "Deltas are missing for people without a prior panel, about one in ten.",
        ),
        replace=replace,
    )


def rule_of_thumb(panels: Panels) -> BoolArray:
    """The thesis's real-time rule: chloride up, potassium and calcium down; false without deltas."""
    chloride, potassium, calcium = (
        panels.features[:, FEATURES.index(f"{analyte}_delta_prior")]
        for analyte in ("chloride", "potassium_plas", "calcium")
    )
    return (chloride > 7.7) & (potassium < -0.7) & (calcium < -1.7)


def _inputs(panels: Panels) -> Float32Array:
    return panels.features.astype(np.float32)


def _check_conversion(converted: bytes, model: HistGradientBoostingClassifier, panels: Panels) -> None:
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    (answered,) = session.run(["probabilities"], {"input": _inputs(panels)})
    worst = float(np.abs(answered - model.predict_proba(_inputs(panels))).max())
    if worst > 1e-5:
        raise BundleError(
            f"the ONNX file differs from scikit-learn {sklearn.__version__} by up to {worst:.2g}, expected "
            "1e-5; its trees may have another layout than in 1.9.1"
        )


def _manifest() -> Manifest:
    features = [
        *(Feature(name=name, unit=unit) for name, unit in zip(ANALYTES, UNITS, strict=True)),
        *(
            Feature(name=name, unit=unit, missing=True, description="this panel less the one before")
            for name, unit in zip(DELTAS, UNITS, strict=True)
        ),
    ]
    return Manifest(
        name="bmp",
        version="1",
        task="classification",
        description=(
            "Whether a basic metabolic panel was drawn from a sample contaminated with intravenous fluid. "
            "A demonstration on simulated panels, not for use in care."
        ),
        model=ModelFile(inputs="tensor", probabilities="probabilities"),
        features=tuple(features),
        context=(
            ContextColumn(name="sex", categories=("F", "M")),
            ContextColumn(name="age", datatype="FP64", bands=AGE_BANDS),
        ),
        classes=(CLEAN, CONTAMINATED),
        positive_class=CONTAMINATED,
        threshold=THRESHOLD,
        made=_made(),
    )


def _made() -> dict[str, Any]:
    return {
        "recipe": "bmp",
        "data": "simulated from the figures in recipes/bmp_figures.py (NHANES 2015-2016, inpatient pairs)",
        "panels": f"{TRAINING_PANELS} to train, {REFERENCE_PANELS} as reference, {HELD_OUT_PANELS} held out",
        "seeds": [TRAINING_SEED, REFERENCE_SEED, HELD_OUT_SEED],
        "contamination": "3 % of panels: saline 4 to lactated Ringer's 1, f ~ min(Beta(1, 5) + .10, .8)",
        "model": f"HistGradientBoostingClassifier(max_iter={CHOSEN[0]}, max_leaf_nodes={CHOSEN[1]})",
        "scikit_learn": sklearn.__version__,
    }


def _sections(
    held_out: Panels, scores: dict[tuple[int, int], npt.NDArray[np.float64]]
) -> list[tuple[str, str]]:
    flags = {"rule of thumb": rule_of_thumb(held_out), "model": scores[CHOSEN] >= THRESHOLD}
    beside = table(
        ["", "sensitivity", "PPV", "flags per 1000", "sensitivity, f < .15", "sensitivity, f .2 to .3"],
        [(name, *_figures(flagged, held_out)) for name, flagged in flags.items()],
    )
    compared = table(
        ["trees", "leaves", "sensitivity", "PPV", "flags per 1000", "f < .15", "f .2 to .3"],
        [(*size, *_figures(score >= THRESHOLD, held_out)) for size, score in scores.items()],
    )
    told = (
        f"On {len(held_out)} held-out panels, {held_out.contaminated.mean():.1%} contaminated; f is the "
        "share of fluid in the sample. The rule: chloride up by more than 7.7, potassium down by more than "
        "0.7 and calcium down by more than 1.7 since the panel before."
    )
    return [
        ("Beside the rule of thumb", f"{told}\n\n{beside}"),
        ("Sizes compared", f"On the same panels; trees and leaves cost time.\n\n{compared}"),
    ]


def _figures(flagged: BoolArray, panels: Panels) -> tuple[str, ...]:
    truth, fraction = panels.contaminated, panels.fraction
    return (
        f"{flagged[truth].mean():.3f}",
        f"{truth[flagged].mean():.3f}",
        f"{1000 * flagged.mean():.1f}",
        f"{flagged[truth & (fraction < 0.15)].mean():.3f}",
        f"{flagged[truth & (fraction >= 0.2) & (fraction < 0.3)].mean():.3f}",
    )
