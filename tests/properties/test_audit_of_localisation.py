"""Where drift is said to be, the audit finds over raw values; anywhere else it names."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.alerts import rfc3339
from atalaia.auditing.drift_figures import Sample
from atalaia.auditing.localised import RunColumn, differences
from atalaia.auditing.published import Published, read_result
from atalaia.results import Range
from atalaia.statistics.bins import ValueBins, bins_of, reference_of
from atalaia.statistics.localisation import Change, localise, since
from atalaia.topics import DRIFT
from tests.properties.test_audit_of_monitors import recount, wrong
from tests.unit.monitors.drift_log import HOUR, Bundles, Reader, make_watched, message, reach, section

AnyArray = npt.NDArray[Any]
MINUTE = 60_000


@st.composite
def columns(draw: st.DrawFn) -> tuple[AnyArray, list[AnyArray], int]:
    """A reference, the values of some panes of time, and how many of the last panes are the run."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["numbers", "rounded", "levels", "strings"]))
    panes, changed = draw(st.integers(1, 12)), draw(st.integers(0, 11))
    shift, missing = draw(st.sampled_from([0.0, 0.5, 3.0])), draw(st.sampled_from([0.0, 0.1]))

    def values(n: int, by: float) -> AnyArray:
        drawn = random.normal(size=n) + by
        drawn = {"rounded": np.round(drawn, 1), "levels": np.clip(np.round(drawn), -2, 2)}.get(kind, drawn)
        gone = random.uniform(size=n) < missing
        if kind != "strings":
            return np.where(gone, np.nan, drawn).astype(np.float32)
        names = np.array([f"c{int(value)}" for value in np.round(drawn)], np.object_)
        names[gone] = None
        return names

    reference = values(draw(st.integers(1, 300)), 0.0)
    sizes = [draw(st.integers(0, 60)) for _ in range(panes)]
    drawn = [values(size, shift * (at >= changed)) for at, size in enumerate(sizes)]
    return reference, drawn, draw(st.integers(1, panes))


def told_of(changes: tuple[Change, Change], began_ms: int) -> dict[str, Any]:
    """As a result says it."""
    ranges = [Range(one.share, one.reference_share, one.low, one.high, one.category) for one in changes]
    grew, shrank = ({name: getattr(one, name) for name in Range.__struct_fields__} for one in ranges)
    return {"since": rfc3339(began_ms), "grew": grew, "shrank": shrank}


def run_column(reference: AnyArray, panes: list[AnyArray], run: int) -> RunColumn:
    by_pane = {at * MINUTE: Sample.of(values) for at, values in enumerate(panes) if len(values)}
    return RunColumn(Sample.of(np.concatenate(panes[-run:])), Sample.of(reference), lambda: by_pane)


@settings(deadline=None, max_examples=300)
@given(columns())
def test_what_is_localised_by_bins_is_found_by_values(case: tuple[AnyArray, list[AnyArray], int]) -> None:
    reference, panes, run = case
    bins = bins_of(reference_of(reference))
    counts = [(at * MINUTE, bins.count(values)) for at, values in enumerate(panes) if len(values)]
    column = run_column(reference, panes, run)
    changes = localise(bins, bins.count(np.concatenate(panes[-run:])))
    if changes is None:
        assert not list(differences({"since": None, "grew": None, "shrank": None}, column, "a"))
        return
    most = max(changes, key=lambda change: abs(change.difference))
    told = told_of(changes, counts[since([vector for _, vector in counts], most)][0])
    assert not list(differences(told, column, "a"))
    for name in ("grew", "shrank"):
        off = {**told, name: {**told[name], "share": told[name]["share"] + 1e-6}}
        assert [one.path for one in differences(off, column, "a")] == [f"a.{name}"]
    other = {**told, "since": rfc3339(counts[-1][0] + MINUTE)}
    assert [one.path for one in differences(other, column, "a")] == ["a.since"]
    if abs(most.difference) > 0.01:
        exchanged = {**told, "grew": told["shrank"], "shrank": told["grew"]}
        assert list(differences(exchanged, column, "a"))
    if isinstance(bins, ValueBins) and most.low is not None and abs(most.difference) > 0.01:
        everything = {"share": 1.0, "reference_share": 1.0, "low": None, "high": None, "category": None}
        wide = differences({**told, "grew": everything, "shrank": everything}, column, "a")
        assert {one.path for one in wide} & {"a.grew.difference", "a.shrank.difference"}


