"""One alert, window by window: when it begins, fires and ends."""

from typing import Any, Literal

import msgspec

from atalaia.alerts.events import Severity, Status
from atalaia.windows import Window


class Rule(msgspec.Struct, frozen=True):
    """Fires on ``hits`` of the last ``of`` disjoint windows, the latest too; ends after ``clear`` in a row.

    >>> Rule(hits=2, of=3, clear=3).severity
    'warning'
    """

    hits: int
    of: int
    clear: int
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        if not 1 <= self.hits <= self.of or self.clear < 1:
            raise ValueError(
                f"an alert on {self.hits} of {self.of} windows, ended by {self.clear}: expected "
                "1 <= hits <= of and clear >= 1"
            )


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one window says of one subject; a subject without a verdict in a window has no finding.

    ``clear`` counts towards the end of an alert, where that asks for more than not being hit. Where the
    subject stands for many that persist each on its own, ``fires`` says that one of them does, in place of
    the rule's count of hits, and ``since_ms`` since when.
    """

    subject: str
    hit: bool
    evidence: dict[str, Any] = {}
    clear: bool | None = None
    severity: Severity | None = None
    fires: bool | None = None
    since_ms: int | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the window counts towards the end of an alert."""
        return not self.hit if self.clear is None else self.clear and not self.hit


class Judged(msgspec.Struct, frozen=True, array_like=True):
    """A window as the fold has taken it."""

    start_ms: int
    end_ms: int
    finding: Finding

    @property
    def window(self) -> Window:
        """Its event time."""
        return Window(self.start_ms, self.end_ms)


class Phase(msgspec.Struct, frozen=True, array_like=True):
    """Where an alert stands after a window: the windows that still count, newest last.

    Pending lasts while one of the last windows was a hit; firing counts its own beginning from the first of
    the hits that decided it.
    """

    status: Literal["quiet", "pending", "firing"] = "quiet"
    since_ms: int = 0
    recent: tuple[Judged, ...] = ()
    end_ms: int | None = None


class Transition(msgspec.Struct, frozen=True, array_like=True):
    """A change of status, decided by the last of ``windows``."""

    status: Status
    since_ms: int
    windows: tuple[Judged, ...]
    reason: Literal["clear", "lapsed", "withdrawn"] | None = None

    @property
    def key(self) -> str:
        """What tells it from other changes of the same alert."""
        last = self.windows[-1]
        return f"{self.status} {self.reason} {self.since_ms} {last.start_ms} {last.end_ms}"


def advance(rule: Rule, phase: Phase, judged: Judged) -> tuple[Phase, Transition | None]:
    """Take the next window in event time; one that overlaps a window already taken changes nothing."""
    if phase.end_ms is not None and judged.start_ms < phase.end_ms:
        return phase, None
    recent = (*phase.recent, judged)[-max(rule.of, rule.clear) :]
    if phase.status == "firing":
        ending = recent[-rule.clear :]
        if len(ending) == rule.clear and all(entry.finding.is_clear for entry in ending):
            return Phase(end_ms=judged.end_ms), Transition("resolved", phase.since_ms, ending, "clear")
        return Phase("firing", phase.since_ms, recent, judged.end_ms), None
    hits = tuple(entry for entry in recent[-rule.of :] if entry.finding.hit)
    if _fires(rule, judged.finding, len(hits)):
        hits = hits or (judged,)
        since = hits[0].start_ms if judged.finding.since_ms is None else judged.finding.since_ms
        # Windows from before the alert do not count towards its end, were they clear.
        return Phase("firing", since, (judged,), judged.end_ms), Transition("firing", since, hits)
    if hits:
        since = phase.since_ms if phase.status == "pending" else hits[0].start_ms
        began = Transition("pending", since, hits) if phase.status == "quiet" else None
        return Phase("pending", since, recent, judged.end_ms), began
    lapsed = None
    if phase.status == "pending":
        lapsed = Transition("resolved", phase.since_ms, recent[-rule.of :], "lapsed")
    return Phase("quiet", 0, recent, judged.end_ms), lapsed


def _fires(rule: Rule, finding: Finding, hits: int) -> bool:
    return finding.fires if finding.fires is not None else finding.hit and hits >= rule.hits
