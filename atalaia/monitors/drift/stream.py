"""One stream of rows: counted by pane, fed to detectors, and told of window by window."""

from collections.abc import Mapping

import msgspec
import numpy as np

from atalaia.monitors.columns import Rows
from atalaia.monitors.counted import CountedPanes, PaneChanges
from atalaia.monitors.drift.held import StreamPanes
from atalaia.monitors.drift.plan import Plan
from atalaia.monitors.drift.telling import Closed, Telling, TellingState
from atalaia.monitors.drift.watching import APPLICABILITY, SCORE
from atalaia.monitors.feeding import DetectorFeed, FeedState, RowsToFeed
from atalaia.monitors.rows import ObservedRows
from atalaia.monitors.units import Publication
from atalaia.records import ModelObservation
from atalaia.results import Cut
from atalaia.statistics.bins import BoolArray, FloatArray
from atalaia.windows import Closing, Window, WindowBook
from atalaia.windows.book import BookState


class StreamState(msgspec.Struct, frozen=True, array_like=True):
    """A `DriftStream` between two batches, but for its panes and what it has told."""

    latest_ms: int | None
    book: BookState
    feed: FeedState


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Event time in which rows are missing that had expired: windows that end after ``from_ms``, lateness
    included, and start before ``to_ms``; None is as far as can be.
    """  # fmt: skip

    from_ms: int | None
    to_ms: int | None

    def touches(self, window: Window, lateness_ms: int) -> bool:
        """Whether a window may lack rows."""
        begun = self.to_ms is None or window.start_ms < self.to_ms
        return begun and (self.from_ms is None or window.end_ms + lateness_ms > self.from_ms)


class DriftStream:
    """The rows of a version in a role.

    A message is `add` for its rows, then `pass_time`; `turn` ends a batch, or whatever must not be mixed
    with what follows: counts, detectors and verdicts are brought up to the last message.

    Parameters
    ----------
    plan : how it is watched
    """

    def __init__(self, plan: Plan) -> None:
        prefix = plan.key.prefix
        self.plan = plan
        self.latest_ms: int | None = None
        self.unused = False
        self.book = WindowBook(plan.definition, lateness_ms=plan.lateness_ms)
        self._counted = CountedPanes(prefix + b"pane/", plan.columns.width)
        self.feed = DetectorFeed(prefix, plan.detectors)
        self.telling = Telling(plan, StreamPanes(self.book, self._counted), lambda: self.feed.found)
        self._pending: dict[int, list[Rows]] = {}
        self._closed: dict[Window, Closed] = {}
        self._moved = self._told = True

    def replan(self, plan: Plan) -> None:
        """Other thresholds hold from now on."""
        self.plan = plan
        self.telling.replan(plan)

    def follow(self, former: "DriftStream") -> None:
        """Take the place of a stream that was watched differently."""
        self.telling.follow(former.telling)

    def add(
        self, rows: ObservedRows, believed: BoolArray, watermark_ms: int | None, *, inputs_only: bool = False
    ) -> None:
        """Rows of a message, of which some are believed, at the watermark before it."""
        kept = believed.copy()
        kept[believed] = self.book.add(rows.times_ms[believed], watermark_ms)
        self._moved = True
        if not kept.any():
            return
        latest_ms = int(rows.times_ms[kept].max())
        self.latest_ms = latest_ms if self.latest_ms is None else max(self.latest_ms, latest_ms)
        for pane, places in rows.by_pane(kept, self.plan.pane_ms).items():
            self._pending.setdefault(pane, []).append(Rows(rows, places, inputs_only))
        if self.feed.columns and not inputs_only:
            self.feed.add(self._to_feed(rows, kept))

    def pass_time(
        self,
        watermark_ms: int | None,
        *,
        cut: int,
        flush: bool,
        ahead_rows: int,
        lost: tuple[Span, ...] = (),
        frozen_ms: int | None = None,
    ) -> None:
        """The end of a message; with ``flush`` everything open is closed as it is.

        ``ahead_rows`` is what the model's clock has counted, ``lost`` where rows are missing; windows that
        start before ``frozen_ms`` are not told.
        """
        lateness_ms = self.plan.lateness_ms
        if watermark_ms is not None:
            every_ms = self.plan.fed_every_ms
            self._moved |= self.feed.pass_time((watermark_ms - lateness_ms) // every_ms * every_ms)
            if self.latest_ms is not None and watermark_ms - self.latest_ms > self.plan.unused_ms:
                self.unused = True
        if flush or self.unused:
            closings = self.book.flush(watermark_ms, cut=cut)
        else:
            closings = self.book.close(watermark_ms, cut=cut)
        for closing in closings:
            self._close(closing, ahead_rows, lost, frozen_ms)

    def turn(self, cut: Cut, watermark_ms: int | None, *, restart: bool = False) -> list[Publication]:
        """Bring everything up to the last message; what to publish.

        With ``restart`` time begins anew after it.
        """
        self._count()
        if restart:
            self._moved = True
            self.feed.restart()
        else:
            self.feed.feed()
        publications = []
        if self._closed:
            closed, self._closed = self._closed, {}
            publications = self.telling.tell(closed, cut)
            self._told = True
        if watermark_ms is not None and (self._moved or restart):
            self._forget(watermark_ms)
        return publications

    def collect(self, changes: PaneChanges, watermark_ms: int | None) -> None:
        """Say what changed since the last time."""
        self._counted.collect(changes, lambda pane: self.book.late_for(pane, watermark_ms))
        self.feed.collect(changes)
        prefix = self.plan.key.prefix
        if self._moved:
            state = StreamState(self.latest_ms, self.book.snapshot(), self.feed.snapshot())
            changes.write(prefix + b"state", msgspec.msgpack.encode(state))
        if self._told:
            changes.write(prefix + b"told", msgspec.msgpack.encode(self.telling.snapshot()))
        self._moved = self._told = False

    def restore(self, panes: Mapping[bytes, bytes]) -> None:
        """Go on from stored state.

        Raises
        ------
        SnapshotRefused
            when a detector's state is damaged or of another version of river.
        """
        prefix = self.plan.key.prefix
        state = msgspec.msgpack.decode(panes[prefix + b"state"], type=StreamState)
        self.latest_ms = state.latest_ms
        self.book.restore(state.book)
        self.feed.restore(state.feed, panes)
        self.telling.restore(msgspec.msgpack.decode(panes[prefix + b"told"], type=TellingState))
        self._counted.restore(panes)
        self._moved = self._told = False

    def delete(self, changes: PaneChanges) -> None:
        """Delete all that is stored of it."""
        self._counted.delete(changes)
        self.feed.delete(changes)
        changes.delete(self.plan.key.prefix + b"state")
        changes.delete(self.plan.key.prefix + b"told")

    def _close(
        self, closing: Closing, ahead_rows: int, lost: tuple[Span, ...], frozen_ms: int | None
    ) -> None:
        window = closing.window
        self._moved = True
        if frozen_ms is not None and window.start_ms < frozen_ms:
            return
        incomplete = any(span.touches(window, self.plan.lateness_ms) for span in lost)
        self._closed[window] = Closed(closing.provisional, incomplete, self.book.late_rows, ahead_rows)

    def _count(self) -> None:
        for pane, rows in self._pending.items():
            self.plan.columns.add(self._counted.fill(pane), rows)
        self._pending.clear()

    def _forget(self, watermark_ms: int) -> None:
        self.telling.settle(lambda window: self._frozen(window, watermark_ms))
        dropped = self.book.forget(watermark_ms, since_ms=self._needed_ms(watermark_ms))
        self._counted.drop(dropped)
        if self.book.rows:
            self.feed.forget(min(self.book.rows))

    def _frozen(self, window: Window, watermark_ms: int) -> bool:
        """Whether no row can change a window any more."""
        return self.book.late_for(window.end_ms - self.plan.pane_ms, watermark_ms)

    def _needed_ms(self, watermark_ms: int) -> int:
        """The first time of which a pane may be asked for, by windows that are or will be open or judged.

        It depends on the messages so far, never on when it was asked: comparisons must not.
        """
        starts = [watermark_ms - self.plan.lateness_ms - 2 * self.plan.size_ms]
        if self.telling.fold.since_ms is not None:
            starts.append(self.telling.fold.since_ms)
        if self.plan.by_rows:
            starts += [pane for pane in self.book.rows if not self.book.is_closed(pane)]
        return min(starts) - self.plan.before_ms

    def _to_feed(self, rows: ObservedRows, kept: BoolArray) -> RowsToFeed:
        section = rows.section
        keys = np.stack([rows.times_ms, rows.partitions, rows.offsets, rows.places])
        whole = bool(kept.all())
        values = {name: _fed(name, section, rows, self.plan) for name in self.feed.columns}
        to_feed = RowsToFeed(keys, values)
        return to_feed if whole else to_feed.chosen(kept)


def _fed(name: str, section: ModelObservation, rows: ObservedRows, plan: Plan) -> FloatArray:
    """What a detector is fed of each row, NaN where that is nothing."""
    if name == SCORE:
        return np.where(rows.abstained, np.nan, section.score.numpy().astype(np.float64))
    assert name == APPLICABILITY  # noqa: S101
    return plan.standardised(section.applicability.numpy().astype(np.float64))
