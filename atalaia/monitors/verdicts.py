"""The verdict of a stream of windows that may be revised: runs of windows, hits, and drift that lasts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from atalaia.monitors.configuration import DriftSettings, milliseconds
from atalaia.results.drift import Range
from atalaia.statistics.verdict import DEFAULT, ColumnState, Outcome, Rules, fold, merge_small
from atalaia.windows import Window


class Hit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A test that found a difference in a run, and where it is."""

    column: str
    test: str
    statistic: float | None
    effect: float | None
    p_adjusted: float | None
    n: int
    ratio: float | None = None
    since_ms: int | None = None
    grew: Range | None = None
    shrank: Range | None = None


class Judgement(msgspec.Struct, frozen=True, array_like=True):
    """What a run came to; ``why`` there is no verdict."""

    outcomes: dict[str, str]
    hits: list[Hit]
    why: str | None = None


class JudgedWindows(msgspec.Struct, frozen=True, array_like=True):
    """A run of so many windows, and what it came to."""

    start_ms: int
    end_ms: int
    windows: int
    n: int
    judgement: Judgement

    @property
    def window(self) -> Window:
        """From the start of its first window to the end of its last."""
        return Window(self.start_ms, self.end_ms)


class WaitingWindow(msgspec.Struct, frozen=True, array_like=True):
    """A disjoint window, judged or waiting for more, and its rows."""

    start_ms: int
    end_ms: int
    n: int

    @property
    def window(self) -> Window:
        """Its event time."""
        return Window(self.start_ms, self.end_ms)


class FoldState(msgspec.Struct, frozen=True, array_like=True):
    """A `VerdictFold` between two batches.

    ``base`` is what the columns had come to by ``settled_ms``, before the windows that may yet be revised.
    """

    base: dict[str, ColumnState] = {}
    settled_ms: int | None = None
    windows: list[WaitingWindow] = []
    runs: list[JudgedWindows] = []


@dataclass(frozen=True, slots=True)
class Standing:
    """How a window stands in the verdict.

    ``run`` is the run it ends, None where it waits for more, or is not judged; ``drifted`` the columns that
    had drifted by its end, with the start of the window that made each fire.
    """

    run: JudgedWindows | None
    drifted: dict[str, int]

    @property
    def content(self) -> tuple[object, ...]:
        """What tells it from another."""
        run = self.run
        told = None if run is None else (run.window, run.n, run.judgement.why, _hits(run))
        return told, tuple(sorted(self.drifted))


