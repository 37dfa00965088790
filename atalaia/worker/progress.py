"""Whether a worker with something to read gets on with it, as another client of Kafka sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from atalaia.topics import Topic
from atalaia.worker.log import Log

Place = tuple[Topic, int]


@dataclass(slots=True)
class _Stand:
    position: int
    since_seconds: float


@dataclass(slots=True)
class Progress:
    """Looks at positions now and then, with a clock of the caller's.

    Records may wait behind a position for ``stuck_after_seconds`` without it moving. Transaction markers
    and uncommitted records do not count: only what a reader of committed data would be given.
    """

    log: Log
    stuck_after_seconds: float
    lags: Mapping[Place, int] = field(default_factory=dict)
    _stands: dict[Place, _Stand] = field(default_factory=dict)

    def look(self, positions: Mapping[Place, int], now_seconds: float) -> list[Place]:
        """The places that are stuck; `lags` then holds how far each position is from its end."""
        ends = {place: self.log.bounds(*place)[1] for place in positions}
        self.lags = {place: max(0, ends[place] - position) for place, position in positions.items()}
        self._stands = {
            place: self._stand(place, position, now_seconds) for place, position in positions.items()
        }
        return [place for place, stand in self._stands.items() if self._is_stuck(place, stand, now_seconds)]

    def _stand(self, place: Place, position: int, now_seconds: float) -> _Stand:
        stand = self._stands.get(place)
        if stand is None or stand.position != position or not self.lags[place]:
            return _Stand(position, now_seconds)
        return stand

    def _is_stuck(self, place: Place, stand: _Stand, now_seconds: float) -> bool:
        if now_seconds - stand.since_seconds < self.stuck_after_seconds:
            return False
        if self.log.next_offset(*place, stand.position) is None:
            stand.since_seconds = now_seconds
            return False
        return True
