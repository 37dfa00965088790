"""The traffic of one version: rows it refused, and requests that waited for it."""

import msgspec
import numpy as np

from atalaia.alerts import AlertEvent
from atalaia.monitors.configuration import (
    AbstentionSettings,
    LatencySettings,
    MonitorSettings,
    milliseconds,
)
from atalaia.monitors.traffic.excess import Excess, ExcessState, Limit
from atalaia.monitors.traffic.reading import Rows, Seen, waits_of


class VersionState(msgspec.Struct, frozen=True, array_like=True):
    """A `VersionTraffic` between two messages."""

    digest: str
    last_ms: int
    abstention: ExcessState
    latency: ExcessState


class VersionTraffic:
    """A version as primary or canary; being promoted changes nothing.

    ``last_ms`` is the record time of its last rows.
    """

    def __init__(self, model: str, version: str, digest: str, settings: MonitorSettings) -> None:
        self.digest = digest
        self.settings = settings
        self.last_ms = 0
        self._abstention = Excess(
            model=model,
            version=version,
            monitor="abstention",
            subject="rows",
            kind="abstained",
            limit=_of_abstention(settings.abstention),
        )
        self._latency = Excess(
            model=model,
            version=version,
            monitor="latency",
            subject="requests",
            kind="waited",
            limit=_of_latency(settings.latency),
        )

    @property
    def late_rows(self) -> int:
        """Rows that came after their window of event time."""
        return self._abstention.late_rows

    @property
    def idle(self) -> bool:
        """Whether nothing is open and nothing fires."""
        return self._abstention.idle and self._latency.idle

    def add(self, rows: Rows, time_ms: int | None) -> None:
        """Rows, at the watermark before them."""
        if self.settings.abstention.enabled and len(rows.times_ms):
            ones = np.ones(len(rows.times_ms), np.int64)
            abstained = rows.abstained.astype(np.int64)
            self._abstention.add(rows.times_ms, rows=ones, counted=abstained, time_ms=time_ms)

    def add_waits(self, seen: Seen, recorded_ms: int) -> None:
        """How long requests waited, in the window of record time."""
        waits = waits_of(seen)
        if not self.settings.latency.enabled or waits is None or not len(waits.rows):
            return
        too_long = waits.waited_ms > milliseconds(self.settings.latency.limit)
        self._latency.add(
            np.full(len(waits.rows), recorded_ms),
            rows=waits.rows,
            counted=waits.rows * too_long,
            time_ms=None,
            greatest=int(waits.waited_ms.max()),
        )

    def close(self, time_ms: int | None, recorded_ms: int) -> list[AlertEvent]:
        """What windows that are over say, by event time and by record time."""
        return self._abstention.close(time_ms) + self._latency.close(recorded_ms)

    def change(self, settings: MonitorSettings) -> list[AlertEvent]:
        """Watch by other settings; what is no longer watched does not go on firing."""
        self.settings = settings
        self._abstention.change(_of_abstention(settings.abstention))
        self._latency.change(_of_latency(settings.latency))
        events = [] if settings.abstention.enabled else self._abstention.end()
        return events if settings.latency.enabled else events + self._latency.end()

    def restart(self) -> None:
        """Event time begins anew; record time goes on."""
        self._abstention.restart()

    def snapshot(self) -> VersionState:
        """What `restore` takes."""
        return VersionState(self.digest, self.last_ms, self._abstention.snapshot(), self._latency.snapshot())

    def restore(self, state: VersionState) -> None:
        """Go on from where a snapshot was taken."""
        self.digest, self.last_ms = state.digest, state.last_ms
        self._abstention.restore(state.abstention)
        self._latency.restore(state.latency)


def _of_abstention(settings: AbstentionSettings) -> Limit:
    window_ms, lateness_ms = milliseconds(settings.window), milliseconds(settings.lateness)
    return Limit(window_ms, lateness_ms, settings.rate, settings.minimum_rows)


def _of_latency(settings: LatencySettings) -> Limit:
    return Limit(milliseconds(settings.window), 0, settings.share, settings.minimum_rows)
