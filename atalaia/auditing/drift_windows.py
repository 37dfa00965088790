"""A window of `drift` against its rows: every test, the run it ends, and what that comes to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from atalaia.alerts import rfc3339
from atalaia.auditing import drift_figures, localised
from atalaia.auditing.comparison import Mismatch, mismatches
from atalaia.auditing.drift_columns import Columns
from atalaia.auditing.drift_figures import Sample
from atalaia.auditing.gathered import Selection
from atalaia.auditing.localised import RunColumn
from atalaia.auditing.observed import Chunk, Rows
from atalaia.auditing.persistence import JudgedRun
from atalaia.auditing.published import milliseconds
from atalaia.monitors import configuration
from atalaia.monitors.configuration import DriftSettings, MonitorSettings
from atalaia.windows import Window
from atalaia.windows.watermark import BoolArray

Figures = dict[str, Any]
_MOST_VALUES_NEEDED = 100


@dataclass(frozen=True, slots=True)
class DriftRows:
    """A stream's rows at a cut, and how they are compared.

    ``positions`` are those [since, before) that the window's rows lie between; of times before ``begins_ms``
    some have expired, and where they are not ``whole`` there may be rows that the monitor did not know.
    """

    rows: Rows
    columns: Columns
    settings: MonitorSettings
    positions: tuple[int, int]
    role: str
    begins_ms: int | None = None
    whole: bool = True
    selections: dict[Window, Selection] = field(default_factory=dict)
    samples: dict[tuple[Window, str], Sample] = field(default_factory=dict)
    judged: dict[Window, list[Figures]] = field(default_factory=dict)
    panes: dict[Window, dict[int, Selection]] = field(default_factory=dict)

    def has(self, window: Window) -> bool:
        """Whether none of the rows of a window has expired."""
        return self.begins_ms is None or window.start_ms >= self.begins_ms

    def within(self, window: Window) -> Selection:
        """The rows of a window."""
        if window not in self.selections:
            since, before = self.positions
            rows = self.rows.of("drift", window, since=since, before=before)
            self.selections[window] = list(rows)
        return self.selections[window]

    def sample(self, window: Window, name: str) -> Sample:
        """A column of a window's rows."""
        key = window, name
        if key not in self.samples:
            self.samples[key] = self.columns.sample(name, self.within(window))
        return self.samples[key]

    def by_pane(self, window: Window, name: str) -> dict[int, Sample]:
        """A column of a window's rows, by the start of each pane that has any."""
        if window not in self.panes:
            pane_ms = self.settings.drift.pane_ms
            self.panes[window] = _parted(self.within(window), pane_ms)
        return {pane: self.columns.sample(name, rows) for pane, rows in self.panes[window].items()}


def count(selection: Selection) -> int:
    """How many rows there are."""
    return sum(int(inside.sum()) for _, inside in selection)


def compare(body: Mapping[str, Any], window: Window, given: DriftRows) -> list[Mismatch]:
    """Where a result differs from what its rows come to; its own count of rows is right."""
    expected: Figures = {"n": count(given.within(window))}
    columns = expected["columns"] = [dict(column) for column in _judged_columns(window, given)]
    run, span = body.get("judged"), run_of(body)
    hits: set[tuple[str, str]] | None = set()
    if run is not None and span is not None:
        if given.has(span):
            told = _run(run, span, given)
            expected["judged"] = {"n": told["n"], "hits": told["hits"]}
            hits = told["tests"]
        else:
            hits = None
        run = {**run, "hits": sorted(run["hits"])}
    for column in columns:
        del column["hit"]
        if hits is not None:
            column["hit"] = (column["column"], column["test"]) in hits
    found = list(mismatches({**body, "judged": run}, expected))
    if span is not None and not _may_end_with(span, window, given.settings.drift):
        found.append(Mismatch("judged.window", list(span), f"whole windows up to {window.end_ms}"))
    if hits is not None and not found:
        found += _located(body["columns"], hits, span, given)
    return [*found, *_earlier(body, window, given)]


