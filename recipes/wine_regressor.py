"""Wine quality as a number: the regressor beside `recipes.wine`, on the same rows.

A forest learns on red wines of at most 11 % alcohol; stronger wines are the drift to come.

Source: as `recipes.wine`.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import skl2onnx
import sklearn
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from atalaia.bundles.build import build_bundle
from atalaia.bundles.card import table
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.bundles.reference import Answers
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows
from recipes import Progress, unseen
from recipes.trees import to_onnx
from recipes.wine import FEATURES, MONITORS, TRAINED_UP_TO_ALCOHOL, WATCHED, Float32Array, Wines

TREES, DEPTH, SEED, FOLDS = 100, 8, 42, 5

FloatArray = npt.NDArray[np.float64]


def train(
    out: Path, *, data_dir: Path | None = None, progress: Progress = unseen, replace: bool = False
) -> Bundle:
    """Make the bundle ``wine-regressor`` 1.

    Raises
    ------
    BundleError
        without data, or when the ONNX file does not answer as scikit-learn does.
    """
    if data_dir is None:
        raise BundleError("the wine-regressor recipe needs data; give --data-dir or set ATALAIA_DATA_DIR")
    wines = Wines.read(data_dir)
    forest = _fit(wines.training, wines.training_quality.astype(np.float64))
    progress("training", 1, 1)
    return build_bundle(
        out,
        manifest=_manifest(wines),
        model=to_onnx(forest, np.concatenate([wines.weak, wines.strong])),
        rows=Rows(numeric=wines.training.astype(np.float64)),
        answers=_out_of_fold(wines, progress),
        sections=[("How it is watched", WATCHED), ("Errors of the forest", _errors(forest, wines))],
        notes=["Measured on red Vinho Verde only. Quality is a whole number; the answer is not."],
        replace=replace,
    )


def _fit(features: Float32Array, quality: FloatArray) -> RandomForestRegressor:
    return RandomForestRegressor(TREES, max_depth=DEPTH, random_state=SEED).fit(features, quality)


def _out_of_fold(wines: Wines, progress: Progress) -> Answers:
    """What forests that have not seen a row say of it."""
    quality = wines.training_quality.astype(np.float64)
    values = np.zeros(len(quality), np.float32)
    folds = KFold(FOLDS, shuffle=True, random_state=SEED)
    for done, (seen, unseen_rows) in enumerate(folds.split(wines.training), start=1):
        values[unseen_rows] = _fit(wines.training[seen], quality[seen]).predict(wines.training[unseen_rows])
        progress("out-of-fold values", done, FOLDS)
    return Answers(scores=values, labels=quality)


def _manifest(wines: Wines) -> Manifest:
    return Manifest(
        name="wine-regressor",
        version="1",
        task="regression",
        description="Quality of red Vinho Verde as a number, from eleven physicochemical measurements.",
        model=ModelFile(inputs="tensor", value="variable"),
        features=tuple(Feature(name=name, datatype="FP32", unit=unit) for name, unit in FEATURES),
        monitors=MONITORS,
        made={
            "recipe": "wine-regressor",
            "data": f"UCI wine quality, red (Cortez et al. 2009, CC BY 4.0), sha256 {wines.sha256}",
            "rows": f"alcohol <= {TRAINED_UP_TO_ALCOHOL:g}: {len(wines.training)} training rows, "
            f"{len(wines.held_out)} held out, as the recipe wine",
            "model": f"RandomForestRegressor({TREES}, max_depth={DEPTH}, random_state={SEED})",
            "reference": f"the training rows, with values of {FOLDS}-fold cross-fitted forests",
            "scikit_learn": sklearn.__version__,
            "skl2onnx": skl2onnx.__version__,
        },
    )


def _errors(forest: RandomForestRegressor, wines: Wines) -> str:
    parts = (
        (f"{len(wines.held_out)} held-out rows", wines.held_out, wines.held_out_quality),
        (f"{len(wines.training)} training rows", wines.training, wines.training_quality),
        (f"{len(wines.strong)} rows above 11 % alcohol", wines.strong, wines.strong_quality),
    )
    rows = []
    for name, features, quality in parts:
        error = forest.predict(features) - quality
        spread = float(((quality - quality.mean()) ** 2).sum())
        rows.append(
            (
                name,
                f"{np.abs(error).mean():.3f}",
                f"{np.sqrt((error**2).mean()):.3f}",
                f"{error.mean():+.3f}",
                f"{1 - (error**2).sum() / spread:.3f}",
            )
        )
    return table(["rows", "MAE", "RMSE", "bias", "R2"], rows)
