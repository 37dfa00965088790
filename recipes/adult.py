"""Adult: does a person earn more than 50,000 dollars a year? For fairness on real rows.

Sex, age and race are context: the model sees none of them, nor the relationship, which names husband and
wife; whether it treats groups alike is for the monitors to say. A name may be a feature or a context column,
not both, so age, which the monitors need, is none of the features (it would add .003 of accuracy). Education
is there as its number of years; the survey's weight of a row says nothing of the person.

Source: Becker, Kohavi (1996), Adult; UCI machine learning repository, CC BY 4.0.
"""

import csv
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from atalaia.bundles.build import build_bundle
from atalaia.bundles.card import Section, table
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows
from recipes import Progress, unseen
from recipes.gradient_boosting import Codes, to_onnx_by_column

TRAINING_FILE, TEST_FILE = "adult/adult.data.gz", "adult/adult.test.gz"
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
    "relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country",
)  # fmt: skip
TARGET = "income"
LOW, HIGH = "<=50K", ">50K"
FEATURES: dict[str, str | None] = {
    "workclass": None,
    "education_num": "years",
    "marital_status": None,
    "occupation": None,
    "capital_gain": "USD",
    "capital_loss": "USD",
    "hours_per_week": "h",
    "native_country": None,
}
"""Names and units."""
STRINGS = ("workclass", "marital_status", "occupation", "native_country")
UNKNOWN = "?"
AGE_BANDS = (30.0, 50.0, 65.0)
SEXES = ("Female", "Male")
RACES = ("Amer-Indian-Eskimo", "Asian-Pac-Islander", "Black", "Other", "White")
REFERENCE_ROWS, SEED = 8_000, 1996
TREES, LEAVES = 100, 15

LIMITS = (
    "Incomes of 1994, in dollars of then.",
    "A model that does not see a group may still tell it apart: marital status and country are features.",
)

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ObjectArray = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class People:
    """Rows of one file as columns of cells; an unknown one is None."""

    columns: dict[str, ObjectArray]
    rich: BoolArray
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file of the data folder.

        Raises
        ------
        BundleError
            when it cannot be read, or is not one of Adult's.
        """
        try:
            content = path.read_bytes()
            lines = gzip.decompress(content).decode().splitlines()
        except OSError as error:
            raise BundleError(
                f"{path} cannot be read ({error.strerror or error}); the adult recipe needs {TRAINING_FILE} "
                f"and {TEST_FILE}"
            ) from error
        cells = [[cell.strip() for cell in line.rstrip(".").split(",")] for line in lines if "," in line]
        if not cells or any(len(row) != len(COLUMNS) + 1 or row[-1] not in (LOW, HIGH) for row in cells):
            raise BundleError(
                f"{path} is not a file of UCI Adult: expected {len(COLUMNS) + 1} cells a line, the last "
                f"{LOW} or {HIGH}"
            )
        columns = {
            name: np.array([None if row[place] == UNKNOWN else row[place] for row in cells], np.object_)
            for place, name in enumerate(COLUMNS)
        }
        rich = np.array([row[-1] == HIGH for row in cells])
        return cls(columns, rich, hashlib.sha256(content).hexdigest())

    def __len__(self) -> int:
        return len(self.rich)

    def take(self, which: IntArray) -> "People":
        """Some of them, in that order."""
        columns = {name: column[which] for name, column in self.columns.items()}
        return People(columns, self.rich[which], self.sha256)

    def numbers(self, name: str) -> FloatArray:
        """A numeric column."""
        return self.columns[name].astype(np.float64)

    def rows(self) -> Rows:
        """As the model is asked about them."""
        numeric = [self.numbers(name) for name in FEATURES if name not in STRINGS]
        return Rows(
            numeric=np.column_stack(numeric),
            strings={name: self.columns[name] for name in STRINGS},
            context={
                "sex": self.columns["sex"],
                "age": self.numbers("age"),
                "race": self.columns["race"],
            },
        )

    def write_csv(self, path: Path) -> None:
        """Features, context and the truth (column `TARGET`), for a replay; unknown cells are empty."""
        names = [*FEATURES, "sex", "age", "race"]
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*names, TARGET])
            writer.writerows(zip(*(self.columns[name] for name in names), self.labels, strict=True))

    @property
    def labels(self) -> npt.NDArray[np.str_]:
        """The truth as the model's classes."""
        return np.where(self.rich, HIGH, LOW)


def read(data_dir: Path | None) -> tuple[People, People, People]:
    """Training rows, reference rows (part of the test file) and the rest of the test file.

    Raises
    ------
    BundleError
        without data, saying which files are needed.
    """
    if data_dir is None:
        raise BundleError(
            f"the adult recipe needs {TRAINING_FILE} and {TEST_FILE}; give --data-dir or set ATALAIA_DATA_DIR"
        )
    training, test = People.read(data_dir / TRAINING_FILE), People.read(data_dir / TEST_FILE)
    order = np.random.default_rng(SEED).permutation(len(test)).astype(np.int64)
    return training, test.take(order[:REFERENCE_ROWS]), test.take(order[REFERENCE_ROWS:])


