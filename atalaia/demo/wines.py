"""The wine model joins in where there is data: its known accuracies, found again in the answers."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from atalaia.bundles.folder import Bundle
from atalaia.demo.stage import PATIENCE_SECONDS, Stage
from atalaia.inference.protocol import InferResponse, decode_response
from atalaia.inference.responses import abstained_rows

MODEL = "wine"
FIGURES = {"held_out": "accuracy_held_out_298", "strong": "accuracy_alcohol_above_11"}
NAMES = {"held_out": "held-out wines", "strong": "wines above 11 % alcohol"}


def ask_for_wines(stage: Stage, bundle: Bundle, data_dir: Path) -> None:
    """Send rows with known marks to the wine model, and compare the accuracy of the answers."""
    from recipes.wine import Wines  # noqa: PLC0415 - needs the extra `train`

    wines = Wines.read(data_dir)
    parts = {
        "held_out": (wines.held_out, wines.held_out_quality),
        "strong": (wines.strong, wines.strong_quality),
    }
    keys = {
        part: [f"{stage.run}-{part}-{row:04d}" for row in range(len(rows))]
        for part, (rows, _) in parts.items()
    }
    messages = [
        (key, _request(key, row))
        for part, (rows, _) in parts.items()
        for key, row in zip(keys[part], rows, strict=True)
    ]
    with stage.tell.bar("answered", len(messages)) as advance:
        stage.writer.write(messages, model=MODEL)
        stage.watcher.wait_for(
            [key for key, _ in messages], timeout_seconds=PATIENCE_SECONDS, on_progress=advance
        )
    found: dict[str, Any] = {}
    for part, (_, quality) in parts.items():
        arrivals = [stage.watcher.arrivals.get(key) for key in keys[part]]
        answers = [None if arrival is None else decode_response(arrival.value) for arrival in arrivals]
        found[part] = _judge(stage, part, answers, quality, bundle)
    stage.figures["wine"] = found


def _judge(
    stage: Stage,
    part: str,
    answers: list[InferResponse | None],
    quality: npt.NDArray[np.int64],
    bundle: Bundle,
) -> dict[str, Any]:
    labels = [(answer.output("label") or [None])[0] if answer is not None else None for answer in answers]
    right = sum(label == mark for label, mark in zip(labels, quality.tolist(), strict=True))
    abstained = sum(any(abstained_rows(answer)) for answer in answers if answer is not None)
    accuracy = round(right / len(quality), 3)
    known = round(float(bundle.manifest.made["figures"][FIGURES[part]]), 3)
    stage.checks.expect(
        f"accuracy on {len(quality)} {NAMES[part]} is {known}", accuracy == known, f"{accuracy}"
    )
    stage.tell.say(
        f"{len(quality)} {NAMES[part]}: accuracy [bold]{accuracy:.3f}[/] (known: {known:.3f}), all rows "
        f"counted; on {abstained} of them the model says that it should not be asked."
    )
    return {"rows": len(quality), "accuracy": accuracy, "known": known, "abstained": abstained}


def _request(key: str, row: npt.NDArray[np.float32]) -> bytes:
    tensor = {"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row.tolist()}
    return orjson.dumps({"id": key, "inputs": [tensor]})
