"""The model every benchmark serves: a tree of depth 10 over eleven numbers, like the wine one, from a seed.

No data is needed, so the figures can be measured anywhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.tree import DecisionTreeClassifier

from atalaia.bundles.build import build_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.inference.rows import FloatArray, IntArray, Rows

FEATURES = 11
CLASSES: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
NAME = "bench"

Tables = Mapping[str, Mapping[str, Any]]
"""A bundle's ``[monitors]`` tables by name."""


def rows(count: int, *, seed: int) -> FloatArray:
    """Rows ``(count, 11)`` of numbers with few decimals, as measurements have."""
    generator = np.random.default_rng(seed)
    scale = np.geomspace(0.05, 30.0, FEATURES)
    return np.round(generator.normal(4.0, 1.0, (count, FEATURES)) * scale, 3)


def make_bundle(
    folder: Path, *, version: str = "1", monitors: Tables | None = None, binary: bool = False
) -> Bundle:
    """Train and write the bundle.

    Parameters
    ----------
    monitors : its ``[monitors]`` tables
    binary : of two classes instead of six, whether the class is above the middle one
    """
    train, held_out = rows(4_000, seed=1), rows(2_000, seed=2)
    labels, classes = _labels(train), CLASSES
    if binary:
        labels, classes = (labels >= CLASSES[3]).astype(np.int64), (0, 1)
    tree = DecisionTreeClassifier(max_depth=10, random_state=0).fit(train.astype(np.float32), labels)
    options = {id(tree): {"zipmap": False}}
    inputs = [("input", FloatTensorType([None, FEATURES]))]
    onnx = skl2onnx.to_onnx(tree, initial_types=inputs, options=options, target_opset=17)
    manifest = Manifest(
        name=NAME,
        version=version,
        task="classification",
        model=ModelFile(inputs="tensor", probabilities="probabilities", label="label"),
        features=tuple(Feature(f"x{place}") for place in range(FEATURES)),
        classes=classes,
        positive_class=1 if binary else None,
        monitors=dict(monitors or {}),
    )
    served = held_out.astype(np.float32).astype(np.float64)
    return build_bundle(folder, manifest=manifest, model=onnx.SerializeToString(), rows=Rows(numeric=served))


def _labels(values: FloatArray) -> IntArray:
    spread = values / np.geomspace(0.05, 30.0, FEATURES)
    total = spread[:, :4].sum(axis=1) - spread[:, 4:7].sum(axis=1)
    classes: IntArray = np.digitize(total, np.quantile(total, [0.05, 0.2, 0.5, 0.8, 0.95])) + CLASSES[0]
    return classes