def _may_end_with(span: Window, window: Window, drift: DriftSettings) -> bool:
    """Whether a span may be a run of windows of which one is the last."""
    unit_ms = drift.pane_ms if drift.last_rows is not None else drift.window_ms
    return span.end_ms == window.end_ms and span.start_ms <= window.start_ms and not span.start_ms % unit_ms


def run_of(body: Mapping[str, Any]) -> Window | None:
    """The windows that were judged as one of which a result is of the last."""
    run = body.get("judged")
    if run is None:
        return None
    return Window(milliseconds(run["window"]["start"]), milliseconds(run["window"]["end"]))


def _located(
    columns: Sequence[Mapping[str, Any]], hits: set[tuple[str, str]], span: Window | None, given: DriftRows
) -> Iterator[Mismatch]:
    """Where hits are said to lie elsewhere than they do, and columns without one to lie anywhere."""
    for place, column in enumerate(columns):
        name, test, path = column["column"], column["test"], f"columns[{place}]"
        reference = given.columns.reference(name)
        if span is None or reference is None or (name, test) not in hits or test == "missing":
            yield from mismatches(column, localised.NOWHERE, path)
            continue
        drift = given.settings.drift
        before_ms = 0 if drift.last_rows is not None else drift.among * drift.window_ms
        around = Window(span.start_ms - before_ms, span.end_ms)
        panes = partial(given.by_pane, around, name) if given.has(around) else None
        yield from localised.differences(column, RunColumn(given.sample(span, name), reference, panes), path)


def _parted(rows: Selection, pane_ms: int) -> dict[int, Selection]:
    """Rows by the start of their panes."""
    found: dict[int, list[tuple[Chunk, BoolArray]]] = {}
    for chunk, inside in rows:
        starts = chunk.times_ms // pane_ms * pane_ms
        for start in np.unique(starts[inside]).tolist():
            found.setdefault(start, []).append((chunk, inside & (starts == start)))
    return dict(found)


def _run(run: Mapping[str, Any], span: Window, given: DriftRows) -> Figures:
    """What the rows of a run come to: how many, and the tests that hit."""
    hits = [(column["column"], column["test"]) for column in _judged_columns(span, given) if column["hit"]]
    return {
        "n": count(given.within(span)),
        "hits": sorted({column for column, _ in hits}),
        "tests": set(hits) if run["why"] is None else set(),
    }


def drifted_columns(body: Mapping[str, Any]) -> set[str]:
    """The columns that a result calls drifted; where it contradicts itself, a name that no column has.

    >>> told = [{"column": "a", "drifted": True}, {"column": "b", "drifted": False}]
    >>> drifted_columns({"columns": told, "drifted": True})
    {'a'}
    """
    told = {column["column"] for column in body["columns"] if column["drifted"]}
    in_part = {column["column"] for column in body["columns"] if not column["drifted"]} & told
    none = set() if body["drifted"] == bool(told) else {"(none)" if told else "(any)"}
    return told | {f"{name} (in part)" for name in in_part} | none


def judged_run(body: Mapping[str, Any], given: DriftRows) -> JudgedRun | None:
    """The run that a window ends, and what it says of each column; None where it ends none."""
    span = run_of(body)
    if span is None:
        return None
    said = _outcomes(span, given) if body["judged"]["why"] is None else {}
    return JudgedRun(span, said, given.settings.drift)


def _outcomes(span: Window, given: DriftRows) -> dict[str, str]:
    strength = ("silent", "quiet", "between", "hit")
    drift = given.settings.drift
    found: dict[str, str] = {}
    for column in _judged_columns(span, given):
        said = "silent"
        if column["p_adjusted"] is not None and column["p_value"] is not None:
            large = drift_figures.is_large(column, 0.75 * drift.effect, 1 + (drift.ratio - 1) * 2 / 3)
            said = "hit" if column["hit"] else "between" if large and column["p_value"] <= 0.05 else "quiet"
        known = found.get(column["column"], "silent")
        found[column["column"]] = max(known, said, key=strength.index)
    return found


