"""Electricity, decided elsewhere: the price goes on as it went; an ONNX that passes one column through.

Nothing is trained. The decision comes with the row, and is watched as any model's answer is.

Source: as `recipes.electricity`. That a guess of the previous label is right more often than many a method is
known of this data: Bifet et al. (2013), Pitfalls in benchmarking data stream classification.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper

from atalaia.bundles.build import build_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import Feature, Manifest, ModelFile
from atalaia.inference.rows import Rows
from recipes import Progress, unseen
from recipes.electricity import (
    A_DAY,
    DOWN,
    KNOWN_DAYS,
    MONITORS,
    TARGET,
    TERMS,
    UP,
    WATCHED,
    HalfHours,
    IntArray,
)

PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Decisions:
    """From the second half hour on: what is decided (n,), the label before; and the label (n,)."""

    previous: IntArray
    labels: IntArray

    @classmethod
    def of(cls, market: HalfHours) -> "Decisions":
        """Of all half hours."""
        return cls(market.labels[:-1], market.labels[1:])

    def __len__(self) -> int:
        return len(self.labels)

    def write_csv(self, path: Path) -> None:
        """For ``atalaia replay PATH --model electricity-previous --target class``."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([PREVIOUS, TARGET])
            writer.writerows(zip(self.previous.tolist(), self.labels.tolist(), strict=True))


def train(
    out: Path, *, data_dir: Path | None = None, progress: Progress = unseen, replace: bool = False
) -> Bundle:
    """Make the bundle ``electricity-previous`` 1.

    Raises
    ------
    BundleError
        without data.
    """
    market = HalfHours.read(data_dir)
    known = Decisions.of(market.take(slice(KNOWN_DAYS * A_DAY)))
    progress("reading", 1, 1)
    return build_bundle(
        out,
        manifest=_manifest(market, known),
        model=_to_onnx(),
        rows=Rows(numeric=known.previous[:, None].astype(np.float64)),
        labels=known.labels,
        sections=[("How it is watched", WATCHED)],
        notes=[TERMS],
        replace=replace,
    )


def _to_onnx() -> bytes:
    """One column in, and out again as the probability of its own decision."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [PREVIOUS], ["decision"])],
        "decision",
        [helper.make_tensor_value_info(PREVIOUS, TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("decision", TensorProto.FLOAT, [None, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _manifest(market: HalfHours, known: Decisions) -> Manifest:
    return Manifest(
        name="electricity-previous",
        version="1",
        task="classification",
        description="That the price of electricity in New South Wales goes on as it went half an hour ago.",
        model=ModelFile(inputs="tensor", probabilities="decision"),
        features=(Feature(name=PREVIOUS, datatype="FP32"),),
        classes=(DOWN, UP),
        positive_class=UP,
        threshold=0.5,
        monitors=MONITORS,
        made={
            "recipe": "electricity-previous",
            "data": f"Electricity NSW (Harries 1999), sha256 {market.sha256}",
            "rows": f"{len(known)} as reference, of the first {KNOWN_DAYS} days; nothing is trained",
        },
    )