class VerdictFold:
    """Disjoint windows of a stream, each as it was revised last, and what they come to.

    Small windows merge with the next; a window that changes judges its run anew, and whatever follows.
    Windows that can no longer change are settled and forgotten, so that what is held stays bounded.
    """

    def __init__(self, settings: DriftSettings) -> None:
        self._state = FoldState()
        self._changed_ms: int | None = None
        self.set_rules(settings)

    @property
    def settled_ms(self) -> int | None:
        """The end of the last window that counts for good."""
        return self._state.settled_ms

    @property
    def since_ms(self) -> int | None:
        """The start of the first window that may be judged yet; None where there is none."""
        return min((window.start_ms for window in self._state.windows), default=None)

    def set_rules(self, settings: DriftSettings) -> None:
        """The rules for what is judged from now on."""
        self.rules = rules_of(settings)

    def put(self, window: Window, n: int) -> None:
        """A window has closed, or has been revised; not one before what is settled."""
        others = [one for one in self._state.windows if one.window != window]
        windows = sorted([*others, WaitingWindow(*window, n)], key=lambda one: one.start_ms)
        self._state = msgspec.structs.replace(self._state, windows=windows)
        start_ms = window.start_ms
        self._changed_ms = start_ms if self._changed_ms is None else min(self._changed_ms, start_ms)

    def holds(self, window: Window) -> bool:
        """Whether a window may be judged anew."""
        return any(one.window == window for one in self._state.windows)

    def restart(self) -> None:
        """Time went back beyond what is settled: fold from there."""
        self._state = FoldState(windows=self._state.windows, runs=self._state.runs)

    def judge(
        self, verdict_of: Callable[[Sequence[Window], int], Judgement]
    ) -> dict[Window, JudgedWindows | None]:
        """Judge what changed and what follows it, by the windows of a run and their rows.

        The runs that were judged, None for those that are none any more.
        """
        changed_ms, self._changed_ms = self._changed_ms, None
        if changed_ms is None:
            return {}
        windows, former = self._state.windows, {run.window: run for run in self._state.runs}
        runs = []
        for run in merge_small([(one.start_ms, one.end_ms, one.n) for one in windows], self.rules):
            known = former.pop(Window(run.start_ms, run.end_ms), None)
            if known is None or run.end_ms > changed_ms:
                merged = [one.window for one in windows[run.first : run.last + 1]]
                judgement = verdict_of(merged, run.rows)
                known = JudgedWindows(run.start_ms, run.end_ms, len(merged), run.rows, judgement)
            runs.append(known)
        told: dict[Window, JudgedWindows | None] = dict.fromkeys(former)
        told |= {run.window: run for run in runs if run.end_ms > changed_ms}
        self._state = msgspec.structs.replace(self._state, runs=runs)
        return told

    def standing(self, window: Window) -> Standing:
        """How a window stands."""
        columns = dict(self._state.base)
        ended = None
        for run in self._state.runs:
            if run.end_ms > window.end_ms:
                break
            _fold(columns, run, self.rules)
            if run.end_ms == window.end_ms and self.holds(window):
                ended = run
        return Standing(ended, _drifted(columns))

    def after(self, run: Window) -> dict[str, int]:
        """The columns that have drifted by the end of a run, and since when."""
        return self.standing(run).drifted

    def settle(self, frozen: Callable[[Window], bool]) -> None:
        """Runs that no row can change any more count for good."""
        state = self._state
        base, settled_ms, windows, runs = dict(state.base), state.settled_ms, state.windows, state.runs
        while runs and frozen(windows[runs[0].windows - 1].window):
            _fold(base, runs[0], self.rules)
            settled_ms = runs[0].end_ms
            windows, runs = windows[runs[0].windows :], runs[1:]
        self._state = FoldState(base, settled_ms, windows, runs)

    def snapshot(self) -> FoldState:
        """What `restore` takes."""
        return self._state

    def restore(self, state: FoldState) -> None:
        """Go on from where a snapshot was taken."""
        self._state = state


def rules_of(settings: DriftSettings) -> Rules:
    """When a window is a hit and hits are drift, as set; what is quiet is 3/4 of what is a hit."""
    return Rules(
        q=settings.q,
        effect=settings.effect,
        ratio=settings.ratio,
        hits=settings.hits,
        among=settings.among,
        quiet_effect=0.75 * settings.effect,
        quiet_ratio=1 + (settings.ratio - 1) * 2 / 3,
        quiet_windows=settings.quiet_windows,
        minimum_rows=settings.minimum_window_rows,
        minimum_seconds=milliseconds(settings.minimum_window) / 1000,
        minimum_values=min(DEFAULT.minimum_values, settings.minimum_window_rows),
        minimum_reference_rows=settings.minimum_reference_rows,
        most_merged=settings.most_merged,
    )


def _fold(columns: dict[str, ColumnState], run: JudgedWindows, rules: Rules) -> None:
    for column, outcome in run.judgement.outcomes.items():
        state = columns.get(column, ColumnState())
        columns[column] = fold(state, Outcome(outcome), run.start_ms, rules)


def _drifted(columns: dict[str, ColumnState]) -> dict[str, int]:
    return {name: state.since for name, state in columns.items() if state.drifted and state.since is not None}


def _hits(run: JudgedWindows) -> tuple[tuple[str, str, int | None, Range | None, Range | None], ...]:
    return tuple((hit.column, hit.test, hit.since_ms, hit.grew, hit.shrank) for hit in run.judgement.hits)


def columns_of(hits: Iterable[Hit]) -> list[str]:
    """The columns of some hits, each once, in their order."""
    return list(dict.fromkeys(hit.column for hit in hits))
