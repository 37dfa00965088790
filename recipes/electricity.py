"""Electricity: does the price in New South Wales go up? A real stream whose rule changes with time.

A shallow tree learns on half hours of the first 180 days; over the two years after them what it has learnt
holds less and less, and then more again. Prices and demand of the neighbour, Victoria, and the transfer
between the two are one value each at first, and come alive after a year: the tree cannot use them.

Source: Harries (1999), Splice-2 comparative evaluation: electricity pricing; the stream of Gama, Medas,
Castillo, Rodrigues (2004), Learning with drift detection. Numbers are scaled to 0 to 1. No terms are stated.
"""

import csv
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import skl2onnx
import sklearn
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from atalaia.bundles.build import build_bundle
from atalaia.bundles.card import table
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows
from recipes import Progress, unseen
from recipes.trees import to_onnx

FILE = "elec/elec.csv.gz"
FEATURES = ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
TARGET = "class"
DOWN, UP = 0, 1
A_DAY = 48
KNOWN_DAYS = 180
"""What the tree is made of: the half hours of the first of them."""
DEPTH, LEAST_LEAF, SEED = 6, 20, 0

DETECTORS = ("ddm", "adwin")
MONITORS: dict[str, Any] = {
    "drift": {"window": "14d", "earlier": ["28d"]},
    "labels": {"horizon": "1d"},
    "performance": {
        "window": "28d",
        "detectors": [{"detector": name, "column": "error"} for name in DETECTORS],
    },
    "fairness": {"enabled": False},
    "abstention": {"window": "1d"},
    "silence": {"after": "6h"},
}
WATCHED = (
    "Longer than usual, for a row every half hour: drift is judged by windows of 14 days (672 rows), "
    "performance by windows of 28 days (1344 rows; with the horizon of a day no longer than rows are kept, "
    "30 days), abstention by days. Half hours depend on each other and seasons are longer than the "
    "reference, so no rate of false alarms is promised for drift of the inputs."
)
TERMS = "No terms are stated for this data, and a bundle holds rows of it: do not pass the bundle on."

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HalfHours:
    """Rows in order of time: ``features`` (n, 6) as `FEATURES`, and whether the price went ``up`` (n,)."""

    features: Float32Array
    up: BoolArray
    sha256: str

    @classmethod
    def read(cls, data_dir: Path | None) -> Self:
        """From the data folder.

        Raises
        ------
        BundleError
            without one, or when the file is not there or has other columns.
        """
        if data_dir is None:
            raise BundleError(f"this recipe needs {FILE}; give --data-dir or set ATALAIA_DATA_DIR")
        path = data_dir / FILE
        try:
            content = path.read_bytes()
            lines = gzip.decompress(content).decode().splitlines()
        except OSError as error:
            raise BundleError(
                f"{path} cannot be read ({error.strerror or error}); this recipe needs it"
            ) from error
        header, *rows = [*csv.reader(lines)] or [[]]
        expected = [*FEATURES, TARGET]
        if header != expected or not rows or any(len(row) != len(expected) for row in rows):
            raise BundleError(f"{path} is not Electricity NSW: expected rows of {', '.join(expected)}")
        values = np.array(rows, np.float64)
        features, up = values[:, :-1].astype(np.float32), values[:, -1] == UP
        return cls(features, up, hashlib.sha256(content).hexdigest())

    def __len__(self) -> int:
        return len(self.up)

    def take(self, which: IntArray | slice) -> "HalfHours":
        """Some of them."""
        return HalfHours(self.features[which], self.up[which], self.sha256)

    @property
    def labels(self) -> IntArray:
        """The truth as the model's classes."""
        return np.where(self.up, UP, DOWN)

    def write_csv(self, path: Path) -> None:
        """For ``atalaia replay PATH --model electricity --target class``."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*FEATURES, TARGET])
            for row, label in zip(self.features, self.labels.tolist(), strict=True):
                writer.writerow([*(str(value) for value in row), label])


def split(market: HalfHours) -> tuple[HalfHours, HalfHours, HalfHours]:
    """Training and reference rows, two thirds and one of the first days' at random; and all later ones."""
    known = KNOWN_DAYS * A_DAY
    training, reference = train_test_split(np.arange(known), test_size=1 / 3, random_state=SEED)
    return market.take(training), market.take(reference), market.take(slice(known, None))


def train(
    out: Path, *, data_dir: Path | None = None, progress: Progress = unseen, replace: bool = False
) -> Bundle:
    """Make the bundle ``electricity`` 1.

    Raises
    ------
    BundleError
        without data, or when the ONNX file does not answer as scikit-learn does.
    """
    market = HalfHours.read(data_dir)
    training, reference, later = split(market)
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=SEED)
    tree.fit(training.features, training.labels)
    progress("training", 1, 1)
    return build_bundle(
        out,
        manifest=_manifest(training, reference),
        model=to_onnx(tree, market.features),
        rows=Rows(numeric=reference.features.astype(np.float64)),
        labels=reference.labels,
        sections=[("How it is watched", WATCHED), _accuracy(tree, training, reference, later)],
        notes=[TERMS],
        replace=replace,
    )


def _manifest(training: HalfHours, reference: HalfHours) -> Manifest:
    return Manifest(
        name="electricity",
        version="1",
        task="classification",
        description="Whether the price of electricity in New South Wales goes up, against the last day's.",
        model=ModelFile(inputs="tensor", probabilities="probabilities"),
        features=tuple(Feature(name=name, datatype="FP32") for name in FEATURES),
        classes=(DOWN, UP),
        positive_class=UP,
        monitors=MONITORS,
        made={
            "recipe": "electricity",
            "data": f"Electricity NSW (Harries 1999), sha256 {training.sha256}",
            "rows": f"of the first {KNOWN_DAYS} days {len(training)} to train, {len(reference)} as reference",
            "model": f"DecisionTreeClassifier(max_depth={DEPTH}, min_samples_leaf={LEAST_LEAF}, "
            f"random_state={SEED})",
            "scikit_learn": sklearn.__version__,
            "skl2onnx": skl2onnx.__version__,
        },
    )


def _accuracy(
    tree: DecisionTreeClassifier, training: HalfHours, reference: HalfHours, later: HalfHours
) -> tuple[str, str]:
    rows = [
        (name, len(some), f"{tree.score(some.features, some.labels):.3f}")
        for name, some in (
            ("to train", training),
            ("held out, the reference", reference),
            ("later than both", later),
        )
    ]
    return "Accuracy of the tree", table(["half hours", "rows", "accuracy"], rows)
