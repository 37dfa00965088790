"""Drift results are a function of the log, however it is cut into batches and wherever a worker restarts."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.records import Observation, TimeMark
from tests.unit.monitors.drift_log import HOUR, Bundles, Reader, changed, make_watched, message, section

SENSITIVE = {
    "q": 0.9,
    "effect": 0.2,
    "minimum_window_rows": 4,
    "minimum_reference_rows": 1,
    "most_merged": 3,
    "lateness": "5m",
    "earlier": ["1h", "3h"],
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
VERSIONS = [
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


@st.composite
def rows(draw: st.DrawFn) -> Make:
    entries = draw(
        st.lists(
            st.tuples(
                st.sampled_from(VERSIONS),
                st.lists(st.integers(0, 8 * 12), min_size=1, max_size=8),
                st.integers(0, 1),
                st.sampled_from([0.0, 0.0, 2.0]),
            ),
            min_size=1,
            max_size=2,
        )
    )
    base, at_end = draw(st.integers(0, 8)), draw(marks())

    def make(known: Bundles, number: int) -> Observation:
        sections = []
        for (model, version, role), times, partition, shift in entries:
            watched = known.watched_by[model, version]
            sections.append(
                section(
                    [base * HOUR // 2 + time * HOUR // 24 for time in times],
                    watched=watched,
                    role=role,  # type: ignore[arg-type]
                    seed=number,
                    partition=partition,
                    offset=1000 * number,
                    shift=shift,
                    abstained=np.arange(len(times)) % 5 == 4,
                )
            )
        return message(*sections, record_ms=10**12, at_end=at_end)

    return make


def marks() -> st.SearchStrategy[dict[int, int]]:
    time = st.integers(0, 24).map(lambda halves: halves * HOUR // 2)
    everywhere = time.map(lambda time_ms: dict.fromkeys(range(4), time_ms))
    return everywhere | st.dictionaries(st.integers(0, 3), time, max_size=3)


def replays() -> st.SearchStrategy[Make]:
    mark = st.builds(
        lambda kind, halves, replay: TimeMark(kind, halves * HOUR // 2, "m", replay, 4),
        st.sampled_from(["begin", "at", "at", "end"]),
        st.integers(0, 12),
        st.sampled_from(["r", "s"]),
    )
    return mark.map(lambda one: lambda _bundles, _number: message(marks=[one]))


def changes() -> st.SearchStrategy[Make]:
    tables = st.sampled_from([{"effect": 0.6}, {"without": ["b"]}, {}, {"enabled": False}, {"hits": 1}])
    return tables.map(lambda table: lambda _bundles, _number: changed("m", table))


def messages() -> st.SearchStrategy[list[Make]]:
    ends = marks().map(lambda at_end: lambda _bundles, _number: message(at_end=at_end))
    return st.lists(rows() | rows() | ends | replays() | changes(), min_size=1, max_size=22)


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


@settings(deadline=None, max_examples=150)
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
