"""A reference made from the stream holds exactly the rows of its window, however they came."""

import numpy as np
import pytest

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.monitors import baselines
from atalaia.monitors.baselines import Baseline, distribution
from atalaia.monitors.drift.reference import StreamReference
from atalaia.records import Array, ModelObservation
from atalaia.windows import Window

MANIFEST = Manifest(
    name="m",
    version="1",
    task="classification",
    model=ModelFile(inputs="tensor", probabilities="p"),
    features=(Feature("a"), Feature("kind", datatype="BYTES"), Feature("score")),
    context=(ContextColumn("sex"),),
    classes=("no", "yes"),
)


def section(
    times: list[int], *, role: str = "primary", version: str = "1", seed: int = 0
) -> ModelObservation:
    rng, n = np.random.default_rng(seed), len(times)
    one = np.ones(n, np.int32)
    a = np.round(rng.normal(size=n), 1).astype(np.float32)
    a[rng.random(n) < 0.1] = np.nan
    return ModelObservation(
        model="m",
        version=version,
        role=role,  # type: ignore[arg-type]
        digest="d",
        partition=Array.of(one * 0),
        offset=Array.of(np.arange(n)),
        id=[str(place) for place in range(n)],
        rows=Array.of(one),
        expired=Array.of(one == 0),
        event_time_ms=Array.of(np.array(times, np.int64)),
        features={
            "a": Array.of(a),
            "kind": Array.of(rng.integers(-1, 2, n).astype(np.int32), categories=["x", "y"]),
            "score": Array.of(a),
        },
        context={"sex": Array.of(rng.integers(-1, 2, n).astype(np.int32), categories=["M", "F"])},
        score=Array.of(rng.random(n).astype(np.float32)),
        applicability=Array.of(rng.random(n).astype(np.float32)),
        abstained=Array.of(rng.random(n) < 0.2),
        label=Array.of(rng.integers(0, 2, n).astype(np.int32)),
        classes=["no", "yes"],
    )


@pytest.mark.parametrize("condensed_at", [1, 7, 10_000])
def test_it_holds_the_rows_of_the_window_however_often_it_is_condensed(
    condensed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "_CONDENSED_AT", condensed_at)
    baseline = Baseline(MANIFEST, Window(10, 40))
    sections = [section(list(range(start, start + 20)), seed=start) for start in (0, 15, 30)]
    for entry in sections:
        baseline.add(entry)
    baseline.add(section([20, 21], role="canary"))
    baseline.add(section([20, 21], version="2"))
    reference = baseline.reference()
    assert baseline.rows == 10 + 20 + 10
    times = np.concatenate([entry.event_time_ms.numpy() for entry in sections])
    inside = (times >= 10) & (times < 40)
    answered = inside & ~np.concatenate([entry.abstained.numpy() for entry in sections])
    a = np.concatenate([entry.features["a"].numpy() for entry in sections])
    scores = np.concatenate([entry.score.numpy() for entry in sections])
    for name, values in (("a", a[inside]), ("score", a[inside]), ("answers.score", scores[answered])):
        expected = distribution(values)
        found = reference.columns[name]
        assert found.values.tolist() == expected.values.tolist()
        assert found.values.dtype == np.float32
        assert (found.counts.tolist(), found.missing) == (expected.counts.tolist(), expected.missing)
    assert reference.columns["kind"].counts.sum() + reference.columns["kind"].missing == 40
    assert set(reference.columns["class"].values.tolist()) == {"no", "yes"}
    assert reference.columns["abstained"].counts.sum() == 40
    again = StreamReference.from_bytes(reference.to_bytes())
    assert again.columns.keys() == reference.columns.keys()
    assert again.version == "1"


def test_without_a_row_in_the_window_there_is_none() -> None:
    baseline = Baseline(MANIFEST, Window(100, 200))
    baseline.add(section([1, 2]))
    assert baseline.rows == 0
