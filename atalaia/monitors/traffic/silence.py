"""An alert on a model that had traffic and has none."""

import msgspec

from atalaia.alerts import AlertEvent, AlertFold, Finding, TrackState, rfc3339
from atalaia.monitors.traffic.excess import AT_ONCE
from atalaia.windows import Window


class Fired(msgspec.Struct, frozen=True, array_like=True):
    """A silence that has been told: of which version, until when it was looked at, and its alert."""

    version: str
    end_ms: int
    tracks: dict[str, TrackState]


class SilenceState(msgspec.Struct, frozen=True, array_like=True):
    """A `Silence` between two messages."""

    version: str = ""
    last_ms: int | None = None
    fired: Fired | None = None


class SilentModel:
    """Whether a model has fallen silent, by the times at which its rows, and ends of the log, were seen.

    The alert is of the version that answered last, and is resolved by the next row of any: a canary or a
    version no longer used may well be silent while the model is not.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._state = SilenceState()

    @property
    def version(self) -> str:
        """The one that had the last rows."""
        return self._state.version

    def hear(self, version: str, time_ms: int) -> list[AlertEvent]:
        """Rows came."""
        events = self._resolve(time_ms, {"first_row": rfc3339(time_ms)})
        self._state = SilenceState(version, time_ms)
        return events

    def look(self, time_ms: int | None, after_ms: int | None) -> list[AlertEvent]:
        """Everything up to a time has been seen; None for ``after_ms`` where nobody wants to know."""
        state = self._state
        if after_ms is None:
            events = self._resolve(0, {"watched": False})
            self._state = msgspec.structs.replace(state, fired=None)
            return events
        if state.last_ms is None or state.fired is not None or time_ms is None:
            return []
        end_ms = state.last_ms + after_ms
        if time_ms < end_ms:
            return []
        fold = self._fold(state.version)
        finding = Finding(
            "traffic", hit=True, evidence={"last_row": rfc3339(state.last_ms), "after_ms": after_ms}
        )
        events = fold.judge(Window(state.last_ms, end_ms), [finding])
        self._state = msgspec.structs.replace(state, fired=Fired(state.version, end_ms, fold.snapshot()))
        return events

    def restart(self, time_ms: int) -> None:
        """What was seen last does not count: a replay has just ended."""
        if self._state.last_ms is not None:
            self._state = msgspec.structs.replace(self._state, last_ms=time_ms)

    def forget(self) -> None:
        """Part of the log is lost: the model may have had rows there."""
        self._state = msgspec.structs.replace(self._state, last_ms=None)

    def snapshot(self) -> SilenceState:
        """What `restore` takes."""
        return self._state

    def restore(self, state: SilenceState) -> None:
        """Go on from where a snapshot was taken."""
        self._state = state

    def _resolve(self, time_ms: int, evidence: dict[str, object]) -> list[AlertEvent]:
        fired = self._state.fired
        if fired is None:
            return []
        fold = self._fold(fired.version)
        fold.restore(fired.tracks)
        window = Window(fired.end_ms, max(fired.end_ms, time_ms))
        return fold.judge(window, [Finding("traffic", hit=False, evidence=evidence)])

    def _fold(self, version: str) -> AlertFold:
        return AlertFold(model=self._model, version=version, monitor="silence", rule=AT_ONCE)
