"""Rows past their time are dropped, some buckets a step, as the join's time tells."""

import msgspec
import numpy as np

from atalaia.join.held import EARLY, HEAD_BYTES, WAITING
from atalaia.join.matching import JoinCounts
from atalaia.join.rows import ExpiredRows, IdArray, RowKeys, RowWrites, unpack

ROWS_A_BUCKET = 48
"""What a full bucket holds on average: few enough to be found fast, enough to share its key's memory."""
_READ_A_ROW = 4
_LEAST_BUCKETS = 16
_MOST_BUCKETS = 2000


class JoinSpace(msgspec.Struct, frozen=True):
    """How many rows may be held, and in how many buckets from ``first`` on; part of what names their state.

    At the bound new ids are shed, counted, and their range published. Pausing the input would not help: the
    join's time, by which rows are dropped, goes on with the input alone.
    """

    most_rows: int
    first: int = 0

    @property
    def buckets(self) -> int:
        """Into how many the rows are spread, by the hash of their id."""
        return max(1, -(-self.most_rows // ROWS_A_BUCKET))


class Sweep(msgspec.Struct):
    """How far the sweep of one space has come; kept in the unit's metadata.

    One pass looks at every bucket. The next begins when something may have expired since: the earliest
    expiry the last pass left is remembered, and a sixteenth of the horizon is let pass, so that each pass
    has something to drop.
    """

    space: JoinSpace
    horizon_ms: int
    bucket: int = 0
    starts_ms: int | None = None
    earliest_ms: int | None = None

    def due(self, join_time_ms: int | None, *, rows: int, held_rows: int) -> range:
        """The buckets to look at in a step that takes in ``rows``: several rows for each of those."""
        if join_time_ms is None or held_rows == 0:
            return range(0)
        if self.starts_ms is None:
            # Nothing has been taken in before about now, so nothing expires before a horizon from now.
            self.starts_ms = join_time_ms + self.horizon_ms
        if self.bucket == 0 and join_time_ms < self.starts_ms:
            return range(0)
        a_bucket = max(held_rows / self.space.buckets, 1.0)
        wanted = min(max(round(rows * _READ_A_ROW / a_bucket), _LEAST_BUCKETS), _MOST_BUCKETS)
        first = self.space.first
        return range(first + self.bucket, first + min(self.bucket + wanted, self.space.buckets))

    def drop(
        self, looked: range, found: ExpiredRows, join_time_ms: int, touched: IdArray
    ) -> tuple[RowWrites, JoinCounts]:
        """Delete the rows found, but those of ids this step ``touched``, which wait for the next pass."""
        counts = JoinCounts()
        names = np.frombuffer(found.rows.ids, "<u8").reshape(-1, 2)
        # By half an id: to leave an untouched row to the next pass as well does no harm.
        free = ~np.isin(names[:, 0], touched[:, 0])
        for rows, data in unpack(found.rows):
            gone = data[free[rows]]
            counts.unlabelled += int((gone[:, 0] == WAITING).sum())
            early = gone[gone[:, 0] == EARLY]
            labels = int(early[:, HEAD_BYTES].sum()) if len(early) else 0
            counts.unknown += labels
            counts.waiting_labels -= labels
        counts.held_rows -= int(free.sum())
        if not free.all():
            self._remember(join_time_ms)
        if found.earliest_ms is not None:
            self._remember(found.earliest_ms)
        self._move(looked, join_time_ms)
        keys = RowKeys.of(names[free], self.space.buckets, first=self.space.first)
        return RowWrites(deletes=keys), counts

    def _remember(self, earliest_ms: int) -> None:
        self.earliest_ms = earliest_ms if self.earliest_ms is None else min(self.earliest_ms, earliest_ms)

    def _move(self, looked: range, join_time_ms: int) -> None:
        self.bucket = looked.stop - self.space.first
        if self.bucket >= self.space.buckets:
            soonest = join_time_ms + self.horizon_ms // 16
            # Rows taken in while the pass was under way expire about a horizon from then.
            self.starts_ms = max(soonest, min(self.earliest_ms or soonest, join_time_ms + self.horizon_ms))
            self.bucket, self.earliest_ms = 0, None
