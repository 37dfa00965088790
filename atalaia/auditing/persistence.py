"""Drift that lasts: the judged runs of a stream, folded again in order of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from atalaia.alerts import AlertEvent, fingerprint
from atalaia.auditing.published import Place, Stream
from atalaia.monitors.configuration import DriftSettings
from atalaia.windows import Window


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run that a window ends, and what it says of each column: hit, quiet, between or silent."""

    window: Window
    outcomes: Mapping[str, str]
    settings: DriftSettings


@dataclass(slots=True)
class _Column:
    recent: list[bool] = field(default_factory=list)
    quiet: int = 0
    drifted: bool = False

    def take(self, outcome: str, rules: DriftSettings) -> None:
        """One more run; a silent one says nothing."""
        if outcome == "silent":
            return
        self.recent = [*self.recent, outcome == "hit"][-rules.among :]
        self.quiet = self.quiet + 1 if outcome == "quiet" else 0
        if not self.drifted and outcome == "hit" and sum(self.recent) >= rules.hits:
            self.drifted = True
        elif self.drifted and self.quiet >= rules.quiet_windows:
            self.drifted, self.recent = False, []


def drifted_by(runs: Sequence[JudgedRun], end_ms: int) -> set[str]:
    """The columns that have drifted by a time, runs being folded in order.

    >>> rules = DriftSettings(hits=2, among=3)
    >>> runs = [JudgedRun(Window(at, at + 1), {"a": "hit"}, rules) for at in range(2)]
    >>> drifted_by(runs, 1), drifted_by(runs, 2)
    (set(), {'a'})
    """
    columns: dict[str, _Column] = {}
    for run in runs:
        if run.window.end_ms > end_ms:
            break
        for name, outcome in run.outcomes.items():
            columns.setdefault(name, _Column()).take(outcome, run.settings)
    return {name for name, column in columns.items() if column.drifted}


def disagreeing(
    runs: Sequence[JudgedRun], told: Mapping[Place, set[str]]
) -> Iterator[tuple[Place, set[str]]]:
    """Windows whose drifted columns are not what the runs come to, and what these come to."""
    ordered = sorted(runs, key=lambda run: (run.window.end_ms, run.window.start_ms))
    for place, drifted in told.items():
        whole = drifted_by(ordered, place.window.end_ms)
        if drifted != whole:
            yield place, whole


def alert_of(stream: Stream) -> str:
    """The fingerprint of the alert of a stream's drift."""
    subject = "inputs" if stream.role == "primary" else f"answers/{stream.role}"
    return fingerprint(stream.model, stream.version, "drift", subject)


def alert_differs(drifted: set[str], last: AlertEvent | None) -> str | None:
    """What an alert should be, by what has drifted, where its last event says otherwise.

    One of a stream that has had no rows for long has lapsed, whatever drifted.
    """
    status = "resolved" if last is None else last.status
    if drifted and status != "firing" and not (last is not None and last.reason == "lapsed"):
        return "firing"
    return "resolved" if not drifted and status == "firing" else None
