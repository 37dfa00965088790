"""A decision that somebody else makes, wrapped as a model: an ONNX that passes one column through.

Rows are requests for a loan: ``amount``, and the ``decision`` that was made; ``sex`` beside them, and as the
truth whether it was paid back. In the reference and at first all is well; then amounts grow, and the
decisions are no longer the same for all.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from atalaia.bundles.assemble import assemble_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.source import Source

NAME = "loans"
HEADER = ("amount", "decision", "sex", "paid")
REFERENCE_ROWS = 2_000
Row = tuple[str, str, str, str]

CONFIG = """
task = "classification"
[monitors.drift]
window = "1h"

[monitors.labels]
horizon = "1d"

[monitors.performance]
window = "1h"

[monitors.fairness]
window = "1h"
"""


def rows(count: int, *, seed: int, from_row: int | None = None) -> Iterator[Row]:
    """Rows; from one on amounts are greater, and women get it a third as often."""
    rng = np.random.default_rng(seed)
    for row in range(count):
        changed = from_row is not None and row >= from_row
        amount = rng.normal(12.0 if changed else 10.0, 2.0)
        sex = "F" if rng.random() < 0.5 else "M"
        decided = rng.random() < (0.2 if changed and sex == "F" else 0.6)
        paid = decided if rng.random() < 0.9 else not decided
        yield f"{amount:.2f}", str(int(decided)), sex, str(int(paid))


def write_rows(path: Path, table: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *table])
    return path


def decision_bundle(folder: Path) -> Bundle:
    """What ``atalaia bundle`` makes of the column and a reference."""
    folder.mkdir(parents=True)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["x", "place"], ["p"], axis=1)],
        "decision",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "place")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "config.toml").write_text(CONFIG)
    source = Source(
        onnx=folder / "model.onnx",
        reference=write_rows(folder / "reference.csv", list(rows(REFERENCE_ROWS, seed=1))),
        target="paid",
        name=NAME,
        version="1",
        context=("sex",),
        config=folder / "config.toml",
    )
    return assemble_bundle(source, folder / "bundle")
