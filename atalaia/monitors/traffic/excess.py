"""An alert on a share of rows, window by window."""

from typing import Any, NamedTuple

import msgspec

from atalaia.alerts import AlertEvent, AlertFold, Finding, Monitor, Rule, TrackState
from atalaia.monitors.traffic.shares import SharesState, ShareWindows, Tally
from atalaia.windows import Window
from atalaia.windows.watermark import IntArray

AT_ONCE = Rule(hits=1, of=1, clear=1)
"""Traffic is judged window by window: the first that hits fires, the first that is clear resolves."""

LAPSES_AFTER = 3
"""So many windows in a row with too few rows for a verdict end an alert that fires."""


class Limit(NamedTuple):
    """What is too much: more than ``share`` of the rows of a window of at least ``minimum_rows``."""

    window_ms: int
    lateness_ms: int
    share: float
    minimum_rows: int


class ExcessState(msgspec.Struct, frozen=True, array_like=True):
    """An `Excess` between two messages."""

    shares: SharesState
    tracks: dict[str, TrackState]
    judged_ms: int | None


class Excess:
    """Whether more of a version's rows than allowed are of a kind, and the alert on it.

    A window with too few rows has no verdict. Where three in a row have none, an alert is resolved: of a
    model hardly used at night nobody can say that it still does badly.

    Parameters
    ----------
    subject, kind : what the alert is about, and the name of the rows that count in its evidence
    """

    def __init__(
        self, *, model: str, version: str, monitor: Monitor, subject: str, kind: str, limit: Limit
    ) -> None:
        self.limit = limit
        self._subject = subject
        self._kind = kind
        self._fold = AlertFold(model=model, version=version, monitor=monitor, rule=AT_ONCE)
        self._shares = self._fresh(limit)
        # End of the last window with a verdict, or where counting those without began.
        self._judged_ms: int | None = None

    @property
    def late_rows(self) -> int:
        """Rows that came after their window."""
        return self._shares.late_rows

    @property
    def idle(self) -> bool:
        """Whether nothing is open and nothing fires."""
        return self._shares.empty and not self._fold.current()

    def change(self, limit: Limit) -> None:
        """Another limit from now on; other windows begin anew, and those open are not judged."""
        known = self._shares
        if (limit.window_ms, limit.lateness_ms) != (known.window_ms, known.lateness_ms):
            self._shares = self._fresh(limit)
            self._shares.late_rows = known.late_rows
            self.restart()
        self.limit = limit

    def add(
        self,
        times_ms: IntArray,
        *,
        rows: IntArray,
        counted: IntArray,
        time_ms: int | None,
        greatest: int = 0,
    ) -> None:
        """Rows of a message, as `ShareWindows.add` takes them."""
        self._shares.add(times_ms, rows=rows, counted=counted, time_ms=time_ms, greatest=greatest)

    def close(self, time_ms: int | None) -> list[AlertEvent]:
        """What the windows that a time ends say."""
        if time_ms is None:
            return []
        events: list[AlertEvent] = []
        for window, tally in self._shares.close(time_ms):
            events += self._lapse(window.start_ms)
            if tally.rows >= self.limit.minimum_rows:
                events += self._judge(window, self._finding(tally))
        return events + self._lapse(self._shares.current(time_ms))

    def end(self) -> list[AlertEvent]:
        """Nobody watches any more: an alert that fires is over."""
        if not self._fold.current():
            return []
        start = self._judged_ms or 0
        window = Window(start, start + self.limit.window_ms)
        return self._judge(window, Finding(self._subject, hit=False, evidence={"watched": False}))

    def restart(self) -> None:
        """Time begins anew: an alert that fires goes on, and the next window decides, whenever it was."""
        self._judged_ms = None
        self._fold.restore(
            {
                subject: msgspec.structs.replace(track, base=msgspec.structs.replace(track.base, end_ms=None))
                for subject, track in self._fold.snapshot().items()
            }
        )

    def snapshot(self) -> ExcessState:
        """What `restore` takes."""
        return ExcessState(self._shares.snapshot(), self._fold.snapshot(), self._judged_ms)

    def restore(self, state: ExcessState) -> None:
        """Go on from where a snapshot was taken."""
        self._shares = ShareWindows.restored(state.shares)
        self._fold.restore(state.tracks)
        self._judged_ms = state.judged_ms

    def _finding(self, tally: Tally) -> Finding:
        share = tally.counted / tally.rows
        evidence: dict[str, Any] = {
            "rows": tally.rows,
            self._kind: tally.counted,
            "rate": share,
            "threshold": self.limit.share,
        }
        if tally.greatest:
            evidence["longest_ms"] = tally.greatest
        return Finding(self._subject, hit=share > self.limit.share, evidence=evidence)

    def _lapse(self, until_ms: int) -> list[AlertEvent]:
        """Up to a time nothing was judged: is that too long for an alert to go on?"""
        if not self._fold.current():
            return []
        if self._judged_ms is None:
            self._judged_ms = until_ms
        ended_ms = self._judged_ms + LAPSES_AFTER * self.limit.window_ms
        if ended_ms > until_ms:
            return []
        evidence = {"minimum_rows": self.limit.minimum_rows, "windows_without_verdict": LAPSES_AFTER}
        window = Window(ended_ms - self.limit.window_ms, ended_ms)
        return self._judge(window, Finding(self._subject, hit=False, evidence=evidence))

    def _judge(self, window: Window, finding: Finding) -> list[AlertEvent]:
        events = self._fold.judge(window, [finding])
        # No window is ever judged twice.
        self._fold.settle(window.end_ms)
        self._judged_ms = window.end_ms
        return events

    def _fresh(self, limit: Limit) -> ShareWindows:
        return ShareWindows(window_ms=limit.window_ms, lateness_ms=limit.lateness_ms)