def _judged_columns(window: Window, given: DriftRows) -> list[Figures]:
    """Each test over a window's rows, with what it comes to among the others."""
    if window in given.judged:
        return given.judged[window]
    answer: list[Figures] = []
    for name, test, decides in given.columns.tests(given.role, given.settings.drift):
        figures: Figures = {"column": name, "test": test, "decides": decides, "earlier": None}
        reference = given.columns.reference(name)
        if reference is not None:
            phi = given.settings.drift.dependence.get(name, 1.0)
            figures |= drift_figures.measure(test, given.sample(window, name), reference, phi=phi) or {}
        answer.append(figures)
    _correct(answer, count(given.within(window)), given)
    given.judged[window] = answer
    return answer


def _correct(columns: list[Figures], rows: int, given: DriftRows) -> None:
    """Put in the p-values corrected for the family, and what is a hit."""
    drift = given.settings.drift
    names = list(dict.fromkeys(column["column"] for column in columns))
    enough = rows >= drift.minimum_window_rows
    enough = enough and given.columns.rows_held_against(names) >= drift.minimum_reference_rows
    least = min(_MOST_VALUES_NEEDED, drift.minimum_window_rows)
    for column in columns:
        column |= {"p_adjusted": None, "hit": False}
    family = [
        column
        for column in columns
        if enough and column["decides"] and column.get("p_value") is not None and column["n"] >= least
    ]
    corrected = drift_figures.adjusted([column["p_value"] for column in family])
    for column, p_adjusted in zip(family, corrected, strict=True):
        column["p_adjusted"] = p_adjusted
        column["hit"] = p_adjusted <= drift.q and drift_figures.is_large(column, drift.effect, drift.ratio)


def _earlier(body: Mapping[str, Any], window: Window, given: DriftRows) -> Iterator[Mismatch]:
    """Comparisons with earlier windows; their rows may be of another lap of the log, and are then tried."""
    told: dict[Window, list[Mapping[str, Any]]] = {}
    for column in body["against_earlier"]:
        start, end = column["earlier"]["start"], column["earlier"]["end"]
        told.setdefault(Window(milliseconds(start), milliseconds(end)), []).append(column)
    compared = _compared_with(window, given.settings.drift)
    for earlier in told.keys() - set(compared):
        yield Mismatch("against_earlier", list(earlier), [list(one) for one in compared])
    for earlier in compared:
        path = f"against_earlier[{rfc3339(earlier.start_ms)}]"
        if earlier in told and given.has(earlier):
            yield from mismatches(told[earlier], _against(window, earlier, given), path)
        elif given.whole and not body["provisional"] and given.has(earlier) and given.within(earlier):
            yield Mismatch(path, None, "a comparison")


def _compared_with(window: Window, drift: DriftSettings) -> list[Window]:
    """The earlier windows that one is compared with."""
    return [Window(window.start_ms - back, window.end_ms - back) for back in earlier_by_ms(drift)]


def earlier_by_ms(drift: DriftSettings) -> list[int]:
    """How long before a window those lie that it is compared with: whole panes, that do not overlap it."""
    least_ms = drift.pane_ms if drift.last_rows is not None else drift.window_ms
    backs = sorted({configuration.milliseconds(duration) for duration in drift.earlier})
    return [
        back
        for back in backs
        if least_ms <= back <= drift.history * drift.pane_ms and back % drift.pane_ms == 0
    ]


def _against(window: Window, earlier: Window, given: DriftRows) -> list[Figures]:
    """Every test of a window against an earlier one; they decide nothing."""
    answer = []
    for name, test in given.columns.earlier_tests(given.role, given.settings.drift):
        figures = drift_figures.measure(
            test,
            given.sample(window, name),
            given.columns.places(name),
            phi=given.settings.drift.dependence.get(name, 1.0),
            earlier=given.sample(earlier, name),
        )
        nothing = {"p_adjusted": None, "hit": False, "drifted": False, "decides": False}
        answer.append({"column": name, "test": test, **nothing, **localised.NOWHERE, **(figures or {})})
    return answer
