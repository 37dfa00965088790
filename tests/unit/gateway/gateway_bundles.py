"""Versions as the gateway knows them, made without a model to score with."""

from pathlib import Path

import numpy as np

from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.bundles.reference import Answers, Reference, SelfTest
from atalaia.inference.rows import Rows
from atalaia.records import Deployment, ModelRecord, Role
from atalaia.statistics.applicability import fit
from atalaia.stream.catalog import View
from services.gateway.inference.served import Served

DIGEST = "sha256:0"

PANEL = Manifest(
    name="panel",
    version="1",
    task="classification",
    model=ModelFile(inputs="tensor", probabilities="p"),
    features=(Feature("sodium"), Feature("potassium")),
    context=(
        ContextColumn("sex", categories=("F", "M")),
        ContextColumn("age", datatype="FP64", bands=(30.0,)),
    ),
    classes=(3, 4, 5),
)
LOAN = Manifest(
    name="loan",
    version="7",
    task="regression",
    model=ModelFile(inputs="columns", value="v"),
    features=(
        Feature("income", missing=True),
        Feature("children", datatype="INT64"),
        Feature("colour", datatype="BYTES", categories=("red", "green")),
    ),
)


def served(manifest: Manifest) -> Served:
    rows = 50
    numeric = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32).astype(np.float64)
    if manifest is LOAN:
        numeric[:, 1] = np.arange(rows) % 4
    names = [feature.name for feature in manifest.features if feature.numeric]
    strings = {
        feature.name: np.array(["red"] * rows, np.object_)
        for feature in manifest.features
        if not feature.numeric
    }
    background = Rows(numeric=numeric, strings=strings)
    fitted = fit(names, numeric, quantile=0.9)
    scores = np.zeros(rows, np.float32)
    reference = Reference(
        columns={},
        answers=Answers(scores),
        distances=fitted.distances,
        applicability=fitted.applicability,
        background=background,
        self_test=SelfTest(background, scores, scores),
    )
    return Served(Bundle(Path("nowhere"), manifest, reference, DIGEST, {}))


def view(*deployed: Served, role: Role = "primary") -> View[Served]:
    records = {
        entry.name: ModelRecord(
            entry.name,
            f"2026-01-0{place}",
            [
                Deployment(
                    entry.version, DIGEST, "shadow" if role == "shadow" else "primary", {}, "2026-01-01"
                )
            ],
        )
        for place, entry in enumerate(deployed, start=1)
    }
    return View(records, {(entry.name, entry.version): entry for entry in deployed})