WIDTHS = [{"window": "1h", "pane": "10m"}, {"window": "1h"}, {"last_rows": 60, "pane": "10m"}]


def change_at(
    widths: dict[str, Any], *, seed: int, begins: int, sizes: list[int], batch: int
) -> list[Published]:
    """Results of numbers and categories that change at a ten minutes' pane of four hours; audited clean."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, 5, 400).astype(np.float64)
    drift = {"minimum_window_rows": 20, "minimum_reference_rows": 100, "earlier": ["1h"], "detectors": []}
    watched = make_watched(
        rows=400, seed=seed, features={"a": random.normal(size=400), "c": levels}, drift=drift | widths
    )
    log = []
    for at, size in enumerate(sizes):
        changed = at >= begins
        times = at * 10 * MINUTE + random.integers(0, 10 * MINUTE, size)
        features = {
            "a": random.normal(size=size) + 2.0 * changed,
            "c": np.where(changed, random.choice([3, 4, 4, 4, 9], size), random.integers(0, 5, size)),
        }
        score = random.uniform(size=size) ** (6 if changed else 1)
        rows = section(times, watched=watched, features=features, score=score, seed=at, offset=100 * at)
        log.append(message(rows, record_ms=(at + 2) * 10 * MINUTE))
    log += [reach(6 * HOUR), reach(9 * HOUR)]
    reader = Reader(Bundles({("m", "1"): watched}))
    for start in range(0, len(log), batch):
        reader.take(*log[start : start + batch])
    results = [read_result(DRIFT.name, msgspec.json.encode(result)) for result in reader.results]
    assert not wrong(recount(results, log, reader.bundles))
    return results


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(WIDTHS),
    st.integers(0, 2**16),
    st.integers(6, 17),
    st.lists(st.integers(3, 25), min_size=24, max_size=24),
    st.sampled_from([1, 3, 7]),
)
def test_drift_that_the_monitor_localises_is_audited_clean(
    widths: dict[str, Any], seed: int, begins: int, sizes: list[int], batch: int
) -> None:
    change_at(widths, seed=seed, begins=begins, sizes=sizes, batch=batch)


@pytest.mark.parametrize("widths", WIDTHS, ids=["panes", "windows", "last rows"])
def test_what_is_audited_clean_is_localised(widths: dict[str, Any]) -> None:
    results = change_at(widths, seed=0, begins=12, sizes=[20] * 24, batch=3)
    located = {
        (column["column"], column["test"])
        for one in results
        for column in one.body["columns"]
        if column["grew"] is not None and column["since"] is not None
    }
    assert {("a", "ks"), ("c", "chi2")} <= located


def test_a_reference_with_more_values_than_bins_and_one_with_more_categories() -> None:
    random = np.random.default_rng(0)
    numbers = [random.normal(size=20_000).astype(np.float32), random.normal(size=500).astype(np.float32) + 1]
    names = [np.array([f"c{place // 2}" for place in range(2_400)], np.object_)]
    names.append(np.array([*(["c2000"] * 50), *(["new"] * 20)], np.object_))
    for (reference, window), categories in ((numbers, None), (names, "(unseen)")):
        bins = bins_of(reference_of(reference))
        counts = bins.count(window)
        changes = localise(bins, counts)
        assert changes is not None
        assert categories is None or changes[0].category in ("(rarer)", "(unseen)")
        told = told_of(changes, 0)
        assert not list(differences(told, run_column(reference, [window], 1), "a"))
        other = {**told, "grew": {**told["grew"], "reference_share": 0.5}}
        assert list(differences(other, run_column(reference, [window], 1), "a"))
