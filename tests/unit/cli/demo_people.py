"""People for tests of the demo's act on fairness, and what the monitor says of them."""

from dataclasses import asdict
from typing import Any

import numpy as np
import orjson

from atalaia.demo.recounted import Decided
from atalaia.statistics.fairness import Fairness
from atalaia.statistics.groups import Attribute

Record = dict[str, Any]


def people(rows: int = 600, seed: int = 5) -> Decided:
    """Rows of three attributes, one with a rare value, flagged at rates of their own."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(np.array(["F", "M"], np.object_), rows)
    return Decided(
        {
            "sex": sex,
            "age": rng.choice(np.array(["<30", ">=30"], np.object_), rows),
            "race": rng.choice(np.array(["a", "b", "c"], np.object_), rows, p=[0.6, 0.38, 0.02]),
        },
        flagged=rng.random(rows) < np.where(sex == "F", 0.1, 0.4),
        truth=rng.random(rows) < np.where(sex == "F", 0.15, 0.4),
        abstained=rng.random(rows) < 0.05,
    )


def published(rows: Decided) -> Record:
    """What the monitor says of them, as it lies on the topic."""
    watch = Fairness([Attribute(name) for name in rows.attributes])
    found = watch.result(
        watch.count(
            rows.attributes, flagged=rows.flagged, truth=rows.truth.astype(np.int64), abstained=rows.abstained
        )
    )
    parts = {"groups": [asdict(one) for one in found.groups], "gaps": [asdict(one) for one in found.gaps]}
    record: Record = orjson.loads(orjson.dumps(parts))
    return record
