"""Drift results are a function of the log, however it is cut into batches and wherever a worker restarts."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from atalaia.alerts import rfc3339
from atalaia.monitors.units import Watched
from atalaia.records import Observation, Role, TimeMark
from tests.unit.monitors.drift_log import HOUR, Bundles, Reader, changed, make_watched, message, section

FloatArray = npt.NDArray[np.floating[Any]]

SENSITIVE = {
    "q": 0.9,
    "effect": 0.2,
    "minimum_window_rows": 4,
    "minimum_reference_rows": 1,
    "most_merged": 3,
    "lateness": "5m",
    "earlier": ["2h", "3h"],
    "detectors": [
        {"detector": "page_hinkley", "column": "score", "parameters": {"min_instances": 3, "threshold": 0.4}},
        {
            "detector": "page_hinkley",
            "column": "applicability",
            "parameters": {"min_instances": 2, "threshold": 1.0},
            "alerts": True,
        },
    ],
}
DEFINITIONS: list[dict[str, Any]] = [
    {"window": "1h"},
    {"window": "1h", "pane": "20m"},
    {"window": "2h", "step": "30m", "minimum_window": "2h"},
    {"last_rows": 6, "pane": "10m", "minimum_window": "10m"},
]
VERSIONS: list[tuple[str, str, Role]] = [
    ("m", "1", "primary"),
    ("m", "1", "primary"),
    ("m", "1", "primary"),
    ("m", "2", "canary"),
    ("m", "2", "primary"),
    ("m", "3", "shadow"),
    ("k", "1", "primary"),
]


def bundles(definition: dict[str, Any]) -> Bundles:
    made = [("m", "1"), ("m", "2"), ("m", "3"), ("k", "1")]
    return Bundles(
        {
            place: make_watched(
                model=place[0], version=place[1], rows=60, seed=seed, drift=SENSITIVE | definition
            )
            for seed, place in enumerate(made)
        }
    )


Make = Callable[[Bundles, int], Observation]
"""A message, once it is known which bundles there are and which message it is."""


PACE = HOUR // 3
"""How far event time comes with each message, about."""
JITTER = st.integers(-6, 6).map(lambda places: places * PACE)


@st.composite
def rows(draw: st.DrawFn) -> Make:
    entries = draw(
        st.lists(
            st.tuples(
                st.sampled_from(VERSIONS),
                st.lists(st.integers(-18, 18), min_size=1, max_size=10),
                st.integers(0, 1),
                st.sampled_from([0.0, 0.0, 2.0]),
            ),
            min_size=1,
            max_size=2,
        )
    )
    jitter, at_end = draw(st.just(0) | JITTER), draw(st.none() | marks())

    def make(known: Bundles, number: int) -> Observation:
        sections = []
        for (model, version, role), times, partition, shift in entries:
            base_ms = 3 * HOUR + number * PACE + jitter
            sections.append(
                section(
                    [max(0, base_ms + time * HOUR // 18) for time in times],
                    watched=known.watched_by[model, version],
                    role=role,
                    seed=number,
                    partition=partition,
                    offset=1000 * number,
                    shift=shift,
                    abstained=np.arange(len(times)) % 5 == 4,
                )
            )
        return message(*sections, at_end=at_end(number) if at_end is not None else None)

    return make


def marks() -> st.SearchStrategy[Callable[[int], dict[int, int]]]:
    everywhere = st.just(range(4)) | st.just(range(4)) | st.sets(st.integers(0, 3))
    return st.builds(
        lambda partitions, jitter: (
            lambda number: dict.fromkeys(partitions, max(0, 2 * HOUR + number * PACE + jitter))
        ),
        everywhere,
        st.just(0) | JITTER,
    )


def replays() -> st.SearchStrategy[Make]:
    kind = st.sampled_from(["begin", "begin", "at", "end", "end"])
    replay = st.sampled_from(["r", "r", "s"])

    def made(kind: Literal["begin", "at", "end"], replay: str, jitter: int) -> Make:
        def make(_: Bundles, number: int) -> Observation:
            time_ms = max(0, 2 * HOUR + number * PACE + jitter)
            return message(marks=[TimeMark(kind, time_ms, "m", replay, 4)])

        return make

    return st.builds(made, kind, replay, JITTER)


def changes() -> st.SearchStrategy[Make]:
    tables: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
        [{"effect": 0.6}, {"without": ["b"]}, {}, {"enabled": False}, {"hits": 1}]
    )
    return tables.map(lambda table: lambda _bundles, _number: changed("m", table))


def messages() -> st.SearchStrategy[list[Make]]:
    ends = marks().map(lambda at_end: lambda _bundles, number: message(at_end=at_end(number)))
    one = st.one_of(rows(), rows(), rows(), rows(), ends, ends, replays(), changes())
    return st.lists(one, min_size=6, max_size=30)


@st.composite
def cut_logs(draw: st.DrawFn) -> tuple[list[Make], list[int], list[bool]]:
    log = draw(messages())
    cuts = sorted(draw(st.sets(st.integers(1, max(len(log) - 1, 1)))))
    return log, cuts, draw(st.lists(st.booleans(), min_size=len(cuts) + 1, max_size=len(cuts) + 1))


def read(known: Bundles, log: list[Observation], cuts: list[int], restarts: list[bool]) -> Reader:
    reader = Reader(known)
    edges = [0, *[cut for cut in cuts if cut < len(log)], len(log)]
    for (start, end), restart in zip(pairwise(edges), restarts, strict=False):
        reader.take(*log[start:end])
        if restart:
            reader.restart()
    return reader


def said(reader: Reader) -> dict[tuple[str, ...], dict[str, Any]]:
    """The last word on every window, but for how often and at which position it was told."""
    told: dict[tuple[str, ...], dict[str, Any]] = {}
    for place, result in reader.latest().items():
        content = msgspec.to_builtins(result)
        del content["revision"], content["cut"]
        told[place] = content
    return told


def standing(reader: Reader) -> dict[str, tuple[str, str]]:
    """What readers of the alerts believe in the end."""
    last = {event.fingerprint: (event.status, event.since) for event in reader.events}
    return {mark: told for mark, told in last.items() if told[0] != "resolved"}


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(DEFINITIONS), cut_logs())
def test_any_batches_and_restarts_give_the_same_results_and_alerts(
    definition: dict[str, Any], case: tuple[list[Make], list[int], list[bool]]
) -> None:
    makers, cuts, restarts = case
    known = bundles(definition)
    log = [make(known, number) for number, make in enumerate(makers)]
    whole = read(known, log, [], [False])
    parts = read(known, log, cuts, restarts)
    assert said(parts) == said(whole)
    assert standing(parts) == standing(whole)
    assert parts.monitor.counts() == whole.monitor.counts()


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(DEFINITIONS[:3]), cut_logs())
def test_a_window_says_what_its_rows_say(
    definition: dict[str, Any], case: tuple[list[Make], list[int], list[bool]]
) -> None:
    """Against all rows ever seen, as scipy compares them; for logs without replays, changes and late rows."""
    makers, cuts, restarts = case
    known = bundles(definition)
    log = [make(known, number) for number, make in enumerate(makers)]
    log = [_recorded_late(one) for one in log if not one.marks and not one.changes]
    reader = read(known, log, cuts, restarts)
    if any(reader.monitor.counts()["late_rows"].values()):
        return
    for place, result in reader.latest().items():
        rows = _rows_of(log, place)
        assert result.n == len(rows["a"])
        watched = known.watched_by[place[0], place[1]]
        for column in result.columns:
            assert column.n <= result.n
            if column.test != "ks" or not len(rows.get(column.column, ())):
                continue
            expected = ks_2samp(rows[column.column], _reference(watched, column.column), method="asymp")
            assert column.statistic == pytest.approx(expected.statistic, abs=1e-12)
            assert column.p_value == pytest.approx(expected.pvalue, abs=1e-12)
            assert column.n == len(rows[column.column])


def _recorded_late(one: Observation) -> Observation:
    """A message whose rows are not ahead of the time it was recorded at."""
    return msgspec.structs.replace(one, ranges=message().ranges) if one.models else one


def _rows_of(log: list[Observation], place: tuple[str, str, str, str, str]) -> dict[str, FloatArray]:
    """Columns of the rows of a window: own ones, and for a primary the inputs of canaries beside it."""
    model, version, role, start, end = place
    primary: str | None = None
    columns: dict[str, list[float]] = {name: [] for name in ("a", "b", "score", "applicability")}
    for one in log:
        for said_of in sorted(one.models, key=lambda entry: entry.role != "primary"):
            if said_of.model != model:
                continue
            primary = said_of.version if said_of.role == "primary" else primary
            own = (said_of.version, said_of.role) == (version, role)
            beside = role == "primary" and said_of.role == "canary" and primary == version
            times = said_of.event_time_ms.numpy()
            within = np.array([start <= rfc3339(int(time)) < end for time in times], np.bool_)
            if own or beside:
                for name in "ab":
                    columns[name] += said_of.features[name].numpy()[within].tolist()
            if own:
                answered = within & ~said_of.abstained.numpy()
                columns["score"] += said_of.score.numpy()[answered].tolist()
                columns["applicability"] += said_of.applicability.numpy()[within].tolist()
    return {name: np.array(values, np.float32) for name, values in columns.items()}


def _reference(watched: Watched, column: str) -> FloatArray:
    reference = watched.reference
    if column == "score":
        return np.asarray(reference.answers.scores[~reference.abstained])
    if column == "applicability":
        return reference.distances.astype(np.float32)
    distribution = reference.columns[column]
    return np.asarray(np.repeat(distribution.values, distribution.counts), np.float32)
