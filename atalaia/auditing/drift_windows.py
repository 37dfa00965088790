"""A window of `drift` against its rows: every test, the run it ends, and what that comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atalaia.auditing import drift_figures
from atalaia.auditing.comparison import Mismatch, mismatches
from atalaia.auditing.drift_columns import Columns
from atalaia.auditing.drift_figures import Sample
from atalaia.auditing.gathered import Selection
from atalaia.auditing.observed import Rows
from atalaia.auditing.persistence import JudgedRun
from atalaia.auditing.published import Published, milliseconds
from atalaia.monitors.configuration import MonitorSettings
from atalaia.windows import Window

Figures = dict[str, Any]
_MOST_VALUES_NEEDED = 100


@dataclass(frozen=True, slots=True)
class DriftRows:
    """A stream's rows at a cut, and how they are compared.

    ``positions`` are those [since, before) that the window's rows lie between.
    """

    rows: Rows
    columns: Columns
    settings: MonitorSettings
    positions: tuple[int, int]
    selections: dict[Window, Selection] = field(default_factory=dict)
    samples: dict[tuple[Window, str], Sample] = field(default_factory=dict)
    judged: dict[Window, list[Figures]] = field(default_factory=dict)

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


def count(selection: Selection) -> int:
    """How many rows there are."""
    return sum(int(inside.sum()) for _, inside in selection)


def compare(body: Mapping[str, Any], window: Window, given: DriftRows) -> list[Mismatch]:
    """Where a result differs from what its rows come to; its own count of rows is right."""
    selection = given.within(window)
    expected: Figures = {"n": count(selection)}
    expected["columns"] = [dict(column) for column in _judged_columns(body["columns"], window, given)]
    run = body.get("judged")
    if run is not None:
        span = Window(milliseconds(run["window"]["start"]), milliseconds(run["window"]["end"]))
        told = _run(run, body, span, given)
        expected["judged"] = {"n": told["n"], "hits": told["hits"]}
        for column in expected["columns"]:
            column["hit"] = (column["column"], column["test"]) in told["tests"]
        run = {**run, "hits": sorted(run["hits"])}
    else:
        for column in expected["columns"]:
            column["hit"] = False
    told_columns = [{**column, "name": column["column"]} for column in body["columns"]]
    published = {**body, "columns": told_columns, "judged": run}
    found = list(mismatches(published, expected))
    return found + _earlier(body["against_earlier"], window, given)


def _run(run: Mapping[str, Any], body: Mapping[str, Any], span: Window, given: DriftRows) -> Figures:
    """What the rows of a run come to: how many, and the tests that hit."""
    selection = given.within(span)
    columns = _judged_columns(body["columns"], span, given)
    hits = [(column["column"], column["test"]) for column in columns if column["hit"]]
    return {
        "n": count(selection),
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


def run_start_ms(published: Published) -> int:
    """Where the rows begin that a result was judged by: a window of few rows may have waited for long."""
    run = published.body.get("judged")
    start_ms = published.place.window.start_ms
    return start_ms if run is None else min(start_ms, milliseconds(run["window"]["start"]))


def judged_run(body: Mapping[str, Any], given: DriftRows) -> JudgedRun | None:
    """The run that a window ends, and what it says of each column; None where it ends none."""
    run = body.get("judged")
    if run is None:
        return None
    span = Window(milliseconds(run["window"]["start"]), milliseconds(run["window"]["end"]))
    said = _outcomes(body, span, given) if run["why"] is None else {}
    return JudgedRun(span, said, given.settings.drift)


def _outcomes(body: Mapping[str, Any], span: Window, given: DriftRows) -> dict[str, str]:
    strength = ("silent", "quiet", "between", "hit")
    drift = given.settings.drift
    found: dict[str, str] = {}
    for column in _judged_columns(body["columns"], span, given):
        said = "silent"
        if column["p_adjusted"] is not None and column["p_value"] is not None:
            large = drift_figures.is_large(column, 0.75 * drift.effect, 1 + (drift.ratio - 1) * 2 / 3)
            said = "hit" if column["hit"] else "between" if large and column["p_value"] <= 0.05 else "quiet"
        known = found.get(column["column"], "silent")
        found[column["column"]] = max(known, said, key=strength.index)
    return found


def _judged_columns(
    published: Sequence[Mapping[str, Any]], window: Window, given: DriftRows
) -> list[Figures]:
    """Each published test over a window's rows, with what it comes to among the others."""
    if window in given.judged:
        return given.judged[window]
    answer: list[Figures] = []
    for column in published:
        name = column["column"]
        reference = given.columns.reference(name)
        figures: Figures = {"column": name, "name": name, "test": column["test"]}
        if reference is not None:
            sample = given.sample(window, name)
            phi = given.settings.drift.dependence.get(name, 1.0)
            figures |= drift_figures.measure(column["test"], sample, reference, phi=phi) or {}
        answer.append(figures | {"decides": column["decides"]})
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


def _earlier(published: Sequence[Mapping[str, Any]], window: Window, given: DriftRows) -> list[Mismatch]:
    """Comparisons with earlier windows; their rows may be of another lap of the log, and are then tried."""
    found: list[Mismatch] = []
    for place, column in enumerate(published):
        name = column["column"]
        told = column["earlier"]
        earlier = Window(milliseconds(told["start"]), milliseconds(told["end"]))
        places = given.columns.places(name)
        phi = given.settings.drift.dependence.get(name, 1.0)
        figures = drift_figures.measure(
            column["test"],
            given.sample(window, name),
            places,
            phi=phi,
            earlier=given.sample(earlier, name),
        )
        found += mismatches(column, figures or {}, f"against_earlier[{place}]")
    return found