def train(
    out: Path, *, data_dir: Path | None = None, progress: Progress = unseen, replace: bool = False
) -> Bundle:
    """Make the bundle ``adult`` 1.

    Raises
    ------
    BundleError
        without data, or when the ONNX file does not answer as scikit-learn does.
    """
    training, reference, held_out = read(data_dir)
    progress("reading", 1, 1)
    columns = {name: _codes(training, name) if name in STRINGS else None for name in FEATURES}
    with threadpool_limits(1):
        model = HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=LEAVES, early_stopping=False, random_state=0
        ).fit(_inputs(training, columns), training.rich)
        scores = model.predict_proba(_inputs(held_out, columns))[:, 1]
    progress("training", 1, 1)
    converted = to_onnx_by_column(model, columns, [LOW, HIGH])
    _check_conversion(converted, held_out, scores)
    return build_bundle(
        out,
        manifest=_manifest(training, reference, columns),
        model=converted,
        rows=reference.rows(),
        labels=reference.rich.astype(np.int64),
        sections=[_by_group(training, held_out, scores >= 0.5)],
        notes=LIMITS,
        replace=replace,
    )


def _codes(people: People, name: str) -> Codes:
    """Each category's place when they are ordered by the share of rich people in it."""
    column = people.columns[name]
    categories = sorted({value for value in column.tolist() if value is not None})
    ordered = sorted(categories, key=lambda value: (float(people.rich[column == value].mean()), value))
    return {value: float(place) for place, value in enumerate(ordered)}


def _inputs(people: People, columns: dict[str, Codes | None]) -> npt.NDArray[np.float32]:
    numbers = [
        people.numbers(name)
        if codes is None
        else np.array([codes.get(value, np.nan) for value in people.columns[name].tolist()])
        for name, codes in columns.items()
    ]
    return np.column_stack(numbers).astype(np.float32)


def _check_conversion(converted: bytes, people: People, scores: FloatArray) -> None:
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    fed = {
        name: np.array(["" if value is None else value for value in people.columns[name]], np.object_)[
            :, None
        ]
        if name in STRINGS
        else people.numbers(name).astype(np.float32)[:, None]
        for name in FEATURES
    }
    (answered,) = session.run(["probabilities"], fed)
    worst = float(np.abs(answered[:, 1] - scores).max())
    if worst > 1e-5:
        raise BundleError(
            f"the ONNX file differs from scikit-learn {sklearn.__version__} by up to {worst:.2g}, expected "
            "1e-5; its trees may have another layout than in 1.9.1"
        )


def _manifest(training: People, reference: People, columns: dict[str, Codes | None]) -> Manifest:
    features = []
    for name, unit in FEATURES.items():
        codes = columns[name]
        if codes is None:
            features.append(Feature(name=name, unit=unit))
        else:
            missing = None in set(training.columns[name].tolist())
            categories = tuple(sorted(codes))
            features.append(Feature(name=name, datatype="BYTES", categories=categories, missing=missing))
    return Manifest(
        name="adult",
        version="1",
        task="classification",
        description="Whether a person earns more than 50,000 dollars a year, from the US census of 1994.",
        model=ModelFile(inputs="columns", probabilities="probabilities"),
        features=tuple(features),
        context=(
            ContextColumn(name="sex", categories=SEXES),
            ContextColumn(name="age", datatype="FP64", bands=AGE_BANDS),
            ContextColumn(name="race", categories=RACES),
        ),
        classes=(LOW, HIGH),
        positive_class=HIGH,
        threshold=0.5,
        made=_made(training, reference),
    )


def _made(training: People, reference: People) -> dict[str, Any]:
    return {
        "recipe": "adult",
        "data": "UCI Adult (Becker, Kohavi 1996, CC BY 4.0), sha256 of adult.data.gz "
        f"{training.sha256}, of adult.test.gz {reference.sha256}",
        "rows": f"{len(training)} to train; of the test file {len(reference)} as reference, others held out",
        "left out": "sex, age and race (context alone), relationship, education (but not its years), fnlwgt",
        "strings": "each category's place, ordered by its share of >50K in training; unknown is missing",
        "model": f"HistGradientBoostingClassifier(max_iter={TREES}, max_leaf_nodes={LEAVES})",
        "seed": SEED,
        "scikit_learn": sklearn.__version__,
    }


def _by_group(training: People, held_out: People, flagged: BoolArray) -> Section:
    """What the monitors will find: groups differ, in the data and in the model."""
    age = held_out.numbers("age")
    groups = [(sex, training.columns["sex"] == sex, held_out.columns["sex"] == sex) for sex in SEXES]
    for low, high in zip((0.0, *AGE_BANDS), (*AGE_BANDS, np.inf), strict=True):
        name = f"age from {low:g}" if high == np.inf else f"age {low:g} to below {high:g}"
        ages = training.numbers("age")
        groups.append((name, (ages >= low) & (ages < high), (age >= low) & (age < high)))
    rows = []
    for name, in_training, members in groups:
        truth, said = held_out.rich[members], flagged[members]
        rows.append(
            (
                name,
                int(members.sum()),
                f"{training.rich[in_training].mean():.4f}",
                f"{truth.mean():.3f}",
                f"{said.mean():.3f}",
                f"{said[truth].mean():.3f}",
                f"{said[~truth].mean():.3f}",
                f"{(said == truth).mean():.3f}",
            )
        )
    header = ["group", "rows", "P(>50K) in training", "P(>50K)", "flagged", "TPR", "FPR", "accuracy"]
    told = "On held-out rows. A difference of base rates is not unfairness by itself; TPR and FPR tell more."
    return "By group", f"{told}\n\n{table(header, rows)}"
