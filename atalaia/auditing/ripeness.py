"""How far time has come for a window."""

from typing import NamedTuple

from atalaia.auditing.labels import LabelLog
from atalaia.monitors.configuration import MonitorSettings
from atalaia.windows import Window


class Ripe(NamedTuple):
    """How far time has come: that of the observations, and the earlier one of both topics."""

    watermark_ms: int | None
    join_ms: int | None

    @classmethod
    def at(cls, watermark_ms: int | None, labels: LabelLog, position: int) -> "Ripe":
        """Of a watermark, and the labels before a position."""
        wall_ms = labels.wall_ms(position)
        return cls(
            watermark_ms, None if watermark_ms is None or wall_ms is None else min(watermark_ms, wall_ms)
        )

    def is_final(self, window: Window, settings: MonitorSettings) -> bool:
        """Whether neither a row nor a label is expected any more of a window of `performance`."""
        if self.watermark_ms is None or self.join_ms is None:
            return False
        settled = window.end_ms + settings.performance.lateness_ms <= self.watermark_ms
        return settled and window.end_ms + settings.labels.horizon_ms <= self.join_ms
