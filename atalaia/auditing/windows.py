"""One window against the rows of the log at its cut."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from atalaia.auditing import drift_windows, fairness_windows, performance_windows
from atalaia.auditing.comparison import Mismatch, mismatches
from atalaia.auditing.drift_columns import Columns, StreamColumns
from atalaia.auditing.drift_windows import DriftRows
from atalaia.auditing.gathered import Labelled, Selection, counted, unknown_truth, with_truth
from atalaia.auditing.joined import Truths
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.observed import Rows
from atalaia.auditing.persistence import JudgedRun
from atalaia.auditing.published import Published, Stream
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.units import Models, Watched
from atalaia.records import MonitorChange
from atalaia.windows.watermark import BoolArray

BY_NOW = " by now"
"""How the path of a mismatch ends where a result was right at its cut, but should have been told anew."""


class Unverifiable(Exception):
    """Why a window cannot be recomputed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a model when the log has reached a result's cut.

    ``laps`` are the positions at which its time, or its settings, began anew. Rows of before may have been
    forgotten by then, or not: which of them a window is of, its own count of rows says. ``settings`` are all
    it has had, by digest; ``references`` those made from the stream, by position. ``labels_told`` is the
    position of `labels` all before which has been told, as far as it is known. Of rows before ``begins_ms``
    some have expired.
    """

    rows: Mapping[Stream, Rows]
    laps: Sequence[int]
    settings: Mapping[str, MonitorSettings]
    references: Sequence[tuple[int, MonitorChange | None]]
    watched: Watched
    models: Models
    labels: LabelLog
    stored: Mapping[Stream, Mapping[int, BoolArray]]
    labels_told: int | None = None
    begins_ms: int | None = None

    def ranges(self, cut: int) -> Iterator[tuple[int, int]]:
        """Positions [since, before) that the rows of a result may lie between, the likeliest first."""
        laps = sorted({lap for lap in self.laps if lap < cut})
        yield laps[0] if laps else 0, cut
        for lap in reversed(laps[1:]):
            yield lap, cut
        for place, before in reversed(list(enumerate(laps))):
            for since in laps[:place]:
                yield since, before

    def references_at(self, before: int) -> Iterator[StreamColumns | None]:
        """The reference in force last before a position, then the one before it."""
        known = [change for offset, change in self.references if offset < before]
        for change in known[:-3:-1]:
            if change is None:
                yield None
                continue
            content = self.models.reference(change)
            if content is None:
                raise Unverifiable("the reference made from the stream is missing, or another")
            made = StreamReference.from_bytes(content)
            yield StreamColumns(made.version, made.columns)


class Verified(NamedTuple):
    """Where a result differs from what its rows come to, and of drift the run that it ends, where it does.

    ``positions`` are those [since, before) that the rows it is of lie between.
    """

    mismatches: list[Mismatch]
    run: JudgedRun | None = None
    positions: tuple[int, int] = (0, 1 << 62)


def verify(published: Published, evidence: Evidence) -> Verified:
    """Hold a result against its rows.

    Raises
    ------
    Unverifiable
        where what it is made of is not there any more.
    """
    settings = evidence.settings.get(published.result.configuration)
    if settings is None:
        raise Unverifiable(f"the settings {published.result.configuration} are not known any more")
    if published.place.monitor == "drift":
        return _verify_drift(published, evidence, settings)
    return Verified(_verify_truth(published, evidence, settings))


def drift_rows(published: Published, evidence: Evidence, settings: MonitorSettings) -> Iterator[DriftRows]:
    """The rows a result of `drift` may be of, the likeliest first.

    Raises
    ------
    Unverifiable
        where a reference made from the stream is missing.
    """
    stream = published.place.stream
    rows = evidence.rows.get(stream, Rows())
    for positions in evidence.ranges(published.result.cut.observations):
        for reference in evidence.references_at(positions[1]):
            yield DriftRows(
                rows,
                Columns(evidence.watched, reference),
                settings,
                positions,
                stream.role,
                begins_ms=evidence.begins_ms,
                whole=len(evidence.laps) == 1,
            )


def _verify_drift(published: Published, evidence: Evidence, settings: MonitorSettings) -> Verified:
    found: list[Mismatch] | None = None
    window, body = published.place.window, published.body
    for given in drift_rows(published, evidence, settings):
        counted = drift_windows.count(given.within(window))
        here = [] if counted == body["n"] else [Mismatch("n", body["n"], counted)]
        here = here or drift_windows.compare(body, window, given)
        if not here:
            return Verified([], drift_windows.judged_run(body, given), given.positions)
        if found is None or (found[0].path == "n" and here[0].path != "n"):
            found = here
    return Verified(found or [])


def _verify_truth(published: Published, evidence: Evidence, settings: MonitorSettings) -> list[Mismatch]:
    place, result, body = published.place, published.result, published.body
    rows = evidence.rows.get(place.stream, Rows())
    truths = Truths(evidence.labels, evidence.watched.manifest, horizon_ms=settings.labels.horizon_ms)
    stored = evidence.stored.get(place.stream, {})
    unknown = unknown_truth(evidence.watched.manifest)
    found: list[Mismatch] | None = None
    seen: set[tuple[int, ...]] = set()
    for since, before in evidence.ranges(result.cut.observations):
        selection: Selection = list(rows.of(place.monitor, place.window, since=since, before=before))
        key = tuple(chunk.offset for chunk, _ in selection)
        if key in seen:
            continue
        seen.add(key)
        labelled = with_truth(selection, stored, truths, labels_before=published.labels_cut, unknown=unknown)
        here = list(mismatches(body, counted(labelled)))
        if not here:
            expected: Mapping[str, Any] = {}
            told: Mapping[str, Any] = body
            given = selection, labelled, evidence.watched, settings, body
            if place.monitor == "performance":
                expected = performance_windows.performance(*given)
            else:
                expected, told = fairness_windows.fairness(*given)
            here = list(mismatches(told, expected))
        if not here and (evidence.labels_told or 0) > published.labels_cut:
            by_now = with_truth(
                selection, stored, truths, labels_before=evidence.labels_told or 0, unknown=unknown
            )
            here = _later_labels(labelled, by_now)
        if not here:
            return []
        if found is None or (_counts_differ(found) and not _counts_differ(here)):
            found = here
    return found or []


def _later_labels(then: Labelled, now: Labelled) -> list[Mismatch]:
    """What labels that should have been told since say otherwise of the same rows."""
    known = int(then.known.sum()), int(now.known.sum())
    if known[0] != known[1]:
        return [Mismatch(f"labelled{BY_NOW}", *known)]
    if not np.array_equal(then.truth, now.truth, equal_nan=True):
        return [Mismatch(f"corrected labels{BY_NOW}", 0, int((then.truth != now.truth).sum()))]
    return []


def _counts_differ(found: list[Mismatch]) -> bool:
    return any(mismatch.path in ("n", "labelled") for mismatch in found)
